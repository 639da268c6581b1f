"""Word problems: a story is drawn, told in sentences, and solved in steps.

    (split, seed, index) -> family -> opening + events + question -> Problem

A problem is a pure function of split, seed and index, and of the world it is drawn in
(`datagen.worlds`; here the first one, `arithmetic`, is what is drawn unless another is named). The
splits never meet: each has sentence patterns of its own (`datagen.stories`), and whether the numbers
of a story belong to `test` is decided by a hash of them, so no combination of numbers occurs in both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from datagen.records import Record
from datagen.stories.families import FAMILIES, GROUP_WORDS, PEOPLE, THINGS, Family
from datagen.stories.parts import Part, Split, StepPattern

MAX_VALUE = 120
"""No number of a solution is larger: the world is about reasoning, not about long arithmetic."""
MAX_PRODUCT = 100
MAX_DIVIDEND = 100
SHARE_OF_TEST_NUMBERS = 5
"""One combination of numbers in so many is kept for the test split."""
FIRST_WORLD = "arithmetic"


@dataclass(frozen=True)
class Operand:
    """A number in a step: drawn for the story (`source` None) or the result of an earlier step."""

    value: int
    source: int | None = None


@dataclass(frozen=True)
class Step:
    """One line of the solution; `{eq}` in the sentences stands for its equation."""

    left: Operand
    operation: str
    right: Operand
    value: int
    terse: str
    full: tuple[str, ...]
    hint: str

    @property
    def equation(self) -> str:
        """The step in symbols: `12 + 8 = 20`."""
        return f"{self.left.value} {self.operation} {self.right.value} = {self.value}"


@dataclass(frozen=True)
class Problem:
    """A story with its solution."""

    id: str
    family: str
    template: tuple[str, ...]
    """The sentence patterns the story is told in."""
    numbers: tuple[int, ...]
    prompt: str
    steps: tuple[Step, ...]
    world: str = FIRST_WORLD

    @property
    def final(self) -> int:
        """The number that is asked for."""
        return self.steps[-1].value

    @property
    def answer(self) -> str:
        """The gold solution: one line a step, the answer boxed in the last line."""
        lines = [step.terse.replace("{eq}", step.equation) for step in self.steps]
        return "\n".join([*lines, final_line(self.final)])

    def record(self) -> Record:
        """The problem as a record that no stage has touched yet."""
        return Record(
            id=self.id,
            prompt=self.prompt,
            answer=self.answer,
            final_answer=str(self.final),
            source=self.world,
        )


def final_line(value: int) -> str:
    """The last line of every solution."""
    return f"The answer is \\boxed{{{value}}}."


@dataclass
class Draft:
    """A story while it grows: `now` is the amount so far."""

    names: dict[str, str]
    now: Operand
    sentences: list[str]
    template: list[str]
    numbers: list[int]
    steps: list[Step]


def draw_problem(
    split: Split,
    seed: int,
    index: int,
    num_steps: range = range(2, 6),
    salt: str = "",
    *,
    world: str = FIRST_WORLD,
    families: Sequence[Family] = FAMILIES,
    tries: int = 1,
) -> Problem:
    """The problem at this place; families take turns. `salt` gives another series of problems.

    Numbers of a sentence that do not work out are drawn again, `tries` times in all, before the
    story is given up, and with several tries a story of the wrong length is not even begun: long
    stories would hardly ever be finished without that."""
    rng = Random(f"{salt}/{split}/{seed}/{index}")
    family = families[index % len(families)]
    while True:
        draft = _draft(family, split, rng, tries, num_steps)
        if draft and len(draft.steps) in num_steps and split_of(draft.numbers) == split:
            break
    return Problem(
        id=f"{world}-{split}-{seed}-{index:06d}",
        family=family.name,
        template=tuple(draft.template),
        numbers=tuple(draft.numbers),
        prompt=" ".join(draft.sentences),
        steps=tuple(draft.steps),
        world=world,
    )


def split_of(numbers: list[int]) -> Split:
    """Which split may use these numbers in this order."""
    digest = hashlib.sha256(repr(list(numbers)).encode()).digest()
    return "test" if digest[0] % SHARE_OF_TEST_NUMBERS == 0 else "train"


def _draft(family: Family, split: Split, rng: Random, tries: int, num_steps: range) -> Draft | None:
    """A story of the family, or None where its numbers do not work out."""
    draft = Draft(_draw_names(rng), Operand(0), [], [], [], [])
    num_events = max(
        rng.randrange(family.max_events + 1) for _ in range(2)
    )  # leans to long stories
    parts = [
        rng.choice(family.openings),
        *(rng.choice(family.events) for _ in range(num_events)),
        rng.choice(family.questions),
    ]
    if family.hallmarks and not any(part in family.hallmarks for part in parts):
        return None
    if tries > 1 and sum(len(part.steps) for part in parts) not in num_steps:
        return None
    told: set[str] = set()
    for part in parts:
        wordings = [wording for wording in part.wordings(split) if wording not in told]
        if not wordings:
            return None
        wording = rng.choice(wordings)
        if not any(_tell(draft, part, wording, rng) for _ in range(tries)):
            return None
        told.add(draft.template[-1])
    return draft


def _draw_names(rng: Random) -> dict[str, str]:
    (who, pronoun), (other, _) = rng.sample(PEOPLE, 2)
    things, goods = rng.sample(THINGS, 2)
    groups = rng.choice(GROUP_WORDS)
    return {
        "who": who, "other": other, "He": pronoun, "he": pronoun.lower(),
        "things": things, "goods": goods, "groups": groups,
    }  # fmt: skip


def _tell(draft: Draft, part: Part, wording: str, rng: Random) -> bool:
    """Adds a part to the story; False, and nothing added, where its numbers do not work out."""
    values: dict[str, Operand] = {}
    words = dict(draft.names)
    for slot, choices in part.numbers.items():
        if isinstance(choices, range):
            number = rng.choice(choices)
            words[slot] = str(number)
        else:
            words[slot], number = rng.choice(list(choices.items()))
        values[slot] = Operand(number)
    drawn = [values[slot].value for slot in part.numbers]
    now = values["now"] = draft.now if part.start == "now" else values[part.start]
    steps: list[Step] = []
    for place, pattern in enumerate(part.steps, start=1):
        step = _step(pattern, values, words, rng)
        if step is None:
            return False
        now = values[f"r{place}"] = Operand(step.value, source=len(draft.steps) + len(steps))
        steps.append(step)
    draft.sentences.append(wording.format(**words))
    draft.template.append(wording)
    draft.numbers += drawn
    draft.steps += steps
    draft.now = now
    return True


def _step(
    pattern: StepPattern, values: dict[str, Operand], words: dict[str, str], rng: Random
) -> Step | None:
    """The step with names and numbers, or None where the result is no number of this world."""
    left_name, operation, right_name = pattern.expression.split()
    left, right = values[left_name], values[right_name]
    value = compute(left.value, operation, right.value)
    if value is None or not 0 < value <= MAX_VALUE:
        return None
    if operation == "*" and value > MAX_PRODUCT:
        return None
    if operation == "/" and left.value > MAX_DIVIDEND:
        return None
    keep = words | {"eq": "{eq}"}
    full = tuple(sentence.format(**keep) for sentence in pattern.full)
    terse = rng.choice(pattern.terse).format(**keep)
    return Step(left, operation, right, value, terse, full, pattern.hint.format(**words))


def compute(left: int, operation: str, right: int) -> int | None:
    """The whole number that the operation gives; None where there is none."""
    if operation == "+":
        return left + right
    if operation == "-":
        return left - right
    if operation == "*":
        return left * right
    return left // right if right and left % right == 0 else None
