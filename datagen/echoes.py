"""Echoes: student answers that are the prompt again instead of an answer to it.

    prompt, answer -> words of the answer that stand in a run copied from the prompt -> what is left over
    (nearly every answer soon says a word of its own, and is let go before anything is counted)

An echo repeats a good part of the prompt, and holds nothing beside it but words such as "Question:"; or next to
nothing, and ends with the question. Restating a problem before solving it is no echo, nor is an option
that is copied from a list of choices: most of the prompt is missing from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

RUN = 4
"""Words in a row that count as copied."""
MIN_COPIED = 0.5
"""Share of the prompt that an echo repeats: more than one option of two."""
MIN_COPIED_QUESTION = 1 / 3
"""Likewise of one that ends with a question mark: the wording around the problem may be missing."""
MAX_OWN = 0.1
"""Share of other words in a restated question."""
MAX_WORDS = 4000
"""Of an answer are looked at."""
FIRST_WORDS = 100
"""Where a word of its own is looked for first."""

_WORD = re.compile(r"\w+|[^\w\s]")
_FILLERS = frozenset(
    ["question", "problem", "prompt", "task", "query", "user", "human", "assistant", "student", "the", "is",
     "here", "s", "q", "a", "answer", "solution", "initial", *":.,*#_>-\"'`?!()[]|</"]
)  # fmt: skip


def echoes(prompt: str, answer: str) -> bool:
    """Whether an answer is the prompt again, or a good part of it, and nothing else."""
    prompt, said_text = prompt.casefold(), answer[: MAX_WORDS * 8].casefold()
    asks = answer.rstrip().endswith("?")
    if not asks and says_something_new(prompt, said_text):
        return False
    asked = _WORD.findall(prompt)
    said = _WORD.findall(said_text)[:MAX_WORDS]
    if not asked or not said:
        return False
    new = set(said) - set(asked) - _FILLERS
    if len(new) > MAX_OWN * len(said):
        return False
    run = min(RUN, len(asked))
    least = MIN_COPIED_QUESTION if asks else MIN_COPIED
    if len(said) < run or copied(asked, said, run).count(True) < least * len(asked):
        return False
    own = [w for w, is_copied in zip(said, copied(said, asked, run), strict=True) if not is_copied]
    own = [word for word in own if word not in _FILLERS]
    return not own or (asks and len(own) <= MAX_OWN * len(said))


def says_something_new(prompt: str, answer: str) -> bool:
    """Whether one of the answer's first words stands nowhere in the prompt: without a question at the end, no echo
    holds such a word. Both are in lower case."""
    first = (match.group() for match in islice(_WORD.finditer(answer), FIRST_WORDS))
    return any(word not in prompt and word not in _FILLERS for word in first)


def copied(words: Sequence[str], source: Sequence[str], run: int) -> list[bool]:
    """For each word, whether it stands in `run` words in a row that occur in the source."""
    runs = {tuple(source[i : i + run]) for i in range(len(source) - run + 1)}
    marks = [False] * len(words)
    for start in range(len(words) - run + 1):
        if tuple(words[start : start + run]) in runs:
            marks[start : start + run] = [True] * run
    return marks
