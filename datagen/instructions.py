"""Generic instruction data: short tasks whose answer must have a form that a program can check.

They keep a student general: part of its first training, and a test (`complies`) of whether a later
training has made it forget to do as it is told. The splits share their words but no wording, neither
of the tasks nor of the sentences in them, so no test prompt was seen. A check is a plain dictionary,
so it travels in JSON: {"kind": "ends_with", "word": "done"}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from datagen.stories.families import PEOPLE, THINGS
from datagen.stories.parts import Split

Check = dict[str, Any]
Made = tuple[str, str, Check]

WORDS = (
    "sun", "river", "tree", "house", "stone", "bird", "fish", "lamp", "chair", "door", "garden", "cloud",
    "star", "horse", "boat", "road", "letter", "window", "hat", "plate", "spoon", "ring", "wall", "bridge",
    "shop", "pen", "map", "key", "cat", "wheel", "room", "tower", "farm", "bottle", "picture", "train",
)  # fmt: skip
SHARE_OF_MADE_UP = 0.35
"""So many words of the train split mean nothing, so that copying is learnt and not a list."""
CLOSINGS = ("done", "end", "over", "good", "ready")
OPENERS = ("Sure", "Yes", "Well", "Here")
COLOURS = ("red", "green", "white", "black")


@dataclass(frozen=True)
class InstructionTask:
    """A task, one good answer, and the check that any good answer passes."""

    id: str
    prompt: str
    answer: str
    check: Check


def instructions(split: Split, count: int, seed: int = 0, first: int = 0) -> list[InstructionTask]:
    """`count` tasks of a split from the one at `first` on; the kinds take turns."""
    if split not in ("train", "test"):
        raise ValueError(f"the instruction tasks have the splits train and test, not {split!r}")
    return [_task(split, seed, index) for index in range(first, first + count)]


def _task(split: Split, seed: int, index: int) -> InstructionTask:
    rng = Random(f"instruction/{split}/{seed}/{index}")
    prompt, answer, check = KINDS[index % len(KINDS)](split, rng)
    return InstructionTask(f"instruction-{split}-{seed}-{index:06d}", prompt, answer, check)


def _pick(split: Split, rng: Random, train: tuple[str, ...], test: tuple[str, ...]) -> str:
    return rng.choice(train if split == "train" else test)


def _words(split: Split, rng: Random, count: int) -> list[str]:
    if split == "test":
        return rng.sample(WORDS, count)
    return [
        made_up_word(rng) if rng.random() < SHARE_OF_MADE_UP else rng.choice(WORDS)
        for _ in range(count)
    ]


def made_up_word(rng: Random) -> str:
    """A word that means nothing: whoever is to write it must read it."""
    syllables = [
        rng.choice("bdfgklmnprstvw") + rng.choice("aeiou") for _ in range(rng.choice((1, 2)))
    ]
    return "".join(syllables) + rng.choice("lmnrstk")


def _sentence(split: Split, rng: Random) -> str:
    """A short plain sentence."""
    who, thing = rng.choice(PEOPLE)[0], _words(split, rng, 1)[0]
    return _pick(
        split,
        rng,
        (f"{who} likes the {thing}.", f"{who} sees a {thing}.", f"The {thing} is here."),
        (f"{who} sees the {thing}.", f"A {thing} is here."),
    )


def _capitals(split: Split, rng: Random) -> Made:
    sentence = _sentence(split, rng)
    ask = _pick(
        split,
        rng,
        ("Write this in capital letters: {s}", "Use capital letters only. Write: {s}"),
        ("In capital letters, write this: {s}",),
    )
    return ask.format(s=sentence), sentence.upper(), {"kind": "capitals"}


def _small_letters(split: Split, rng: Random) -> Made:
    sentence = _sentence(split, rng)
    ask = _pick(
        split,
        rng,
        ("Write this in small letters: {s}", "Use small letters only. Write: {s}"),
        ("In small letters, write this: {s}",),
    )
    return ask.format(s=sentence), sentence.lower(), {"kind": "small_letters"}


def _ends_with(split: Split, rng: Random) -> Made:
    sentence, word = _sentence(split, rng), rng.choice(CLOSINGS)
    ask = _pick(
        split,
        rng,
        ("Repeat: {s} End with the word {w}.", "Write this and end with the word {w}: {s}"),
        ("Repeat this and end with the word {w}: {s}",),
    )
    return ask.format(s=sentence, w=word), f"{sentence} {word}", {"kind": "ends_with", "word": word}


def _starts_with(split: Split, rng: Random) -> Made:
    sentence, word = _sentence(split, rng), rng.choice(OPENERS)
    ask = _pick(
        split,
        rng,
        ("Repeat: {s} Start with the word {w}.", "Write this and start with the word {w}: {s}"),
        ("Repeat this and start with the word {w}: {s}",),
    )
    return (
        ask.format(s=sentence, w=word),
        f"{word}. {sentence}",
        {"kind": "starts_with", "word": word},
    )


def _number_only(split: Split, rng: Random) -> Made:
    who, thing = rng.choice(PEOPLE)[0], rng.choice(THINGS)
    # An even first number belongs to the test split: no sum is in both.
    a, b = 2 * rng.randrange(1, 15) + (split == "train"), rng.randrange(2, 10)
    question = _pick(
        split,
        rng,
        (
            f"What is {a} + {b}?",
            f"{who} has {a} {thing} and gets {b} more {thing}. How many is that?",
        ),
        (f"{who} has {a} {thing} and finds {b} more {thing}. How many is that?",),
    )
    ask = _pick(
        split,
        rng,
        ("{q} Reply with the number only.", "Give only the number. {q}"),
        ("Reply with only the number. {q}",),
    )
    return ask.format(q=question), str(a + b), {"kind": "number_only"}


def _repeats(split: Split, rng: Random) -> Made:
    (word,) = _words(split, rng, 1)
    times, count = rng.choice((("two", 2), ("three", 3), ("four", 4)))
    ask = _pick(
        split,
        rng,
        ("Repeat the word {w} {t} times.", "Write {w} {t} times."),
        ("Write the word {w} {t} times.",),
    )
    check = {"kind": "repeats", "word": word, "times": count}
    return ask.format(w=word, t=times), " ".join([word] * count), check


def _one_sentence(split: Split, rng: Random) -> Made:
    who, (thing, other) = rng.choice(PEOPLE)[0], _words(split, rng, 2)
    ask = _pick(
        split,
        rng,
        (
            f"{who} has a {thing} and a {other}. What does {who} have? Answer in one sentence.",
            f"Answer in one sentence. What does {who} have? {who} has a {thing} and a {other}.",
        ),
        (f"{who} has a {thing} and a {other}. Answer in one sentence. What does {who} have?",),
    )
    return ask, f"{who} has a {thing} and a {other}.", {"kind": "one_sentence"}


def _dashes(split: Split, rng: Random) -> Made:
    items = _words(split, rng, rng.choice((2, 3, 4)))
    ask = _pick(
        split,
        rng,
        ("Write these words as a list with dashes: {i}", "Make a list with dashes of: {i}"),
        ("Make a list with dashes of these words: {i}",),
    )
    answer = "\n".join(f"- {item}" for item in items)
    return ask.format(i=", ".join(items)), answer, {"kind": "dashes", "items": len(items)}


def _quotes(split: Split, rng: Random) -> Made:
    sentence = _sentence(split, rng)
    ask = _pick(
        split,
        rng,
        ("Put this in quotes: {s}", "Write this in quotes: {s}"),
        ("Put quotes around this: {s}", "In quotes, write this: {s}"),
    )
    return ask.format(s=sentence), f'"{sentence}"', {"kind": "quotes"}


def _one_word(split: Split, rng: Random) -> Made:
    who, (thing,) = rng.choice(PEOPLE)[0], _words(split, rng, 1)
    colour = rng.choice(COLOURS)
    ask = _pick(
        split,
        rng,
        (
            f"{who} has a {colour} {thing}. Which colour is it? Answer with one word.",
            f"Answer with one word. Which colour is the {colour} {thing} of {who}?",
        ),
        (f"Answer with one word. {who} has a {colour} {thing}. Which colour is it?",),
    )
    return ask, colour, {"kind": "one_word"}


KINDS: tuple[Callable[[Split, Random], Made], ...] = (
    _capitals, _small_letters, _ends_with, _starts_with, _number_only,
    _repeats, _one_sentence, _dashes, _quotes, _one_word,
)  # fmt: skip


def complies(check: Check, text: str) -> bool:
    """Whether the text has the form that the check asks for. Form only: a wrong number complies."""
    kind = check.get("kind")
    if kind not in CHECKS:
        raise ValueError(f"unknown check {kind!r}; known are {', '.join(sorted(CHECKS))}")
    return CHECKS[kind](check, text.strip())


def _has_letters(text: str) -> bool:
    return any(character.isalpha() for character in text)


def _words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]++", text.lower())


def _is_dash_list(check: Check, text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) == check["items"] and all(re.match(r"- \S", line) for line in lines)


def _is_one_sentence(check: Check, text: str) -> bool:
    ends = re.findall(r"[.!?]+(?=\s|$)", text)
    return "\n" not in text and len(ends) == 1 and text[-1] in ".!?" and len(text.split()) >= 3


def _is_quoted(check: Check, text: str) -> bool:
    return len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]


CHECKS: dict[str, Callable[[Check, str], bool]] = {
    "capitals": lambda check, text: _has_letters(text) and text == text.upper(),
    "small_letters": lambda check, text: _has_letters(text) and text == text.lower(),
    "ends_with": lambda check, text: _words_of(text)[-1:] == [check["word"].lower()],
    "starts_with": lambda check, text: _words_of(text)[:1] == [check["word"].lower()],
    "number_only": lambda check, text: re.fullmatch(r"-?[0-9]++(?:\.[0-9]++)?", text) is not None,
    "repeats": lambda check, text: _words_of(text) == [check["word"].lower()] * check["times"],
    "one_sentence": _is_one_sentence,
    "dashes": _is_dash_list,
    "quotes": _is_quoted,
    "one_word": lambda check, text: len(text.rstrip(".").split()) == 1 and _has_letters(text),
}
