"""Which openings, events and questions make a story together, and who and what it is about."""

from __future__ import annotations

from dataclasses import dataclass

from datagen.stories import events as ev
from datagen.stories import openings as op
from datagen.stories import payments as pay
from datagen.stories import questions as qu
from datagen.stories.parts import Part


@dataclass(frozen=True)
class Family:
    """Kinds of stories that belong together: which parts may follow each other."""

    name: str
    openings: tuple[Part, ...]
    events: tuple[Part, ...]
    questions: tuple[Part, ...]
    max_events: int = 2
    hallmarks: tuple[Part, ...] = ()
    """A story of the family has at least one of these."""


FAMILIES = (
    Family("stock", (op.START, op.TWO_KINDS), (ev.GAIN, ev.LOSE), (qu.ASK_NOW, qu.ASK_MORE), 3),
    Family("groups", (op.GROUPS, op.GROUPS_AND_LOOSE), (ev.GAIN, ev.LOSE), (qu.ASK_NOW,)),
    Family(
        "sharing",
        (op.START, op.TWO_KINDS, op.GROUPS),
        (ev.GAIN, ev.LOSE, ev.GAIN_GROUPS),
        (qu.ASK_SHARE, qu.ASK_PACKS),
    ),
    Family(
        "daily",
        (op.DAILY, op.START),
        (ev.USE_DAILY, ev.GAIN, ev.LOSE),
        (qu.ASK_NOW, qu.ASK_PACKS),
        hallmarks=(op.DAILY, ev.USE_DAILY),
    ),
    Family(
        "fractions",
        (op.START, op.GROUPS, op.TWO_KINDS),
        (ev.LOSE_HALF, ev.LOSE_FRACTION, ev.GAIN),
        (qu.ASK_NOW, qu.ASK_SALE),
        hallmarks=(ev.LOSE_HALF, ev.LOSE_FRACTION),
    ),
    Family(
        "percent",
        (op.START, op.DAILY),
        (ev.LOSE_PERCENT, ev.GAIN, ev.LOSE),
        (qu.ASK_NOW,),
        hallmarks=(ev.LOSE_PERCENT,),
    ),
    Family(
        "dozens and weeks",
        (op.DOZENS, op.WEEKLY),
        (ev.LOSE, ev.GAIN, ev.LOSE_HALF),
        (qu.ASK_NOW, qu.ASK_SHARE),
    ),
    Family(
        "comparison",
        (op.START, op.TWO_KINDS),
        (ev.GAIN, ev.LOSE),
        (qu.ASK_WITH_MORE, qu.ASK_WITH_FEWER, qu.ASK_WITH_TIMES),
    ),
    Family(
        "growth",
        (op.START, op.GROUPS),
        (ev.GROW_TIMES, ev.GAIN, ev.LOSE),
        (qu.ASK_NOW, qu.ASK_SALE),
        hallmarks=(ev.GROW_TIMES,),
    ),
    Family(
        "target",
        (op.START, op.GROUPS, op.DAILY),
        (ev.GAIN, ev.LOSE, ev.GAIN_GROUPS),
        (qu.ASK_TARGET,),
    ),
    Family("selling", (op.GROUPS, op.DAILY, op.START), (ev.LOSE, ev.GAIN), (qu.ASK_SALE,)),
    Family(
        "shopping",
        (op.PRICE,),
        (pay.MORE_GOODS, pay.ONE_MORE_THING, pay.DISCOUNT),
        (qu.ASK_PRICE, qu.ASK_CHANGE),
    ),
    Family(
        "earning",
        (op.WAGE, op.SAVINGS),
        (pay.EARN_MORE, pay.SPEND),
        (qu.ASK_MONEY, qu.ASK_SAVING_GOAL),
    ),
)

PEOPLE = (
    ("Mia", "She"), ("Tom", "He"), ("Anna", "She"), ("Ben", "He"), ("Lily", "She"), ("Sam", "He"),
    ("Emma", "She"), ("Max", "He"), ("Nora", "She"), ("Leo", "He"), ("Ruth", "She"), ("Paul", "He"),
)  # fmt: skip
THINGS = (
    "apples", "books", "cards", "shells", "coins", "stamps",
    "cookies", "pencils", "stickers", "beads", "plums", "toys",
)  # fmt: skip
GROUP_WORDS = ("boxes", "bags", "baskets", "bowls")
