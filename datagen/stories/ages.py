"""A new family: ages. What was some years ago is added, what will be is taken away again."""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import TIMES, Part, StepPattern, numbers

AGE_NOW = Part(
    train=("{who} is {a} years old.", "Today {who} is {a} years old."),
    test=("Today the age of {who} is {a} years.",),
    numbers=numbers(a=range(5, 41)),
    start="a",
)

AGE_AGO = Part(
    train=(
        "{n} years ago {who} was {a} years old.",
        "{who} was {a} years old {n} years ago.",
        "The age of {who} was {a} years, but that was {n} years ago.",
    ),
    test=("It was {n} years ago that {who} was {a} years old.",),
    numbers=numbers(a=range(4, 31), n=range(2, 13)),
    steps=(
        StepPattern(
            "a + n",
            ("Today {who} is {eq}.", "The age of {who} is {eq}."),
            (
                "That was {n} years ago, so we add them: {eq}.",
                "In the {n} years since then {who} got older: {eq}.",
            ),
            "that was {n} years ago, so they are added to the age of {who}",
        ),
    ),
    start="a",
)

AGE_WILL_BE = Part(
    train=(
        "In {n} years {who} will be {a} years old.",
        "{who} will be {a} years old in {n} years.",
        "The age of {who} will be {a} years, but that is in {n} years.",
    ),
    test=("It is in {n} years that {who} will be {a} years old.",),
    numbers=numbers(a=range(12, 41), n=range(2, 11)),
    steps=(
        StepPattern(
            "a - n",
            ("Today {who} is {eq}.", "The age of {who} is {eq}."),
            (
                "That is only in {n} years, so we subtract them: {eq}.",
                "Today {who} is {n} years younger than that: {eq}.",
            ),
            "that is only in {n} years, so they are taken away from the age",
        ),
    ),
    start="a",
)

OLDER = Part(
    train=("{other} is {k} years older than {who}.", "{other} is older by {k} years."),
    test=("{other} is older than {who} by {k} years.",),
    numbers=numbers(k=range(2, 31)),
    steps=(
        StepPattern(
            "now + k",
            ("The age of {other} is {eq}.", "{other} is {eq}."),
            (
                "{other} is {k} years older, so we add: {eq}.",
                "Older means adding, so {other} is {eq} years old.",
            ),
            "{other} is {k} years older than {who}, so they are added to the age of {who}",
        ),
    ),
)

YOUNGER = Part(
    train=("{other} is {k} years younger than {who}.", "{other} is younger by {k} years."),
    test=("{other} is younger than {who} by {k} years.",),
    numbers=numbers(k=range(2, 21)),
    steps=(
        StepPattern(
            "now - k",
            ("The age of {other} is {eq}.", "{other} is {eq}."),
            (
                "{other} is {k} years younger, so we subtract: {eq}.",
                "Younger means subtracting, so {other} is {eq} years old.",
            ),
            "{other} is {k} years younger than {who}, so they are taken away from the age of {who}",
        ),
    ),
)

TIMES_AS_OLD = Part(
    train=("{other} is {t} as old as {who}.", "{other} is {t} as old."),
    test=("The age of {other} is {t} that of {who}.",),
    numbers=numbers(t=TIMES),
    steps=(
        StepPattern(
            "now * t",
            ("The age of {other} is {eq}.", "{other} is {eq}."),
            (
                "{other} is {t} as old as {who}, so we multiply: {eq}.",
                "As {t} as old means multiplying, {other} is {eq} years old.",
            ),
            "{other} is {t} as old as {who}, so the age of {who} is multiplied",
        ),
    ),
)

ASK_AGE_IN = Part(
    train=(
        "How old will {other} be in {n} years?",
        "What will be the age of {other} in {n} years?",
    ),
    test=("In {n} years, how old will {other} be?",),
    numbers=numbers(n=range(2, 21)),
    steps=(
        StepPattern(
            "now + n",
            ("In some years {other} is {eq}.", "Later the age is {eq}."),
            (
                "In {n} years {other} is older, so we add: {eq}.",
                "The question is about {n} years later: {eq}.",
            ),
            "the question is about {n} years later, so they are added",
        ),
    ),
)

ASK_AGE_AGO = Part(
    train=("How old was {other} {n} years ago?", "What was the age of {other} {n} years ago?"),
    test=("The question is how old {other} was {n} years ago.",),
    numbers=numbers(n=range(2, 13)),
    steps=(
        StepPattern(
            "now - n",
            ("Some years ago {other} was {eq}.", "Before that the age was {eq}."),
            (
                "{n} years ago {other} was younger, so we subtract: {eq}.",
                "The question is about {n} years before: {eq}.",
            ),
            "the question is about {n} years before, so they are taken away",
        ),
    ),
)

ASK_YEARS_UNTIL = Part(
    train=(
        "In how many years will {other} be {k} years old?",
        "How many years does it take until {other} is {k} years old?",
    ),
    test=("How many years are missing until {other} will be {k} years old?",),
    numbers=numbers(k=range(30, 101)),
    steps=(
        StepPattern(
            "k - now",
            ("Still missing are {eq}.", "To reach it {eq} are missing."),
            (
                "{other} is to be {k}, so we subtract the age: {eq}.",
                "The years that are missing are the difference to {k}: {eq}.",
            ),
            "the years that are missing are the difference between {k} and the age",
        ),
    ),
)

_COMPARED = (OLDER, YOUNGER, TIMES_AS_OLD)

AGES = Family(
    "ages",
    (AGE_NOW, AGE_AGO, AGE_WILL_BE),
    _COMPARED,
    (ASK_AGE_IN, ASK_AGE_AGO, ASK_YEARS_UNTIL),
    max_events=1,
    hallmarks=_COMPARED,
)
