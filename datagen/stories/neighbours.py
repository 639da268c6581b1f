"""Two new families about what another one has: told the other way round, and as an average.

"Mia has 24, which is three times as many as Tom has" wants a division, though it says "times".
"""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import FRACTIONS, TIMES, Part, StepPattern, numbers

TIMES_BACK = Part(
    train=(
        "{who} has {a} {things}, which is {t} as many as {other} has.",
        "{who} has {a} {things}. That is {t} as many as {other} has.",
    ),
    test=("With {a} {things} {who} has {t} as many as {other} has.",),
    numbers=numbers(a=range(8, 91), t=TIMES),
    steps=(
        StepPattern(
            "a / t",
            ("{other} has {eq}.", "So {other} starts with {eq}."),
            (
                "{who} has {t} as many as {other}, so for {other} we divide: {eq}.",
                "The {a} of {who} are {t} the amount of {other}, so {other} has {eq}.",
            ),
            "the {a} of {who} are {t} the amount of {other}, so the way back is a division",
        ),
    ),
    start="a",
)

MORE_BACK = Part(
    train=(
        "{who} has {a} {things}, which is {k} more than {other} has.",
        "{who} has {a} {things}. That is {k} more than {other} has.",
    ),
    test=("With {a} {things} {who} has {k} more than {other} has.",),
    numbers=numbers(a=range(12, 61), k=range(2, 21)),
    steps=(
        StepPattern(
            "a - k",
            ("{other} has {eq}.", "So {other} starts with {eq}."),
            (
                "{who} has {k} more than {other}, so for {other} we subtract: {eq}.",
                "{other} has {k} fewer than the {a} of {who}: {eq}.",
            ),
            "{who} has {k} more than {other}, so the way back to {other} is a subtraction",
        ),
    ),
    start="a",
)

FEWER_BACK = Part(
    train=(
        "{who} has {a} {things}, which is {k} fewer than {other} has.",
        "{who} has {a} {things}. That is {k} fewer than {other} has.",
    ),
    test=("With {a} {things} {who} has {k} fewer than {other} has.",),
    numbers=numbers(a=range(5, 46), k=range(2, 21)),
    steps=(
        StepPattern(
            "a + k",
            ("{other} has {eq}.", "So {other} starts with {eq}."),
            (
                "{who} has {k} fewer than {other}, so for {other} we add: {eq}.",
                "{other} has {k} more than the {a} of {who}: {eq}.",
            ),
            "{who} has {k} fewer than {other}, so the way back to {other} is an addition",
        ),
    ),
    start="a",
)

PART_BACK = Part(
    train=(
        "{other} gives {f} of the {things} to {who}, and that is {a} {things}.",
        "{who} gets {a} {things} from {other}, which is {f} of what {other} had.",
    ),
    test=("From {other} {who} gets {f} of the {things}, which is {a} {things}.",),
    numbers=numbers(f=FRACTIONS, a=range(3, 26)),
    steps=(
        StepPattern(
            "a * f",
            ("Before that {other} had {eq}.",),
            (
                "The {a} are only {f} of all {things}, so for all of them we multiply: {eq}.",
                "All parts are as big as this one, so {other} had {eq}.",
            ),
            "the {a} are only {f} of what {other} had, so the way back is a multiplication",
        ),
        StepPattern(
            "r1 - a",
            ("Of them {other} keeps {eq}.",),
            (
                "These {a} {things} are gone, so we subtract: {eq}.",
                "We take the {a} {things} away from what {other} had: {eq}.",
            ),
            "the {a} {things} are gone, so they are taken away from what {other} had",
        ),
    ),
    start="a",
)

AVERAGE_OF_TWO = Part(
    train=(
        "{who} has {a} {things}, {other} has {b}. The bag holds the average of the two.",
        "In a bag is the average of the {a} {things} of {who} and the {b} of {other}.",
    ),
    test=("A bag holds the average of the {a} {things} of {who} and the {b} of {other}.",),
    numbers=numbers(a=range(3, 46), b=range(3, 46), d=range(2, 3)),
    steps=(
        StepPattern(
            "a + b",
            ("Both amounts are {eq}.", "Together it is {eq}."),
            (
                "For an average we first add the amounts: {eq}.",
                "The average needs the sum of {a} and {b} first: {eq}.",
            ),
            "an average begins with the sum of the amounts, {a} and {b}",
        ),
        StepPattern(
            "r1 / d",
            ("The average is {eq}.",),
            (
                "There are two amounts, so we divide by two: {eq}.",
                "The average of two is half of the sum: {eq}.",
            ),
            "the average of two amounts is half of their sum, so this is a division",
        ),
    ),
    start="a",
)

