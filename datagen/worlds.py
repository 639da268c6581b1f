"""The worlds: sets of story families to draw problems from, each with a name that ids carry.

    arithmetic          the known families, two to five steps
    arithmetic-wide     known and new families in turn: a prompt set that teaches more kinds of stories
    arithmetic-narrow   a few of the known families: a prompt set that teaches fewer
    arithmetic-new      the new families of `arithmetic-wide`, which a base student knows less well
    arithmetic-other    further new families, which a base student knows, too, but no prompt set holds
    arithmetic-unseen   families without training sentences: in no training text of anybody
    arithmetic-hard     the known families, five and six steps
    arithmetic-deep     known kinds of events in long rows: seven to nine steps
    arithmetic-deep-2   the same, another draw

The first three are sources of prompts, all but wide and narrow are benchmarks. `arithmetic` is drawn
as it always was, by the name "" and without second tries, so that old records keep their problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from math import lcm

from datagen.stories import events as ev
from datagen.stories import openings as op
from datagen.stories import questions as qu
from datagen.stories.ages import AGES
from datagen.stories.exchange import EXCHANGES
from datagen.stories.families import FAMILIES, Family
from datagen.stories.fences import FENCES
from datagen.stories.neighbours import AVERAGES, TURNED_ROUND
from datagen.stories.parts import Split
from datagen.stories.trips import TRIPS
from datagen.stories.unseen import UNSEEN
from datagen.word_problems import FIRST_WORLD, Problem, draw_problem

TRIES = 20
"""How often the numbers of one sentence are drawn in the later worlds."""


@dataclass(frozen=True)
class World:
    """Families, how long their stories are, and which splits there are."""

    name: str
    families: tuple[Family, ...]
    num_steps: range = range(2, 6)
    splits: tuple[Split, ...] = ("train", "test")
    tries: int = TRIES

    def check(self, split: str) -> None:
        """Objects to a split that does not exist."""
        if split not in self.splits:
            splits = " and ".join(self.splits)
            noun = "split" if len(self.splits) == 1 else "splits"
            raise ValueError(f"the world {self.name} has the {noun} {splits}, not {split!r}")

    def problem(self, split: Split, seed: int, index: int) -> Problem:
        """The problem at this place."""
        self.check(split)
        return draw_problem(
            split,
            seed,
            index,
            self.num_steps,
            "" if self.name == FIRST_WORLD else self.name,
            world=self.name,
            families=self.families,
            tries=self.tries,
        )


def _in_turn(first: Sequence[Family], second: Sequence[Family]) -> tuple[Family, ...]:
    """One of the first, one of the second, until every one has come equally often."""
    pairs = zip(cycle(first), cycle(second), strict=False)
    return tuple(family for pair in islice(pairs, lcm(len(first), len(second))) for family in pair)


NEW = (AGES, EXCHANGES, TRIPS, FENCES)
OTHER = (TURNED_ROUND, AVERAGES)
NARROW = FAMILIES[:3]
HARD = tuple(replace(family, max_events=5) for family in FAMILIES)

_COMING = (ev.GAIN, ev.GAIN_GROUPS, ev.GROW_TIMES)
_GOING = (ev.LOSE, ev.USE_DAILY, ev.LOSE_HALF)
_PARTS = (ev.LOSE_FRACTION, ev.LOSE_PERCENT, ev.LOSE_HALF)
_COUNTED = (op.GROUPS, op.GROUPS_AND_LOOSE, op.DAILY, op.TWO_KINDS)
DEEP = (
    Family("long stock", _COUNTED, (*_COMING, *_GOING), (qu.ASK_NOW, qu.ASK_MORE), 7),
    Family("long fractions", _COUNTED, (*_COMING, ev.LOSE, *_PARTS), (qu.ASK_NOW,), 7),
    Family("long sharing", _COUNTED, (*_COMING, *_GOING), (qu.ASK_SHARE, qu.ASK_PACKS), 7),
    Family(
        "long comparison",
        _COUNTED,
        (*_COMING, *_GOING, *_PARTS),
        (qu.ASK_WITH_MORE, qu.ASK_WITH_FEWER, qu.ASK_WITH_TIMES),
        7,
    ),
    Family("long target", _COUNTED, (*_COMING, *_GOING, *_PARTS), (qu.ASK_TARGET,), 7),
)

WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World(FIRST_WORLD, FAMILIES, tries=1),
        World("arithmetic-wide", _in_turn(FAMILIES, NEW)),
        World("arithmetic-narrow", NARROW),
        World("arithmetic-new", NEW),
        World("arithmetic-other", OTHER),
        World("arithmetic-unseen", UNSEEN, splits=("test",)),
        World("arithmetic-hard", HARD, range(5, 7)),
        World("arithmetic-deep", DEEP, range(7, 10)),
        World("arithmetic-deep-2", DEEP, range(7, 10)),
    )
}
PROMPT_SETS = (FIRST_WORLD, "arithmetic-wide", "arithmetic-narrow")
"""What `data.prompts` may name."""
BENCHMARKS = tuple(name for name in WORLDS if name not in ("arithmetic-wide", "arithmetic-narrow"))
"""What `evaluate.benchmarks` may name; always the split `test`."""
