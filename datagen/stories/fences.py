"""A new family: the way around a garden, what of it needs a fence, and what that takes."""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import Part, StepPattern, numbers

LONG_AND_WIDE = Part(
    train=(
        "A garden is {a} feet long and {b} feet wide, and {who} puts a fence around it.",
        "{who} puts a fence around a garden that is {a} feet long and {b} feet wide.",
    ),
    test=("Around a garden that is {a} feet long and {b} feet wide {who} puts a fence.",),
    numbers=numbers(a=range(4, 26), b=range(3, 21), d=range(2, 3)),
    steps=(
        StepPattern(
            "a + b",
            ("One long and one wide side are {eq}.", "Half of the way around is {eq}."),
            (
                "A long side and a wide side are half of the way around, so we add: {eq}.",
                "We add the two sides, {a} and {b}: {eq}.",
            ),
            "a long side and a wide side together are half of the way around, so they are added",
        ),
        StepPattern(
            "r1 * d",
            ("All around it is {eq}.", "The way around is {eq}."),
            (
                "Each side is there twice, so we multiply: {eq}.",
                "The way around is twice as long: {eq} feet.",
            ),
            "each side of the garden is there twice, so half of the way is multiplied",
        ),
    ),
    start="a",
)

SQUARE = Part(
    train=(
        "A garden has four sides of {a} feet each, and {who} puts a fence around it.",
        "{who} puts a fence around a garden with four sides of {a} feet each.",
    ),
    test=("Around a garden with four sides of {a} feet each {who} puts a fence.",),
    numbers=numbers(a=range(3, 26), d=range(4, 5)),
    steps=(
        StepPattern(
            "a * d",
            ("All around it is {eq}.", "The way around is {eq}."),
            (
                "There are four sides of {a} feet, so we multiply: {eq}.",
                "Four times {a} feet are {eq} feet.",
            ),
            "there are four sides of {a} feet each, so this is a multiplication",
        ),
    ),
    start="a",
)

GATE = Part(
    train=("A gate takes {n} feet of it.", "For a gate {n} feet are left open."),
    test=("{n} feet of it are left open for a gate.",),
    numbers=numbers(n=range(2, 9)),
    steps=(
        StepPattern(
            "now - n",
            ("Without the gate it is {eq}.",),
            (
                "The gate of {n} feet needs no fence, so we subtract: {eq}.",
                "We take the {n} feet of the gate away: {eq}.",
            ),
            "the gate of {n} feet needs no fence, so it is taken away",
        ),
    ),
)

OLD_FENCE = Part(
    train=("On {n} feet an old fence stays.", "{n} feet of the old fence are still good."),
    test=("On {n} feet the old fence is still good.",),
    numbers=numbers(n=range(5, 21)),
    steps=(
        StepPattern(
            "now - n",
            ("Without the old fence it is {eq}.",),
            (
                "On {n} feet there is a fence, so we subtract them: {eq}.",
                "We take the {n} feet of the old fence away: {eq}.",
            ),
            "on {n} feet there is an old fence, so they are taken away",
        ),
    ),
)

ASK_FEET = Part(
    train=("How many feet of new fence does {who} need?", "How long is the new fence?"),
    test=("How many feet long is the new fence?",),
    numbers=numbers(),
)

ASK_FENCE_PRICE = Part(
    train=(
        "A foot of new fence costs {k} dollars. How much does {who} pay?",
        "How much does the new fence cost for {k} dollars a foot?",
    ),
    test=("For {k} dollars a foot, how much does {who} pay for the new fence?",),
    numbers=numbers(k=range(2, 5)),
    steps=(
        StepPattern(
            "now * k",
            ("The fence costs {eq}.", "For all feet it is {eq}."),
            (
                "Each foot costs {k} dollars, so we multiply: {eq}.",
                "All feet for {k} dollars each cost {eq} dollars.",
            ),
            "each foot costs {k} dollars, so this is a multiplication",
        ),
    ),
)

ASK_BOARDS = Part(
    train=(
        "A board is {k} feet long. How many boards does the new fence need?",
        "The new fence is made of boards of {k} feet. How many boards does {who} need?",
    ),
    test=("How many boards of {k} feet does {who} need for the new fence?",),
    numbers=numbers(k=range(2, 10)),
    steps=(
        StepPattern(
            "now / k",
            ("The number of boards is {eq}.",),
            (
                "Each board takes {k} feet, so we divide: {eq}.",
                "We count how often {k} feet fit in: {eq} boards.",
            ),
            "every board takes {k} feet, so this is a division",
        ),
    ),
)

FENCES = Family(
    "fences",
    (LONG_AND_WIDE, SQUARE),
    (GATE, OLD_FENCE),
    (ASK_FEET, ASK_FENCE_PRICE, ASK_BOARDS),
    max_events=2,
)
