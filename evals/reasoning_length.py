"""How long a piece of reasoning is, in words and in steps.

    text → words: runs without white space
         → lines → headings and displayed formulas joined to the line they belong to → steps

A *step* is a line that says something. Models and reference solutions end a step with a line break, whether one or
two, so blank lines make no difference. Some lines are part of a step and not one of their own:

- a heading ("## Step 2: Simplify", "**Step 2**", "Step 2:") opens the step that follows it;
- a displayed formula (`\\[ … \\]`, `$$ … $$`, `\\begin{align} … \\end{align}`) and a code block (between ``` lines)
  belong to the line before them, however many lines they have;
- a line without a letter or digit (a rule, a bracket) belongs to no step.

A plain line such as "12 + 8 = 20" is a step. A text of one line only shows no layout, so there the sentences are the
steps; `rule` says which was counted, since the two are not the same measure. A text that says anything has at least
one step. Published step counts (Table 5 of arXiv 2505.11628) come without a definition, so ratios between models
counted here mean more than agreement with a printed number.

Each line is looked at once and each test of a line is linear in it, so the time is linear in the text, whatever a
model wrote. An opened formula that is never closed takes all that follows with it only as far as the next blank
line, and an open code block to the end of the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MAX_HEADING_WORDS = 12
"""A bold or marked line longer than this is a statement, not a heading."""
CLOSERS = "\"'”’)]}*_"
"""May stand between a sentence's last mark and the space after it."""
ABBREVIATIONS = frozenset(
    ("e.g.", "i.e.", "cf.", "vs.", "resp.", "approx.", "mr.", "mrs.", "ms.", "dr.", "no.", "fig.")
)
DISPLAYS = (("\\[", "\\]"), ("$$", "$$"))
ENVIRONMENTS = ("align", "aligned", "equation", "gather", "multline", "eqnarray", "cases", "array")


@dataclass(frozen=True)
class ReasoningLength:
    """The length of one text."""

    words: int
    steps: int
    rule: Literal["lines", "sentences"]
    """What was counted as a step."""


def reasoning_length(text: str) -> ReasoningLength:
    """Words and steps of a model's whole output."""
    words = count_words(text)
    lines = text.splitlines()
    if sum(1 for line in lines if says_something(line)) <= 1:
        return ReasoningLength(words, count_sentences(text), "sentences")
    return ReasoningLength(words, count_line_steps(lines), "lines")


def count_words(text: str) -> int:
    """Runs of characters between white space."""
    return len(text.split())


def count_line_steps(lines: list[str]) -> int:
    """Lines that say something, less headings with a step under them and what stands in formulas or code."""
    steps, heading_open = 0, False
    for line in plain_lines(lines):
        if is_heading(line):
            steps += heading_open  # a heading right after another: the first had nothing under it
            heading_open = True
        else:
            steps += 1
            heading_open = False
    steps += heading_open
    return max(steps, int(any(says_something(line) for line in lines)))


def plain_lines(lines: list[str]) -> Iterator[str]:
    """The lines that say something, outside displayed formulas and code blocks."""
    closing: str | None = None
    in_code = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("```"):
            in_code, closing = not in_code, None
        elif in_code:
            continue
        elif not stripped:
            closing = None
        elif closing is not None:
            closing = None if closing in stripped else closing
        else:
            opening = opening_display(stripped)
            closing = opening[1] if opening is not None and not closes(stripped, opening) else None
            starts_with_formula = opening is not None and stripped.startswith(opening[0])
            if not starts_with_formula and says_something(stripped):
                yield stripped


def opening_display(line: str) -> tuple[str, str] | None:
    """The displayed formula that starts on this line, at its beginning or after a sentence, and how it ends."""
    found = [(line.find(start), (start, end)) for start, end in DISPLAYS if start in line]
    at = line.find("\\begin{")
    if at >= 0:
        name = line[at + len("\\begin{") : at + 24].partition("}")[0]
        if name.rstrip("*") in ENVIRONMENTS:
            found.append((at, (f"\\begin{{{name}}}", f"\\end{{{name}}}")))
    return min(found)[1] if found else None


def closes(line: str, display: tuple[str, str]) -> bool:
    """Whether the last formula opened on a line also ends there."""
    start, end = display
    if start == end:
        return line.count(start) % 2 == 0
    return line.rfind(end) > line.rfind(start)


def is_heading(line: str) -> bool:
    """A marked, bold or labelled line that only names what follows."""
    if line.startswith("#") and line.lstrip("#")[:1] in ("", " "):
        return True
    if len(line.split(maxsplit=MAX_HEADING_WORDS)) > MAX_HEADING_WORDS:
        return False
    if line.startswith("**") and line.rstrip(":").endswith("**") and line.count("**") == 2:
        return True
    label, _, rest = line.strip("* ").rstrip(":.* ").partition(" ")
    return label.casefold() == "step" and rest.isdigit()


def says_something(line: str) -> bool:
    """Whether there is a letter or a digit."""
    return any(map(str.isalnum, line))


def count_sentences(text: str) -> int:
    """Ends of sentences, and what is left after the last one. A known abbreviation ends no sentence, nor does
    the number that opens one ("1. First")."""
    sentences, open_words = 0, False
    for word in text.split():
        opens = not open_words
        open_words = open_words or says_something(word)
        if open_words and ends_sentence(word) and not (opens and is_enumerator(word)):
            sentences, open_words = sentences + 1, False
    return sentences + open_words


def is_enumerator(word: str) -> bool:
    """1., 12."""
    return len(word) <= 3 and word.endswith(".") and word[:-1].isdigit()


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with this word."""
    core = word.rstrip(CLOSERS)
    return core.endswith((".", "!", "?")) and core.lstrip("(").casefold() not in ABBREVIATIONS
