"""A new family: trips. Speed and time make the way, the way and speed make the time."""

from __future__ import annotations

from datagen.stories.families import Family
from datagen.stories.parts import Part, StepPattern, numbers

_MILES = StepPattern(
    "a * b",
    ("In these hours it is {eq}.", "The hours bring {eq}."),
    (
        "Each of the {b} hours brings {a} miles, so we multiply: {eq}.",
        "{b} hours with {a} miles each are {eq} miles.",
    ),
    "each of the {b} hours brings {a} miles, so this is a multiplication",
)

RIDE = Part(
    train=(
        "{who} rides {a} miles an hour for {b} hours.",
        "For {b} hours {who} rides {a} miles an hour.",
        "{who} goes on a trip of {b} hours with {a} miles an hour.",
    ),
    test=("On a trip of {b} hours {who} rides {a} miles an hour.",),
    numbers=numbers(a=range(3, 16), b=range(2, 9)),
    steps=(_MILES,),
    start="a",
)

RIDE_AND_WALK = Part(
    train=(
        "{who} rides {a} miles an hour for {b} hours and then walks {c} miles.",
        "{who} walks {c} miles and then rides {a} miles an hour for {b} hours.",
    ),
    test=("For {b} hours {who} rides {a} miles an hour, and then {he} walks {c} miles.",),
    numbers=numbers(a=range(3, 13), b=range(2, 7), c=range(2, 13)),
    steps=(
        _MILES,
        StepPattern(
            "r1 + c",
            ("With the walk it is {eq}.",),
            (
                "The {c} miles on foot count too, so we add: {eq}.",
                "We add the walk of {c} miles: {eq}.",
            ),
            "the walk of {c} miles belongs to the trip, so it is added",
        ),
    ),
    start="a",
)

THERE_AND_BACK = Part(
    train=(
        "{who} rides {a} miles to a town and the same way back.",
        "A town is {a} miles away, and {who} rides there and back.",
    ),
    test=("{who} rides to a town that is {a} miles away and the same way back.",),
    numbers=numbers(a=range(4, 46), d=range(2, 3)),
    steps=(
        StepPattern(
            "a * d",
            ("There and back it is {eq}.", "The whole way is {eq}."),
            (
                "There and back is the same way twice, so we multiply: {eq}.",
                "Twice the {a} miles are {eq} miles.",
            ),
            "there and back is the same way twice, so the {a} miles are multiplied",
        ),
    ),
    start="a",
)

ASK_HOURS = Part(
    train=(
        "{other} makes the same trip with {k} miles an hour. How many hours does {other} need?",
        "How many hours does {other} need for the same trip with {k} miles an hour?",
    ),
    test=("With {k} miles an hour, how many hours does {other} need for the same trip?",),
    numbers=numbers(k=range(2, 13)),
    steps=(
        StepPattern(
            "now / k",
            ("The hours are {eq}.", "The time is {eq}."),
            (
                "Every hour takes {k} miles off the way, so we divide: {eq}.",
                "We count how often {k} miles fit in: {eq} hours.",
            ),
            "every hour brings {k} miles, so the time is found by a division",
        ),
    ),
)

ASK_REST_HOURS = Part(
    train=(
        "The whole trip is {k} miles. How many hours does the rest take with {m} miles an hour?",
        "{He} wants to make {k} miles. With {m} miles an hour, how many hours does the rest take?",
    ),
    test=("The whole trip is {k} miles. With {m} miles an hour, how many hours is the rest?",),
    numbers=numbers(k=range(30, 101), m=range(2, 13)),
    steps=(
        StepPattern(
            "k - now",
            ("The rest is {eq}.", "Still missing are {eq}."),
            (
                "From the {k} miles we subtract the way so far: {eq}.",
                "The rest is the difference to {k} miles: {eq}.",
            ),
            "the rest is the difference between the {k} miles and the way so far",
        ),
        StepPattern(
            "r1 / m",
            ("The hours are {eq}.", "The time is {eq}."),
            (
                "Every hour takes {m} miles off the rest, so we divide: {eq}.",
                "We count how often {m} miles fit in the rest: {eq} hours.",
            ),
            "every hour brings {m} miles, so the time is found by a division",
        ),
    ),
)

ASK_BOTH_WAYS = Part(
    train=(
        "{other} rides {k} miles less. How many miles do both make together?",
        "{other} makes {k} miles less than {who}. How many miles are that together?",
    ),
    test=("{other} makes {k} miles less. How many miles are that for both together?",),
    numbers=numbers(k=range(2, 21)),
    steps=(
        StepPattern(
            "now - k",
            ("{other} makes {eq}.",),
            (
                "{other} makes {k} miles less, so we subtract: {eq}.",
                "Less means subtracting, so {other} makes {eq} miles.",
            ),
            "{other} makes {k} miles less, so they are taken away from the way of {who}",
        ),
        StepPattern(
            "now + r1",
            ("Together they make {eq}.",),
            (
                "To find what both make we add: {eq}.",
                "Both together means that we add: {eq} miles.",
            ),
            "together means that the ways of both are added",
        ),
    ),
)

TRIPS = Family(
    "trips",
    (RIDE, RIDE_AND_WALK, THERE_AND_BACK),
    (),
    (ASK_HOURS, ASK_REST_HOURS, ASK_BOTH_WAYS),
    max_events=0,
)
