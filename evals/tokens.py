"""Tokens of a formula: numbers, names, words, commands, signs.

A run of letters is a function, a unit, a word, or a product of one-letter names. What is inside
\\text{…} is words, unless it is itself a formula. `spelling.one_spelling` comes before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evals.limits import MAX_NODES, TooLarge
from evals.spelling import closing_brace
from evals.units import ONE_LETTER, UNITS
from evals.vocabulary import (
    ALIASES,
    ENGLISH_ALIKE,
    FUNCTIONS,
    GREEK,
    SEPARATORS,
    SHORT_WORDS,
    TEXT_COMMANDS,
    WRITTEN_TOGETHER,
)

TOKEN = re.compile(
    r"\\begin\s?\{(?P<begin>[A-Za-z]{1,20})\*?\}|\\end\s?\{(?P<end>[A-Za-z]{1,20})\*?\}"
    r"|\\(?P<command>[A-Za-z]+)|\\(?P<escaped>.)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?![A-Za-z\d]))?)"
    r"|(?P<letters>[^\W\d_]+)"
    r"|(?P<sign><=|>=|!=|<>|==|->|\*\*|\+-|\S)",
    re.DOTALL,
)


FIELDS = {"R": "ℝ", "Z": "ℤ", "N": "ℕ", "Q": "ℚ", "C": "ℂ"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is number, name, word, command, sign, begin or end."""

    kind: str
    text: str


def tokenise(text: str, depth: int = 0) -> list[Token]:
    """All tokens of a text."""
    tokens: list[Token] = []
    position = 0
    while match := TOKEN.search(text, position):
        position = match.end()
        kind, found = match.lastgroup or "sign", match.group(match.lastgroup or 0)
        if kind == "command" and found in TEXT_COMMANDS:
            opening = position + len(text[position:]) - len(text[position:].lstrip())
            end = closing_brace(text, opening) if text[opening : opening + 1] == "{" else -1
            if end < 0:
                if found == "mathbb" and (field := FIELDS.get(text[opening : opening + 1])):
                    tokens.append(Token("name", field))
                    position = opening + 1
                continue
            if found == "mathbb" and (field := FIELDS.get(text[opening + 1 : end].strip())):
                tokens.append(Token("name", field))
                position = end + 1
                continue
            is_text = not found.startswith("math") and found not in {"boldsymbol", "boxed"}
            inner = text_tokens(text[opening + 1 : end], is_text, depth)
            is_unit = found == "mathrm" and follows_value(tokens) and names_units(inner)
            tokens += [as_word(token) for token in inner] if is_unit else inner
            position = end + 1
        elif kind == "letters":
            tokens += letters(found, text[: match.start()], text[position:])
        elif kind == "escaped":
            tokens.append(
                Token(
                    "sign", "\\\\" if found == "\\" else found if found in "%&#_" else "\\" + found
                )
            )
        else:
            tokens.append(Token(kind, found))
        if len(tokens) > MAX_NODES:
            raise TooLarge(f"more than {MAX_NODES} tokens")
    return tokens


UNIT = re.compile(r"\s*[A-Za-z]{1,20}(?:\s?[/^ ]\s?(?:[A-Za-z]{1,20}|[23]))*\.?\s*")


def text_tokens(content: str, is_text: bool, depth: int) -> list[Token]:
    """The tokens of \\text{content}. Letters are words there; anything else is a formula again."""
    if depth > 8:
        raise TooLarge("text nested deeper than 8")
    if not is_text or (re.search(r"[\\\d=+*/^_({[]", content) and not UNIT.fullmatch(content)):
        return tokenise(content, depth + 1)
    words = re.findall(r"[^\W\d_][^\s,;./^]*|[%,;/^23]", content)
    return [word_token(word) for word in words]


def follows_value(tokens: list[Token]) -> bool:
    """Whether a number or a closing bracket stands right before."""
    return bool(tokens) and (tokens[-1].kind == "number" or tokens[-1].text in {"}", ")"})


def names_units(tokens: list[Token]) -> bool:
    """Whether all names are units: `\\mathrm{m\\,s^{-1}}`."""
    names = [token.text for token in tokens if token.kind in {"name", "letter", "word"}]
    return bool(names) and all(name in UNITS for name in names)


def as_word(token: Token) -> Token:
    """A name as a word, which a unit is."""
    return Token("word", token.text) if token.kind == "name" else token


def word_token(word: str) -> Token:
    """One word of \\text{…}; a single letter is a name, it may be a choice or a subscript."""
    if word in "%,;/^23":
        return Token("number" if word in "23" else "sign", word)
    if (word in FUNCTIONS and word not in UNITS) or word in GREEK:
        return Token("command", ALIASES.get(word, word))
    return Token("word" if len(word) > 1 else "letter", word)


def letters(run: str, before: str, after: str) -> list[Token]:
    """What a run of plain letters means, by itself and by what stands around it."""
    alone = not before.strip() and not after.strip()
    if len(run) == 1 and (run != "U" or alone):
        is_unit = run in ONE_LETTER and not after.strip() and UNIT_FOLLOWS.search(before)
        return [Token("letter" if is_unit else "name", run)]
    follows_number = before.rstrip()[-1:].isdigit() or before.rstrip().endswith("}")
    if run in FUNCTIONS and run in UNITS and follows_number and not is_argument(after):
        return [Token("word", run)]
    if run in ALIASES or run in FUNCTIONS or run in GREEK:
        return [Token("command", ALIASES.get(run, run))]
    if applied := function_of_name(run):
        return applied
    lower = run.lower() if alone or not run.isupper() else run
    if run in UNITS or lower in SHORT_WORDS or lower in SEPARATORS:
        return [Token("word", run)]
    if before[-1:].isdigit() or (not alone and (is_many_names(run) or is_raised(run, after))):
        return names(run)  # `2abcd` is a product: dropping a word for a unit would lose it
    vowel_inside = len(run) == 3 and lower[1] in "aeiou" and lower[0] not in "aeiou"
    return [Token("word", run)] if vowel_inside or len(run) > 3 else names(run)


UNIT_FOLLOWS = re.compile(r"^[-+]?\s?(?:[\d.,/]{1,40}|\\[dt]?frac\{\d{1,20}\}\{\d{1,20}\})\s$")
"""Before the letter in `5 m`, a length; `5m` may be a product."""


def is_argument(after: str) -> bool:
    """Whether what follows `min` or `sec` makes it a function instead of a unit."""
    following = after.lstrip()[:1]
    return following.isalnum() or following in {"(", "{", "\\", "_"}


def function_of_name(run: str) -> list[Token]:
    """`sinx`, `lnx`: a function and a one-letter name without a space between them."""
    function, variable = run[:-1], run[-1:]
    if function in WRITTEN_TOGETHER and run not in ENGLISH_ALIKE:
        return [Token("command", function), Token("name", variable)]
    return []


def is_many_names(run: str) -> bool:
    """`ABCD` and `SRMC` are points or products, no words."""
    return len(run) > 3 and run.isupper() and len(run) < 7 and run not in UNITS


def is_raised(run: str, after: str) -> bool:
    """`GMmr^{-2}` is a product; no word has a power or a subscript."""
    return len(run) < 7 and after.lstrip()[:1] in {"^", "_"}


def names(run: str) -> list[Token]:
    """A product of one-letter names."""
    return [Token("name", letter) for letter in run]
