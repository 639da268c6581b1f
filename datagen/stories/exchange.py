"""A new family: some things are exchanged for others, so many for so many."""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import Part, StepPattern, numbers

EXCHANGE = Part(
    train=(
        "For every {a} {things} {who} gets {b} {goods}, and {he} gives {n} {things}.",
        "{who} gives {n} {things} and gets {b} {goods} for every {a} of them.",
    ),
    test=("{who} gets {b} {goods} for every {a} {things}, and {he} gives {n} {things}.",),
    numbers=numbers(a=range(2, 7), b=range(2, 10), n=range(6, 61)),
    steps=(
        StepPattern(
            "n / a",
            ("The number of parts is {eq}.", "So often it is done: {eq}."),
            (
                "We count how often {a} {things} fit in {n}: {eq}.",
                "{a} {things} always go together, so we divide: {eq}.",
            ),
            "{a} {things} always go together, so the {n} {things} are divided first",
        ),
        StepPattern(
            "r1 * b",
            ("The {goods} are {eq}.", "That brings {eq}."),
            (
                "Each time there are {b} {goods}, so we multiply: {eq}.",
                "Every part brings {b} {goods}, which is {eq}.",
            ),
            "every {a} {things} bring {b} {goods}, so this is a multiplication",
        ),
    ),
    start="n",
)

HAD_GOODS = Part(
    train=("Before that {he} had {n} {goods}.", "{who} had {n} {goods} before."),
    test=("Before that {who} had {n} {goods}.",),
    numbers=numbers(n=range(2, 25)),
    steps=(
        StepPattern(
            "now + n",
            ("With those from before it is {eq}.",),
            (
                "The {n} {goods} from before count too, so we add: {eq}.",
                "We add the {n} {goods} that were there: {eq}.",
            ),
            "the {n} {goods} from before count too, so they are added",
        ),
    ),
)

GIVES_GOODS = Part(
    train=("Then {who} gives {n} {goods} away.", "{n} of the {goods} go to {other}."),
    test=("Then {n} of the {goods} are given away.",),
    numbers=numbers(n=range(2, 20)),
    steps=(
        StepPattern(
            "now - n",
            ("Without those it is {eq}.", "Then {eq} are left."),
            (
                "{n} {goods} go away, so we subtract: {eq}.",
                "We take the {n} {goods} away from what was there: {eq}.",
            ),
            "{n} {goods} are gone, so they are taken away from what was there",
        ),
    ),
)

ASK_GOODS = Part(
    train=("How many {goods} does {who} have now?", "How many {goods} are there in the end?"),
    test=("What is the number of {goods} that {who} has?",),
    numbers=numbers(),
)

ASK_GOODS_SHARED = Part(
    train=(
        "{He} shares the {goods} equally among {k} friends. How many {goods} does each friend get?",
        "All {goods} go to {k} children in equal parts. How many {goods} does each child get?",
    ),
    test=("{He} shares all {goods} equally among {k} friends. How many does each friend get?",),
    numbers=numbers(k=range(2, 9)),
    steps=(
        StepPattern(
            "now / k",
            ("Each one gets {eq}.",),
            (
                "They are shared equally among {k}, so we divide: {eq}.",
                "Equal parts for {k} mean a division: {eq}.",
            ),
            "the {goods} are shared equally among {k}, so this is a division",
        ),
    ),
)

EXCHANGES = Family(
    "exchange",
    (EXCHANGE,),
    (HAD_GOODS, GIVES_GOODS),
    (ASK_GOODS, ASK_GOODS_SHARED),
)
