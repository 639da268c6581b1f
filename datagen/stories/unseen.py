"""Families that nobody is trained on: they have sentences for the split `test` only.

Rates that work against each other or together, legs of several kinds, and making two amounts even:
each sum is as easy as ever, but which numbers go together must be understood from the story alone.
"""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import FOUR, TWO, Part, Slot, StepPattern, numbers


def unseen(
    *wordings: str, steps: tuple[StepPattern, ...] = (), start: str = "now", **slots: Slot
) -> Part:
    """A part without sentences for training."""
    return Part(train=(), test=wordings, numbers=numbers(**slots), steps=steps, start=start)


def _net(expression: str, reason: str) -> StepPattern:
    return StepPattern(
        expression,
        ("In a minute it is {eq}.",),
        ("In each minute some water comes in and some goes out: {eq}.",),
        reason,
    )


def _over_minutes(factor: str) -> StepPattern:
    return StepPattern(
        factor,
        ("In these minutes it is {eq}.",),
        ("This goes on for {n} minutes, so we multiply: {eq}.",),
        "this goes on for {n} minutes, so it is multiplied",
    )


FILLING = unseen(
    "A barrel of {who} holds {c} buckets of water. For {n} minutes, {a} buckets flow in and {b} flow "
    "out every minute.",
    "{who} has {c} buckets of water in a barrel. Every minute {a} buckets come in and {b} leak out, "
    "for {n} minutes.",
    c=range(5, 41),
    a=range(6, 16),
    b=range(2, 10),
    n=range(2, 9),
    start="c",
    steps=(
        _net("a - b", "of the {a} buckets that come in each minute, {b} go out again"),
        _over_minutes("r1 * n"),
        StepPattern(
            "c + r2",
            ("With the first water it is {eq}.",),
            ("The {c} buckets from before count too, so we add: {eq}.",),
            "the {c} buckets from before count too, so they are added",
        ),
    ),
)

LEAKING = unseen(
    "A barrel of {who} holds {c} buckets of water. For {n} minutes, {b} buckets flow out and {a} flow "
    "in every minute.",
    "{who} has {c} buckets of water in a barrel. Every minute {b} buckets leak out and {a} come in, "
    "for {n} minutes.",
    c=range(40, 101),
    b=range(5, 13),
    a=range(2, 7),
    n=range(2, 9),
    start="c",
    steps=(
        _net("b - a", "of the {b} buckets that go out each minute, {a} come in again"),
        _over_minutes("r1 * n"),
        StepPattern(
            "c - r2",
            ("In the barrel stay {eq}.",),
            ("This water is gone, so we subtract: {eq}.",),
            "this water is gone, so it is taken away from the {c} buckets",
        ),
    ),
)

ASK_WATER = unseen(
    "How many buckets of water are in the barrel then?",
    "How much water, in buckets, does the barrel hold at the end?",
)

ASK_ROOM = unseen(
    "The barrel has room for {k} buckets. For how many more is there room?",
    "At most {k} buckets fit into the barrel. How many buckets can still be added?",
    k=range(40, 121),
    steps=(
        StepPattern(
            "k - now",
            ("There is still room for {eq}.",),
            ("The room that is left is the difference to {k}: {eq}.",),
            "the room that is left is the difference between {k} and the water",
        ),
    ),
)

TOGETHER = unseen(
    "{who} paints {a} boards in an hour and {other} paints {b}. Together they paint {n} boards.",
    "There are {n} boards to paint. {who} manages {a} in an hour, and {other}, who helps, manages {b}.",
    a=range(2, 10),
    b=range(2, 10),
    n=range(12, 101),
    start="n",
    steps=(
        StepPattern(
            "a + b",
            ("In an hour both paint {eq}.",),
            ("They work at the same time, so we add: {eq}.",),
            "they work at the same time, so the {a} and the {b} of an hour are added",
        ),
        StepPattern(
            "n / r1",
            ("The hours are {eq}.",),
            ("Every hour takes that many off the {n}, so we divide: {eq}.",),
            "every hour takes as many as both paint off the {n}, so this is a division",
        ),
    ),
)

CATCHING_UP = unseen(
    "{other} is {n} miles ahead and makes {b} miles an hour. {who} follows with {a} miles an hour "
    "and catches up.",
    "{who} makes {a} miles an hour and runs after {other}, who makes {b} and is {n} miles ahead.",
    n=range(6, 61),
    b=range(2, 9),
    a=range(4, 16),
    start="n",
    steps=(
        StepPattern(
            "a - b",
            ("In an hour it gets less by {eq}.",),
            ("Both go the same way, so only the difference counts: {eq}.",),
            "both go the same way, so only the difference of {a} and {b} counts",
        ),
        StepPattern(
            "n / r1",
            ("The hours are {eq}.",),
            ("Every hour takes that many off the {n} miles, so we divide: {eq}.",),
            "every hour takes the difference off the {n} miles, so this is a division",
        ),
    ),
)

