"""How a story begins: what is there at first, and the step that counts it."""

from __future__ import annotations

from datagen.stories.parts import DOZEN, WEEKS, Part, StepPattern, numbers

START = Part(
    train=(
        "{who} has {n} {things}.",
        "At first {who} has {n} {things}.",
        "There are {n} {things} in the bag of {who}.",
        "{who} starts with {n} {things}.",
    ),
    test=("At the start {who} has {n} {things}.", "In the bag of {who} are {n} {things}."),
    numbers=numbers(n=range(8, 46)),
    start="n",
)

TWO_KINDS = Part(
    train=(
        "{who} has {a} red {things} and {b} blue {things}.",
        "In a box of {who} are {a} old {things} and {b} new {things}.",
        "{who} found {a} {things} today and {b} {things} the day before.",
    ),
    test=(
        "{who} has {a} old {things} and {b} red {things}.",
        "Today {who} found {a} blue {things} and {b} new {things}.",
    ),
    numbers=numbers(a=range(3, 26), b=range(3, 26)),
    steps=(
        StepPattern(
            "a + b",
            ("Both kinds are {eq}.", "Together it is {eq}."),
            (
                "There are two kinds, {a} and {b}, so we add them: {eq} {things}.",
                "To count all {things} we add both kinds: {eq}.",
            ),
            "both kinds of {things} count, so they are added together",
        ),
    ),
    start="a",
)

_GROUP_STEP = StepPattern(
    "a * b",
    ("In all {groups} there are {eq}.", "The {groups} hold {eq}."),
    (
        "Each of the {a} {groups} holds {b} {things}, so we multiply: {eq}.",
        "{a} {groups} with {b} {things} each hold {eq} {things}.",
    ),
    "there are {a} {groups} and each holds {b} {things}, so this is a multiplication",
)

GROUPS = Part(
    train=(
        "{who} has {a} {groups} with {b} {things} in each.",
        "There are {a} {groups}, and each of them holds {b} {things} of {who}.",
        "{who} fills {a} {groups} with {b} {things} each.",
    ),
    test=(
        "{who} fills {a} {groups}, and each of them holds {b} {things}.",
        "There are {a} {groups} with {b} {things} in each, all of {who}.",
    ),
    numbers=numbers(a=range(2, 10), b=range(3, 13)),
    steps=(_GROUP_STEP,),
    start="a",
)

GROUPS_AND_LOOSE = Part(
    train=(
        "{who} has {a} {groups} with {b} {things} in each and {c} loose {things}.",
        "{who} fills {a} {groups} with {b} {things} each, and {c} {things} do not fit.",
    ),
    test=("{who} has {c} loose {things} and {a} {groups} with {b} {things} in each.",),
    numbers=numbers(a=range(2, 9), b=range(3, 11), c=range(2, 16)),
    steps=(
        _GROUP_STEP,
        StepPattern(
            "r1 + c",
            ("With the loose ones it is {eq}.",),
            (
                "The {c} {things} outside the {groups} count too, so we add: {eq}.",
                "We add the {c} loose {things}: {eq}.",
            ),
            "the {c} {things} outside the {groups} count too, so they are added",
        ),
    ),
    start="a",
)

DOZENS = Part(
    train=(
        "{who} buys {a} {d} {things}.",
        "{who} has {a} {d} {things}.",
        "A shop sends {who} {a} {d} {things}.",
    ),
    test=(
        "In a shop {who} gets {a} {d} {things}.",
        "There are {a} {d} {things} in the bag of {who}.",
    ),
    numbers=numbers(a=range(2, 9), d=DOZEN),
    steps=(
        StepPattern(
            "a * d",
            ("In dozens that is {eq}.", "A dozen is twelve, so it is {eq}."),
            (
                "A dozen is twelve, so {a} dozen {things} are {eq}.",
                "Every dozen has twelve {things}, so we multiply: {eq}.",
            ),
            "a dozen means twelve {things}, so the number of dozens is multiplied by twelve",
        ),
    ),
    start="a",
)

