"""The letter chosen in a multiple-choice problem, or nothing: a letter is never guessed.

    box → "the answer is C", "option C is correct" → a line that is an option → the one the last sentence ends on

A capital letter counts where it stands alone. "A" and "I" are also words, so without a bracket, a stop, bold type or a
line of their own they count nowhere. Small letters count in brackets or at the end of an announcement. An option that
is ruled out ("not B", "C is incorrect") is not chosen.
"""

from __future__ import annotations

import re
import string
from collections import deque
from dataclasses import dataclass
from functools import cache

MAX_CHOICES = 26
WINDOW_CHARS = 10_000


@dataclass(frozen=True)
class Patterns:
    """What announces a letter, confirms it behind it, is a line of options, names one in a sentence."""

    announced: re.Pattern[str]
    confirmed: re.Pattern[str]
    line: re.Pattern[str]
    concluded: re.Pattern[str]


DECORATION = (
    r"[\s:*_$`\"']{0,8}(?:\\[(\[]\s?)?(?:\\(?:text|textbf|mathrm|mathbf|boxed)\s?\{\s?){0,2}"
)
NOUN = r"(?:(?i:option|choice|letter|answer)\s(?:is\s)?)?"
CLOSES = r"(?=\s*(?:[.,;:)*_$`}\]\"'\\]|\n|$))"


@cache
def patterns(choices: int) -> Patterns:
    """For so many options."""
    capital = string.ascii_uppercase[:choices]
    both = capital + capital.lower()
    bare = "".join(letter for letter in capital if letter not in "AI") or "A"
    wrapped = rf"\\?[(\[{{]\s?(?P<a>[{both}])\s?\\?[)\]}}]"
    stop = r"(?![\w'+=/^-])"
    return Patterns(
        announced=re.compile(
            r"\b(?i:answer|choice|option|choose|select|pick|go with)s?\b[^\n.;!?()A-Z\\$*]{0,60}?"
            + DECORATION
            + NOUN
            + DECORATION
            + rf"(?:{wrapped}|(?<!\w)(?<!\w')(?:(?P<b>[{capital}]){CLOSES}|(?P<c>[{bare}]){stop}"
            + rf"|(?P<d>[{capital[:1]}])(?=\s(?:because|since|as)\b)|(?P<e>[{capital.lower()}])(?=[.)*]?\s*$)))"
        ),
        confirmed=re.compile(
            rf"(?:{wrapped}|(?<![\w'])(?P<b>[{capital}]))[*_)\]]{{0,3}}\s(?:is|must be|seems)\s"
            r"(?:(?:the|clearly|therefore|indeed|most|thus)\s){0,3}(?:correct|right|best|answer|appropriate|true)\b"
        ),
        line=re.compile(
            rf"[\s*_$`#>\"']{{0,8}}(?:\\boxed\{{|\\text(?:bf)?\{{){{0,2}}(?:{wrapped}|(?P<b>[{capital}]))"
            r"(?:(?P<alone>[.*_$`\"'}]{0,6}\s*$)|[.):*}]{0,4}(?<=[\W_])(?=\s|\\|$))"
        ),
        concluded=re.compile(
            rf"(?:{wrapped}(?=[.*_$]{{0,4}}\s*$|[,;]|\s(?:because|since|as|is)\b)|(?:\b(?:is|are|be|with|hence|thus|therefore|so|conclude)|'s|:),?[\s*]{{1,4}}"
            rf"(?:(?P<b>[{bare}]){stop}|(?P<c>[{capital}])(?=[.*_]{{0,3}}\s*$)))"
        ),
    )


def chosen_option(text: str, choices: int) -> str | None:
    """The letter that the text chooses, announced or stated; the last announcement wins."""
    if not 1 <= choices <= MAX_CHOICES:
        raise ValueError(f"choices must lie between 1 and {MAX_CHOICES}, got {choices}")
    text = text[-WINDOW_CHARS:].strip()
    known = patterns(choices)
    found = [
        match
        for pattern in (known.announced, known.confirmed)
        for match in deque(pattern.finditer(text), maxlen=16)
        if not is_ruled_out(text, match) and not is_only_mentioned(text, match)
    ]
    if found:
        return letter_of(max(found, key=lambda match: match.end()))
    return option_line(text, choices) or only_option(text, choices)


def boxed_option(content: str, choices: int) -> str | None:
    """The letter in a box: `C`, `(C)`, `\\text{C. } 42`; a lone small letter counts too."""
    line = patterns(choices).line
    match = line.match(content) or (line.match(content.upper()) if len(content) == 1 else None)
    return letter_of(match) if match else None


