"""How a story ends: what is asked, and the last step it takes."""

from __future__ import annotations

from datagen.stories.parts import TIMES, Part, StepPattern, numbers

ASK_NOW = Part(
    train=(
        "How many {things} does {who} have now?",
        "How many {things} are there in the end?",
        "What is the number of {things} now?",
    ),
    test=("What is the number of {things} in the end?", "How many {things} are there now?"),
    numbers=numbers(),
)

ASK_SHARE = Part(
    train=(
        "{He} shares them equally among {k} friends. How many {things} does each friend get?",
        "All {things} go to {k} children in equal parts. How many {things} does each child get?",
    ),
    test=("{He} shares all {things} equally among {k} children. How many does each child get?",),
    numbers=numbers(k=range(2, 9)),
    steps=(
        StepPattern(
            "now / k",
            ("Each one gets {eq}.",),
            (
                "They are shared equally among {k}, so we divide: {eq}.",
                "Equal parts for {k} mean a division: {eq}.",
            ),
            "the {things} are shared equally among {k}, so this is a division",
        ),
    ),
)

ASK_PACKS = Part(
    train=(
        "{He} puts {k} {things} in each bag. How many bags are filled?",
        "A bag holds {k} {things}. How many bags does {who} need?",
    ),
    test=("{He} puts {k} {things} in each bag. How many bags does {who} need?",),
    numbers=numbers(k=range(2, 9)),
    steps=(
        StepPattern(
            "now / k",
            ("The number of bags is {eq}.",),
            (
                "Each bag takes {k} {things}, so we divide: {eq}.",
                "We count how often {k} {things} fit in: {eq} bags.",
            ),
            "every bag takes {k} {things}, so this is a division",
        ),
    ),
)

ASK_SALE = Part(
    train=(
        "{He} sells all of them for {k} dollars each. How much money does {who} get?",
        "Each one is sold for {k} dollars. How many dollars is that?",
    ),
    test=("{He} sells all {things} for {k} dollars each. How many dollars is that?",),
    numbers=numbers(k=range(2, 6)),
    steps=(
        StepPattern(
            "now * k",
            ("The money is {eq}.", "Selling them brings {eq}."),
            (
                "Each one brings {k} dollars, so we multiply: {eq}.",
                "All of them sold for {k} dollars each bring {eq} dollars.",
            ),
            "each one brings {k} dollars, so this is a multiplication",
        ),
    ),
)

ASK_TARGET = Part(
    train=(
        "{who} wants to have {k} {things}. How many {things} are still missing?",
        "How many more {things} does {who} need to have {k}?",
    ),
    test=("{who} wants to have {k}. How many more {things} does {he} need?",),
    numbers=numbers(k=range(30, 101)),
    steps=(
        StepPattern(
            "k - now",
            ("Still missing are {eq}.", "To reach it {eq} are missing."),
            (
                "{who} wants {k}, so we subtract what is there: {eq}.",
                "What is missing is the difference to {k}: {eq}.",
            ),
            "what is missing is the difference between the wanted number and what is there",
        ),
    ),
)

ASK_MORE = Part(
    train=(
        "{other} has {k} {things}. How many more {things} does {who} have than {other}?",
        "{other} has only {k} {things}. How many fewer is that?",
    ),
    test=("{other} has only {k} {things}. How many more does {who} have?",),
    numbers=numbers(k=range(3, 31)),
    steps=(
        StepPattern(
            "now - k",
            ("The difference is {eq}.",),
            (
                "To compare with the {k} of {other} we subtract: {eq}.",
                "How many more is a difference: {eq}.",
            ),
            "comparing two amounts asks for their difference",
        ),
    ),
)

_TOGETHER = StepPattern(
    "now + r1",
    ("Together they have {eq}.",),
    (
        "To find what both have we add: {eq}.",
        "Both together means that we add: {eq} {things}.",
    ),
    "together means that the amounts of both are added",
)

ASK_WITH_MORE = Part(
    train=(
        "{other} has {k} more {things} than {who}. How many {things} do both have together?",
        "{other} has {k} {things} more. How many do they have together?",
    ),
    test=("{other} has {k} more than {who}. How many {things} do they have together?",),
    numbers=numbers(k=range(2, 21)),
    steps=(
        StepPattern(
            "now + k",
            ("{other} has {eq}.",),
            (
                "{other} has {k} more than {who}, so we add: {eq}.",
                "More means adding, so {other} has {eq} {things}.",
            ),
            "{other} has {k} more than {who}, so they are added to the amount of {who}",
        ),
        _TOGETHER,
    ),
)

ASK_WITH_FEWER = Part(
    train=(
        "{other} has {k} fewer {things} than {who}. How many {things} do both have together?",
        "{other} has {k} {things} fewer. How many do they have together?",
    ),
    test=("{other} has {k} fewer than {who}. How many {things} do they have together?",),
    numbers=numbers(k=range(2, 21)),
    steps=(
        StepPattern(
            "now - k",
            ("{other} has {eq}.",),
            (
                "{other} has {k} fewer than {who}, so we subtract: {eq}.",
                "Fewer means subtracting, so {other} has {eq} {things}.",
            ),
            "{other} has {k} fewer than {who}, so they are taken away from the amount of {who}",
        ),
        _TOGETHER,
    ),
)

ASK_WITH_TIMES = Part(
    train=(
        "{other} has {t} as many {things} as {who}. How many {things} do both have together?",
        "{other} has {t} as many. How many do they have together?",
    ),
    test=("{other} has {t} as many as {who}. How many {things} do they have together?",),
    numbers=numbers(t=TIMES),
    steps=(
        StepPattern(
            "now * t",
            ("{other} has {eq}.",),
            (
                "{other} has {t} as many as {who}, so we multiply: {eq}.",
                "As {t} as many means multiplying, {other} has {eq} {things}.",
            ),
            "{other} has {t} as many as {who}, so the amount of {who} is multiplied",
        ),
        _TOGETHER,
    ),
)

ASK_PRICE = Part(
    train=("How much does {who} pay?", "How many dollars does all this cost?"),
    test=("How many dollars does {who} pay?",),
    numbers=numbers(),
)

ASK_CHANGE = Part(
    train=(
        "{He} pays with {k} dollars. How much money does {who} get back?",
        "{who} had {k} dollars before. How many dollars are left?",
    ),
    test=("{He} had {k} dollars before. How much money is left?",),
    numbers=numbers(k=range(30, 101)),
    steps=(
        StepPattern(
            "k - now",
            ("What comes back is {eq}.", "Of the money {eq} is left."),
            (
                "From the {k} dollars we subtract the price: {eq}.",
                "What is left is the difference to {k} dollars: {eq}.",
            ),
            "the price is taken away from the {k} dollars",
        ),
    ),
)

ASK_MONEY = Part(
    train=("How much money does {who} have now?", "How many dollars are there in the end?"),
    test=("How many dollars does {who} have now?",),
    numbers=numbers(),
)

ASK_SAVING_GOAL = Part(
    train=(
        "A bike costs {k} dollars. How much money is still missing?",
        "{who} wants a bike for {k} dollars. How many more dollars does {he} need?",
    ),
    test=("A bike costs {k} dollars. How many more dollars does {who} need?",),
    numbers=numbers(k=range(30, 101)),
    steps=(
        StepPattern(
            "k - now",
            ("Still missing are {eq}.", "To reach it {eq} are missing."),
            (
                "The bike costs {k} dollars, so we subtract the money that is there: {eq}.",
                "What is missing is the difference to {k} dollars: {eq}.",
            ),
            "what is missing is the difference between the price and the money that is there",
        ),
    ),
)
