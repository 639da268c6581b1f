"""The answer in `\\boxed{…}`: the last balanced box, or several boxes that one sentence strings together.

    tokens of the text, one pass with a stack of open braces → boxes, outermost only → the last, or the last few

"$\\boxed{1}$ and $\\boxed{2}$" is one answer in two boxes; "\\boxed{1}, or rather \\boxed{2}" is a correction. What
stands between tells them apart: only commas, "and", "or", "for part (b)" or a name with "=" string boxes together.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from evals.equivalence import compare

TOKEN = re.compile(
    r"\\(?:f?boxed|f(?:rame)?box)\s{0,8}\{|\\f?boxed(?![A-Za-z])"
    r"|\\\\(?!f?boxed)|\\[{}]|[{}]"  # \\boxed: escaped once too often
)
NOT_BLANK = re.compile(r"\S")
MAX_UNBRACED_CHARS = 60
MAX_SPREAD = 32


@dataclass(frozen=True)
class Box:
    """One box and where it stands, from its command to behind its closing brace."""

    content: str
    start: int
    end: int


def last_box(text: str) -> Box | None:
    """The last answer in boxes; `end` is where it ends in the text."""
    boxes = all_boxes(text)
    return join_spread(text, boxes) if boxes else None


def all_boxes(text: str) -> list[Box]:
    """The last boxes that are balanced, not blank and not inside another one, in order."""
    spans: list[tuple[int, int, int]] = []  # command, content, closing brace
    unbraced: deque[re.Match[str]] = deque(maxlen=MAX_SPREAD)
    open_braces: list[int] = []  # where a box's content starts, 0 for any other brace
    open_commands: list[int] = []
    first = text.find("box")
    if first < 0:
        return []
    word = text.rfind(" ", 0, first) + 1  # braces before it change nothing
    for token in TOKEN.finditer(text, word):
        kind = token.group()
        if kind == "{":
            open_braces.append(0)
        elif kind == "}":
            inner = open_braces.pop() if open_braces else 0
            if inner:
                command = open_commands.pop()
                if NOT_BLANK.search(text, inner, token.start()):
                    while spans and spans[-1][0] > command:
                        spans.pop()  # it was nested in this one
                    spans.append((command, inner, token.start()))
        elif kind.endswith("boxed"):
            unbraced.append(token)
        elif kind.endswith("{") and kind != r"\{":
            open_braces.append(token.end())
            open_commands.append(token.start())
    boxes = [
        Box(text[inner:end].strip(), command, end + 1)
        for command, inner, end in spans[-MAX_SPREAD:]
    ]
    boxes += [box for token in unbraced if (box := unbraced_box(text, token))]
    return sorted(boxes, key=lambda box: box.start)


def unbraced_box(text: str, command: re.Match[str]) -> Box | None:
    """`\\boxed 5` and `\\boxed\\frac12`: what follows, up to a space or the end of the formula."""
    rest = text[command.end() : command.end() + MAX_UNBRACED_CHARS]
    position = len(rest) - len(rest.lstrip(" "))
    start, depth = position, 0
    while position < len(rest):
        character = rest[position]
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0 or (depth == 0 and (character.isspace() or character == "$")):
            break
        if rest.startswith(("\\)", "\\]"), position):
            break
        position += 1
    content = rest[start:position].rstrip(".,;:")
    return Box(content, command.start(), command.end() + position) if content else None


def join_spread(text: str, boxes: list[Box]) -> Box:
    """The last box with those before it that belong to the same answer, joined by commas."""
    first = len(boxes) - 1
    named = False
    while first > max(0, len(boxes) - MAX_SPREAD):
        between = text[boxes[first - 1].end : boxes[first].start]
        if not strings_together(between):
            break
        named = named or "=" in between
        first -= 1
    chosen = boxes[first:]
    if not named:
        chosen = [box for i, box in enumerate(chosen) if not repeated(box, chosen[i + 1 :])]
    content = ", ".join(box.content for box in chosen)
    return Box(content, boxes[first].start, boxes[-1].end)


def repeated(box: Box, later: list[Box]) -> bool:
    """Whether a later box says the same: `\\boxed{\\frac12}` or `\\boxed{0.5}`, `\\boxed{x+1}` or `\\boxed{1+x}`."""
    return any(
        box.content == other.content or compare(box.content, other.content).outcome == "equal"
        for other in later
    )


MAX_BETWEEN_CHARS = 60
LAYOUT = re.compile(
    r"\\(?:text|mbox|mathrm|textrm|quad|qquad)(?![A-Za-z])|\\[()\[\],;: ]|[${}*~&]|\\\\"
)
NAME_EQUALS = re.compile(r"(?:\\?[A-Za-z]{1,8}(?:_\{?\w{1,3}\}?)?)\s?=\s?$")
PART = re.compile(r"\((?:[a-h]|i{1,3}|iv|[1-9])\)")
JOINING = {",", ";", "and", "or", "as", "well", "for", "part", "parts", "case"}


def strings_together(between: str) -> bool:
    """Whether the text between two boxes joins them into one answer."""
    if len(between) > MAX_BETWEEN_CHARS or "\n\n" in between:
        return False
    plain = LAYOUT.sub(" ", between).strip()
    plain = PART.sub(" ", NAME_EQUALS.sub("", plain))
    words = re.findall(r"[A-Za-z]+|[^\sA-Za-z]", plain)
    if not words:
        return "\n" not in between
    return all(word.lower() in JOINING for word in words)