DAILY = Part(
    train=(
        "{who} makes {a} {things} a day for {b} days.",
        "Every day {who} finds {a} {things}, and this goes on for {b} days.",
        "For {b} days {who} gets {a} {things} a day.",
    ),
    test=(
        "For {b} days {who} makes {a} {things} every day.",
        "{who} finds {a} {things} a day, and this goes on for {b} days.",
    ),
    numbers=numbers(a=range(2, 13), b=range(2, 10)),
    steps=(
        StepPattern(
            "a * b",
            ("In these days it is {eq}.", "Over all days that is {eq}."),
            (
                "There are {a} {things} on each of {b} days, so we multiply: {eq}.",
                "{b} days with {a} {things} each give {eq} {things}.",
            ),
            "the {a} {things} come on each of {b} days, so this is a multiplication",
        ),
    ),
    start="a",
)

WEEKLY = Part(
    train=(
        "{who} makes {a} {things} a day for {b} {w}.",
        "Every day {who} finds {a} {things}, and this goes on for {b} {w}.",
    ),
    test=("For {b} {w} {who} gets {a} {things} a day.",),
    numbers=numbers(a=range(2, 7), b=range(2, 5), w=WEEKS),
    steps=(
        StepPattern(
            "b * w",
            ("In days that is {eq}.", "The weeks have {eq} days."),
            (
                "A week has seven days, so {b} weeks are {eq} days.",
                "First we need the days: {b} weeks are {eq} days.",
            ),
            "a week has seven days, so the weeks are turned into days first",
        ),
        StepPattern(
            "r1 * a",
            ("In these days it is {eq}.", "Over all days that is {eq}."),
            (
                "There are {a} {things} on each day, so we multiply: {eq}.",
                "Each of these days gives {a} {things}, so it is {eq}.",
            ),
            "the {a} {things} come on every one of the days, so the days are multiplied",
        ),
    ),
    start="a",
)

PRICE = Part(
    train=(
        "{who} buys {a} {things} for {b} dollars each.",
        "In a shop {who} takes {a} {things} that cost {b} dollars each.",
        "One of the {things} costs {b} dollars, and {who} buys {a} of them.",
    ),
    test=(
        "{who} buys {a} {things} that cost {b} dollars each.",
        "In a shop {who} takes {a} {things} for {b} dollars each.",
    ),
    numbers=numbers(a=range(2, 10), b=range(2, 13)),
    steps=(
        StepPattern(
            "a * b",
            ("The {things} cost {eq}.", "For the {things} it is {eq}."),
            (
                "Each of the {a} {things} costs {b} dollars, so we multiply: {eq}.",
                "{a} {things} for {b} dollars each cost {eq} dollars.",
            ),
            "each of the {a} {things} costs {b} dollars, so this is a multiplication",
        ),
    ),
    start="a",
)

WAGE = Part(
    train=(
        "{who} works {a} hours for {b} dollars an hour.",
        "For an hour of work {who} gets {b} dollars, and {he} works {a} hours.",
    ),
    test=("{who} gets {b} dollars an hour and works {a} hours.",),
    numbers=numbers(a=range(2, 10), b=range(4, 13)),
    steps=(
        StepPattern(
            "a * b",
            ("The work brings {eq}.", "For the hours it is {eq}."),
            (
                "Each of the {a} hours brings {b} dollars, so we multiply: {eq}.",
                "{a} hours with {b} dollars each bring {eq} dollars.",
            ),
            "each of the {a} hours brings {b} dollars, so this is a multiplication",
        ),
    ),
    start="a",
)

SAVINGS = Part(
    train=(
        "{who} has {c} dollars and saves {a} dollars a week for {b} weeks.",
        "With {c} dollars in a box, {who} saves {a} dollars every week for {b} weeks.",
    ),
    test=("{who} has {c} dollars in a box and saves {a} dollars every week for {b} weeks.",),
    numbers=numbers(a=range(2, 13), b=range(2, 9), c=range(5, 31)),
    steps=(
        StepPattern(
            "a * b",
            ("In these weeks it is {eq}.", "The weeks bring {eq}."),
            (
                "Each of the {b} weeks brings {a} dollars, so we multiply: {eq}.",
                "{b} weeks with {a} dollars each bring {eq} dollars.",
            ),
            "each of the {b} weeks brings {a} dollars, so this is a multiplication",
        ),
        StepPattern(
            "c + r1",
            ("With the first money it is {eq}.",),
            (
                "The {c} dollars from before count too, so we add: {eq}.",
                "We add this to the {c} dollars in the box: {eq}.",
            ),
            "the {c} dollars from before count too, so they are added",
        ),
    ),
    start="a",
)
