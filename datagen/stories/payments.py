"""What happens in the middle of a story about money: buying, saving, spending."""

from __future__ import annotations

from datagen.stories.parts import PERCENTS, Part, StepPattern, numbers

MORE_GOODS = Part(
    train=(
        "{He} also buys {a} {goods} for {b} dollars each.",
        "Then {who} takes {a} {goods} that cost {b} dollars each.",
    ),
    test=("Then {who} also takes {a} {goods} for {b} dollars each.",),
    numbers=numbers(a=range(2, 8), b=range(2, 10)),
    steps=(
        StepPattern(
            "a * b",
            ("The {goods} cost {eq}.", "For the {goods} it is {eq}."),
            (
                "Each of the {a} {goods} costs {b} dollars, so we multiply: {eq}.",
                "{a} {goods} for {b} dollars each cost {eq} dollars.",
            ),
            "each of the {a} {goods} costs {b} dollars, so this is a multiplication",
        ),
        StepPattern(
            "now + r1",
            ("Both together cost {eq}.", "Together it is {eq}."),
            (
                "Both are paid, so we add the prices: {eq} dollars.",
                "We add this to the price before: {eq}.",
            ),
            "everything in the basket is paid, so the prices are added",
        ),
    ),
)

ONE_MORE_THING = Part(
    train=(
        "{He} also buys a bag for {n} dollars.",
        "Then {who} takes a lamp that costs {n} dollars.",
    ),
    test=("Then {who} also buys a lamp for {n} dollars.",),
    numbers=numbers(n=range(2, 20)),
    steps=(
        StepPattern(
            "now + n",
            ("Both together cost {eq}.", "Together it is {eq}."),
            (
                "This costs {n} dollars more, so we add: {eq}.",
                "We add the {n} dollars to the price before: {eq}.",
            ),
            "the {n} dollars are paid as well, so they are added to the price",
        ),
    ),
)

DISCOUNT = Part(
    train=("The shop takes {p} off the price.", "{He} pays {p} less than that."),
    test=("The shop takes off {p}.",),
    numbers=numbers(p=PERCENTS),
    steps=(
        StepPattern(
            "now / p",
            ("Of the price {p} is {eq}.",),
            (
                "To find {p} of the price we divide: {eq}.",
                "First we find what the shop takes off, {p}: {eq}.",
            ),
            "{p} of the price is one part out of equal parts, so it is found by a division",
        ),
        StepPattern(
            "now - r1",
            ("After that the price is {eq}.",),
            (
                "The price gets lower by that, so we subtract: {eq}.",
                "We take this off the price: {eq} dollars.",
            ),
            "what the shop takes off makes the price lower, so it is subtracted",
        ),
    ),
)

EARN_MORE = Part(
    train=("Then {other} gives {who} {n} dollars.", "{He} also finds {n} dollars."),
    test=("Then {who} also gets {n} dollars.",),
    numbers=numbers(n=range(2, 25)),
    steps=(
        StepPattern(
            "now + n",
            ("With the new money it is {eq}.", "Then there are {eq} dollars."),
            (
                "{n} dollars come on top, so we add: {eq}.",
                "We add the {n} dollars to the money before: {eq}.",
            ),
            "the {n} dollars come on top of the money so far, so they are added",
        ),
    ),
)

SPEND = Part(
    train=("{He} pays {n} dollars for a lamp.", "Then {who} spends {n} dollars on food."),
    test=("Then {he} spends {n} dollars on a lamp.",),
    numbers=numbers(n=range(2, 25)),
    steps=(
        StepPattern(
            "now - n",
            ("After paying it is {eq}.", "Then {eq} dollars are left."),
            (
                "{n} dollars are spent, so we subtract: {eq}.",
                "We take the {n} dollars away from the money before: {eq}.",
            ),
            "the {n} dollars are spent, so they are taken away from the money",
        ),
    ),
)