def option_line(text: str, choices: int) -> str | None:
    """A last line that is a letter; or an option with its words (`C. Paris`), where the text lists no other."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    matches = [match for line in lines if (match := patterns(choices).line.match(line))]
    last = patterns(choices).line.match(lines[-1])
    chosen = {letter_of(match) for match in matches}
    if last and letter_of(last) == "A" and lines[:-1] and lines[-2].rstrip().endswith("?"):
        return None  # the first option of a question that is restated
    if last and last["alone"] is not None:
        continues = chr(ord(letter_of(last)) - 1) in chosen and len(chosen) == len(matches)
        return None if continues else letter_of(last)
    if len(chosen) == 1 and (last or len(lines) <= 3) and not is_listed(text, matches[0]):
        return letter_of(matches[0])
    return None


RULED_OUT_BEFORE = re.compile(
    r"\b(?:not|isn't|cannot|can't|never|incorrect|wrong|except|eliminate|than|neither|nor)\b[^.;,]{0,20}$"
)
RULED_OUT_AFTER = re.compile(
    r"[)\]*_]{0,4}(?:\s(?:is|are|was|can|cannot|does|would|seems|looks)(?:n't|\s(?:also\s)?(?:not|incorrect|wrong|false"
    r"|out|tempting|ruled|eliminated|close|similar|inconsistent|irrelevant))|\s?(?:or|and|/)\s?\(?[A-Z]\b)"
)


def is_ruled_out(text: str, match: re.Match[str]) -> bool:
    """Whether the sentence denies the letter it names, or names another beside it."""
    before = text[max(0, match.start() - 30) : match.start(match.lastgroup or 0)]
    return bool(RULED_OUT_BEFORE.search(before) or RULED_OUT_AFTER.match(text, match.end()))


NAMER = re.compile(
    r"\b(?:answer|choice|option|choose|select|pick|go with)(?P<plural>s?)\b", re.IGNORECASE
)
LOOKED_AT = re.compile(
    r"\b(?:consider|examin|evaluat|analy[sz]|check|test|look|discuss|about|regarding|for|with|each|every|in|on|to|from"
    r"|compare|first|next|then|eliminate|whereas|while|both)[a-z]{0,4}[\s,:*]{1,4}(?:at\s|the\s|answer\s){0,2}$",
    re.IGNORECASE,
)
ENDS = re.compile(
    r"[)\]*_}$`\"']{0,6}(?:\s*$|\s*\n|[.!;)]|,?\s(?:because|since|as|is\s(?:the\s)?(?:\w+ly\s)?(?:correct|right|best|answer))\b)"
)


def is_only_mentioned(text: str, match: re.Match[str]) -> bool:
    """Whether the letter is one of a list of options, or the subject of what is said of it: `options: (A) 5 (B) 7`,
    `look at option A, which says`. An output that was cut while it weighed the options chooses none."""
    letter = match.start(match.lastgroup or 0)
    namer = deque(NAMER.finditer(text, match.start(), letter), maxlen=1)
    if not namer:
        return False
    if is_listed(text, match):
        return True
    word = namer[0].group().lower()
    if namer[0]["plural"] and word in {"options", "choices", "answers"}:
        return True
    if word not in {"option", "choice"} or re.search(r"[a-z:]", text[namer[0].end() : letter]):
        return False
    before = text[max(0, namer[0].start() - 30) : namer[0].start()]
    return bool(LOOKED_AT.search(before)) or not ENDS.match(text, match.end())


def is_listed(text: str, match: re.Match[str]) -> bool:
    """Whether the next letter follows as the next option of a list: `(A) 5 (B) 7`, or a line further down."""
    following = re.escape(chr(ord(letter_of(match)) + 1))
    option = rf"(?:\({following}\)|(?<![\w']){following}[).:])"
    listed = rf"(?:[^\n.!?]{{0,80}}|[^\n]{{0,80}}\n{{1,3}}\s{{0,4}}){option}"
    return re.match(listed, text[match.end() : match.end() + 200]) is not None


MAX_SENTENCE_CHARS = 500
DENIES = re.compile(
    r"\b(?:not|incorrect|wrong|eliminate|except|neither|nor|rule|cannot)\b|n't\b|\b(?:options|choices)(?:\sare|:)"
)
CONCLUDES = re.compile(r"\b(?:therefore|thus|hence|so)\b")


def only_option(text: str, choices: int) -> str | None:
    """The option that the last sentence, or its conclusion, ends on, where it names a single one."""
    sentence = re.split(r"[.!?]\s|\n", text[-MAX_SENTENCE_CHARS:])[-1]
    if (line := patterns(choices).line.match(sentence)) and line["alone"] is not None:
        return None  # `option_line` has refused it
    conclusion = deque(CONCLUDES.finditer(sentence), maxlen=1)
    for part in (sentence, *(sentence[match.start() :] for match in conclusion)):
        letters = {letter_of(match) for match in patterns(choices).concluded.finditer(part)}
        if len(letters) == 1 and not DENIES.search(part) and not EITHER.search(part):
            return letters.pop()
    return None


EITHER = re.compile(r"\b[A-Z]\)?\s(?:or|and)\s\(?[A-Z]\b")


def letter_of(match: re.Match[str]) -> str:
    """The letter that one of the pattern's groups caught."""
    return next(match[name] for name in "abcde" if match.groupdict().get(name)).upper()
