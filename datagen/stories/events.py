"""What happens in the middle of a story: things come, go and grow."""

from __future__ import annotations

from datagen.stories.parts import FRACTIONS, HALF, PERCENTS, TIMES, Part, StepPattern, numbers

_ADD_NEW = StepPattern(
    "now + n",
    ("With the new ones it is {eq}.", "Then there are {eq}."),
    (
        "{n} new {things} come on top, so we add: {eq}.",
        "We add the {n} new {things} to the ones before: {eq}.",
    ),
    "the {n} new {things} come on top of what was there, so they are added",
)

_TAKE_AWAY = StepPattern(
    "now - n",
    ("Without those it is {eq}.", "Then {eq} are left."),
    (
        "{n} {things} go away, so we subtract: {eq}.",
        "We take the {n} {things} away from what was there: {eq}.",
    ),
    "{n} {things} are gone, so they are taken away from what was there",
)

GAIN = Part(
    train=(
        "{He} buys {n} more {things}.",
        "Then {other} gives {who} {n} {things}.",
        "After that {who} finds {n} more {things}.",
        "{He} gets {n} new {things}.",
    ),
    test=("Then {who} gets {n} more {things}.", "After that {he} buys {n} new {things}."),
    numbers=numbers(n=range(2, 20)),
    steps=(_ADD_NEW,),
)

LOSE = Part(
    train=(
        "{He} gives {n} {things} to {other}.",
        "Then {who} loses {n} {things}.",
        "After that {who} sells {n} {things}.",
        "{n} of the {things} are thrown away.",
    ),
    test=(
        "Then {he} gives {n} of the {things} to {other}.",
        "After that {who} loses {n} of the {things}.",
    ),
    numbers=numbers(n=range(2, 20)),
    steps=(_TAKE_AWAY,),
)

GAIN_GROUPS = Part(
    train=(
        "{He} buys {a} more {groups} with {b} {things} each.",
        "Then {other} brings {a} {groups} with {b} {things} in each.",
    ),
    test=("Then {who} gets {a} more {groups} with {b} {things} in each.",),
    numbers=numbers(a=range(2, 7), b=range(2, 10)),
    steps=(
        StepPattern(
            "a * b",
            ("The new {groups} hold {eq}.",),
            (
                "Each of the {a} new {groups} holds {b} {things}, so we multiply: {eq}.",
                "{a} new {groups} with {b} {things} each hold {eq} {things}.",
            ),
            "there are {a} new {groups} and each holds {b} {things}, so this is a multiplication",
        ),
        StepPattern(
            "now + r1",
            ("With the new ones it is {eq}.", "Then there are {eq}."),
            (
                "These {things} come on top, so we add: {eq}.",
                "We add them to the {things} before: {eq}.",
            ),
            "the {things} in the new {groups} come on top, so they are added",
        ),
    ),
)

USE_DAILY = Part(
    train=(
        "{He} uses {a} {things} a day for {b} days.",
        "For {b} days {who} gives away {a} {things} a day.",
    ),
    test=("For {b} days {he} uses {a} {things} every day.",),
    numbers=numbers(a=range(2, 8), b=range(2, 8)),
    steps=(
        StepPattern(
            "a * b",
            ("In these days {eq} are used.",),
            (
                "{a} {things} go on each of {b} days, so we multiply: {eq}.",
                "In {b} days with {a} {things} each, {eq} {things} are used.",
            ),
            "{a} {things} go on each of {b} days, so this is a multiplication",
        ),
        StepPattern(
            "now - r1",
            ("Without those it is {eq}.", "Then {eq} are left."),
            (
                "These {things} are gone, so we subtract: {eq}.",
                "We take the used {things} away from what was there: {eq}.",
            ),
            "the used {things} are gone, so they are taken away from what was there",
        ),
    ),
)

LOSE_HALF = Part(
    train=(
        "{He} gives {h} of the {things} to {other}.",
        "Then {who} sells {h} of the {things}.",
        "After that {h} of the {things} are thrown away.",
    ),
    test=(
        "After that {who} gives {h} of the {things} away.",
        "Then {he} loses {h} of the {things}.",
    ),
    numbers=numbers(h=HALF),
    steps=(
        StepPattern(
            "now / h",
            ("The other half is {eq}.", "Half of them is {eq}."),
            (
                "Half of the {things} go away, so we divide by two: {eq}.",
                "One half goes and one half stays, which is {eq}.",
            ),
            "only half of the {things} stay, so the amount is divided by two",
        ),
    ),
)

LOSE_FRACTION = Part(
    train=(
        "{He} gives {k} of the {things} to {other}.",
        "Then {who} sells {k} of the {things}.",
        "After that {k} of the {things} are thrown away.",
    ),
    test=(
        "After that {who} gives {k} of the {things} away.",
        "Then {he} loses {k} of the {things}.",
    ),
    numbers=numbers(k=FRACTIONS),
    steps=(
        StepPattern(
            "now / k",
            ("That part is {eq}.", "Of them {k} is {eq}."),
            (
                "To find {k} of the {things} we divide: {eq}.",
                "First we find the part that goes, {k} of them: {eq}.",
            ),
            "{k} of the {things} is found by a division",
        ),
        StepPattern(
            "now - r1",
            ("Without that part it is {eq}.", "Then {eq} are left."),
            (
                "That part is gone, so we subtract it: {eq}.",
                "We take this part away from what was there: {eq}.",
            ),
            "the part that is gone must be taken away from what was there",
        ),
    ),
)

LOSE_PERCENT = Part(
    train=(
        "{p} of the {things} are thrown away.",
        "Then {who} sells {p} of the {things}.",
        "{He} gives {p} of the {things} to {other}.",
    ),
    test=(
        "After that {who} loses {p} of the {things}.",
        "Then {p} of the {things} are given away.",
    ),
    numbers=numbers(p=PERCENTS),
    steps=(
        StepPattern(
            "now / p",
            ("Of them {p} is {eq}.",),
            (
                "To find {p} of the {things} we divide: {eq}.",
                "First we find the part that goes, {p} of them: {eq}.",
            ),
            "{p} is one part out of equal parts, so it is found by a division",
        ),
        StepPattern(
            "now - r1",
            ("Without that part it is {eq}.", "Then {eq} are left."),
            (
                "That part is gone, so we subtract it: {eq}.",
                "We take this part away from what was there: {eq}.",
            ),
            "the part that is gone must be taken away from what was there",
        ),
    ),
)

GROW_TIMES = Part(
    train=(
        "A week later {who} has {t} as many {things}.",
        "Soon the number of {things} is {t} as big.",
    ),
    test=("Soon {who} has {t} as many {things}.",),
    numbers=numbers(t=TIMES),
    steps=(
        StepPattern(
            "now * t",
            ("So many times more is {eq}.", "Then it grows to {eq}."),
            (
                "There are {t} as many {things}, so we multiply: {eq}.",
                "The amount becomes {t} as big, which is {eq}.",
            ),
            "{t} as many means that the amount is multiplied",
        ),
    ),
)