ASK_DURATION = unseen("How many hours does this take?", "After how many hours is that done?")

ASK_HELPERS_PAY = unseen(
    "For each of these hours {who} is paid {k} dollars. How many dollars are that?",
    "What does {who} earn in this time, at {k} dollars for an hour?",
    k=range(2, 11),
    steps=(
        StepPattern(
            "now * k",
            ("The time brings {eq}.",),
            ("Each hour brings {k} dollars, so we multiply: {eq}.",),
            "each hour brings {k} dollars, so this is a multiplication",
        ),
    ),
)

LEGS = unseen(
    "{who} sees {a} horses with {f} legs each and {b} birds with {t} legs each.",
    "On a farm are {a} horses and {b} birds; a horse has {f} legs, a bird has {t}.",
    "{who} counts the legs of {b} birds, {t} each, and of {a} horses, {f} each.",
    a=range(2, 12),
    f=FOUR,
    b=range(2, 16),
    t=TWO,
    start="a",
    steps=(
        StepPattern(
            "a * f",
            ("The horses have {eq}.",),
            ("Each of the {a} horses has {f} legs: {eq}.",),
            "each of the {a} horses has {f} legs, so this is a multiplication",
        ),
        StepPattern(
            "b * t",
            ("The birds have {eq}.",),
            ("Each of the {b} birds has {t} legs: {eq}.",),
            "each of the {b} birds has {t} legs, so this is a multiplication",
        ),
        StepPattern(
            "r1 + r2",
            ("All of them have {eq}.",),
            ("The legs of both kinds are added: {eq}.",),
            "the legs of both kinds count, so they are added",
        ),
    ),
)

ASK_LEGS = unseen("How many legs are that?", "What is the number of legs?")

ASK_RINGS = unseen(
    "Every leg gets {k} rings. How many rings does {who} need?",
    "{who} puts {k} rings on every leg. How many rings are that?",
    k=range(2, 5),
    steps=(
        StepPattern(
            "now * k",
            ("The rings are {eq}.",),
            ("Every leg gets {k} rings, so we multiply: {eq}.",),
            "every leg gets {k} rings, so this is a multiplication",
        ),
    ),
)

MAKING_EVEN = unseen(
    "{who} has {a} {things} and {other} has {b}. {who} hands over so many that both have the same.",
    "With {a} {things} for {who} and {b} for {other}, {who} hands some over until it is even.",
    a=range(14, 61),
    b=range(2, 41),
    d=range(2, 3),
    start="a",
    steps=(
        StepPattern(
            "a - b",
            ("{who} has more by {eq}.",),
            ("Only what {who} has more can be handed over, so we subtract: {eq}.",),
            "only what {who} has more than {other} counts, the difference of {a} and {b}",
        ),
        StepPattern(
            "r1 / d",
            ("Half of that is {eq}.",),
            ("Half of the difference goes over and half stays: {eq}.",),
            "half of the difference goes over and half stays, so this is a division by two",
        ),
    ),
)

ASK_HANDED_OVER = unseen(
    "How many {things} does {who} hand over?", "How many {things} go from {who} to {other}?"
)

ASK_LEFT_OVER = unseen(
    "{k} of these get lost on the way. How many of them reach {other}?",
    "On the way {k} of these are lost. How many {things} does {other} get?",
    k=range(1, 8),
    steps=(
        StepPattern(
            "now - k",
            ("Then {eq} get there.",),
            ("{k} of them are lost on the way, so we subtract: {eq}.",),
            "{k} of them are lost on the way, so they are taken away",
        ),
    ),
)

UNSEEN = (
    Family("barrels", (FILLING, LEAKING), (), (ASK_WATER, ASK_ROOM), max_events=0),
    Family(
        "two at once", (TOGETHER, CATCHING_UP), (), (ASK_DURATION, ASK_HELPERS_PAY), max_events=0
    ),
    Family("legs", (LEGS,), (), (ASK_LEGS, ASK_RINGS), max_events=0),
    Family("making even", (MAKING_EVEN,), (), (ASK_HANDED_OVER, ASK_LEFT_OVER), max_events=0),
)