AVERAGE_OF_THREE = Part(
    train=(
        "{who} finds {a}, {b} and {c} {things} on three days. The bag holds the average.",
        "In a bag is the average of three days with {a}, {b} and {c} {things}.",
    ),
    test=("A bag holds the average of three days on which {who} finds {a}, {b} and {c} {things}.",),
    numbers=numbers(a=range(3, 31), b=range(3, 31), c=range(3, 31), d=range(3, 4)),
    steps=(
        StepPattern(
            "a + b",
            ("The first two are {eq}.", "Two days are {eq}."),
            (
                "For an average we add all amounts, first {a} and {b}: {eq}.",
                "The average needs the sum of all, first {a} and {b}: {eq}.",
            ),
            "an average begins with the sum of all amounts, first {a} and {b}",
        ),
        StepPattern(
            "r1 + c",
            ("All three are {eq}.", "Three days are {eq}."),
            (
                "The third amount, {c}, comes on top: {eq}.",
                "We add the {c} as well: {eq}.",
            ),
            "the third amount, {c}, belongs to the sum as well",
        ),
        StepPattern(
            "r2 / d",
            ("The average is {eq}.",),
            (
                "There are three amounts, so we divide by three: {eq}.",
                "The average of three is a third of the sum: {eq}.",
            ),
            "the average of three amounts is a third of their sum, so this is a division",
        ),
    ),
    start="a",
)

OTHER_GAINS = Part(
    train=("Then {other} gets {n} more.", "After that {other} finds {n} {things}."),
    test=("After that {other} gets {n} more {things}.",),
    numbers=numbers(n=range(2, 20)),
    steps=(
        StepPattern(
            "now + n",
            ("With the new ones it is {eq}.", "Then {other} has {eq}."),
            (
                "{n} {things} come on top, so we add: {eq}.",
                "We add the {n} to what {other} has: {eq}.",
            ),
            "the {n} {things} come on top of what {other} has, so they are added",
        ),
    ),
)

OTHER_LOSES = Part(
    train=("Then {other} loses {n} of them.", "After that {other} gives {n} {things} away."),
    test=("After that {other} loses {n} {things}.",),
    numbers=numbers(n=range(2, 20)),
    steps=(
        StepPattern(
            "now - n",
            ("Without those it is {eq}.", "Then {other} has {eq}."),
            (
                "{n} {things} are gone, so we subtract: {eq}.",
                "We take the {n} away from what {other} has: {eq}.",
            ),
            "{n} {things} are gone, so they are taken away from what {other} has",
        ),
    ),
)

ASK_OTHER_NOW = Part(
    train=(
        "How many {things} does {other} have?",
        "How many of the {things} does {other} have now?",
    ),
    test=("How many of the {things} does {other} have?",),
    numbers=numbers(),
)

ASK_OTHER_PACKS = Part(
    train=(
        "{other} puts them in bowls of {k}. How many bowls are that?",
        "How many bowls with {k} {things} each can {other} fill?",
    ),
    test=("{other} puts them in bowls of {k}. How many bowls can {other} fill?",),
    numbers=numbers(k=range(2, 9)),
    steps=(
        StepPattern(
            "now / k",
            ("The number of bowls is {eq}.",),
            (
                "Each bowl takes {k} {things}, so we divide: {eq}.",
                "We count how often {k} {things} fit in: {eq} bowls.",
            ),
            "every bowl takes {k} {things}, so this is a division",
        ),
    ),
)

ASK_IN_BAG = Part(
    train=("How many {things} are in the bag?", "What is the number of {things} in the bag?"),
    test=("How many of the {things} are in the bag?",),
    numbers=numbers(),
)

ASK_SEVERAL_BAGS = Part(
    train=(
        "There are {k} such bags. How many {things} do they hold?",
        "How many {things} are in {k} such bags?",
    ),
    test=("How many {things} do {k} such bags hold?",),
    numbers=numbers(k=range(2, 6)),
    steps=(
        StepPattern(
            "now * k",
            ("The bags hold {eq}.",),
            (
                "All {k} bags hold the same, so we multiply: {eq}.",
                "{k} times as many are in all bags: {eq}.",
            ),
            "there are {k} such bags, so this is a multiplication",
        ),
    ),
)

TURNED_ROUND = Family(
    "turned round",
    (TIMES_BACK, MORE_BACK, FEWER_BACK, PART_BACK),
    (OTHER_GAINS, OTHER_LOSES),
    (ASK_OTHER_NOW, ASK_OTHER_PACKS),
)
AVERAGES = Family(
    "averages",
    (AVERAGE_OF_TWO, AVERAGE_OF_THREE),
    (),
    (ASK_IN_BAG, ASK_SEVERAL_BAGS),
    max_events=0,
)
