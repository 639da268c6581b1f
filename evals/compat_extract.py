"""Where the reference graders look for the answer, in their order.

    maths      "final answer is $…$. I hope" → last box → "he answer is" → "final answer is" → last number
    letters    a gold letter A to E: a letter alone in the answer, else the last one in the output
    options    up to four as GPQA is graded there, more as MMLU-Pro is

There is no judging whether an answer was meant: any number will do where nothing announces one. From
TIGER-AI-Lab's CritiqueFineTuning: tools/evaluate_math/parser.py and math_eval.py, evaluate_gpqa/utils.py,
evaluate_mmlu-pro/evaluate_from_local.py.
"""

from __future__ import annotations

import random
import re
from itertools import takewhile
from string import ascii_uppercase

from evals.compat_spelling import respelt

LETTERS = "ABCDE"
NUMBER = re.compile(r"-?\d*\.?\d+")
LETTER = re.compile(r"\b[A-E]\b")
FEW_OPTIONS = 4
MANY_SEED = 12345
"""Of the draw by which the reference answers for an output that names no option of MMLU-Pro."""
ANNOUNCED_OPTION = re.compile(r"answer is \(?([A-J])\)?")
OPTION_AFTER = re.compile(r"(?=[aA]nswer:\s*([A-J]))")
OPTION = re.compile(r"\b[A-J]\b")


def found_answer(text: str, keep_units: bool = False) -> str:
    """The answer in the reference's spelling; empty when there is none."""
    answer = re.sub(r"\n\s*", "", announced_answer(text.strip()))
    answer = answer.removeprefix(":").removesuffix(".").removesuffix("/")
    return respelt(respelt(answer, keep_units), keep_units)


def announced_answer(text: str) -> str:
    """The first of the places that the text has."""
    if "final answer is $" in text and "$. I hope" in text:
        return text.split("final answer is $", 1)[1].split("$. I hope", 1)[0].strip()
    if "boxed" in text:
        return boxed(text.rpartition("boxed")[2])
    for opening in ("he answer is", "final answer is"):
        if opening in text:
            return text.rpartition(opening)[2].strip()
    if "答案是" in text:
        return text.split("答案是")[1].strip().split("\n\n")[0].strip()
    numbers = NUMBER.findall(text.replace(",", ""))
    return numbers[-1] if numbers else ""


def boxed(after: str) -> str:
    """What the box holds, up to the end where it is never closed; without a brace, up to a dollar."""
    if after[:1] != "{":
        return after.split("$")[0].strip()
    depth = 0
    for position, character in enumerate(after):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return after[1:position]
    return after[1:]


def with_letters(answer: str, gold: str, output: str) -> str:
    """The answer where the gold one is a letter, or several: letters are all that is looked at."""
    if gold in LETTERS and len(gold) == 1:
        lettered = len(answer) == 1 and answer in LETTERS
        return answer if lettered else last_letter(output.strip())
    if set(gold) <= set(LETTERS) and not set(answer) <= set(LETTERS):
        return "".join(character for character in answer if character in LETTERS)
    return answer


def last_letter(text: str) -> str:
    """The first letter after "choice is" or "answer is", or else the last one anywhere."""
    text = text.strip("\n")
    if max(text.count("choice is"), text.count("answer is")) > 1:
        text = text.split("\n\n")[0]
    pieces = re.split("choice is|answer is", text)
    letters = LETTER.findall(pieces[-1].upper())
    if letters:
        return str(letters[0] if len(pieces) > 1 else letters[-1])
    rest = pieces[-1].strip("\n").rstrip(".").rstrip("/").strip(" ").lstrip(":")
    return rest.strip().strip(".").rstrip(".").rstrip("/")


def chosen_option(text: str, choices: int) -> str | None:
    """The option of a multiple-choice problem."""
    return option_of_few(text) if choices <= FEW_OPTIONS else option_of_many(text, choices)


def option_of_few(text: str) -> str | None:
    """The first letter after the last "the answer is", or else the last letter of the text."""
    text = text.strip("\n")
    openings = ("The answer is:", "The answer is", "the answer is")
    if max(map(text.count, openings)) > 1:
        text = text.split("\n\n")[0]
    pieces = re.split("|".join(openings), text)
    letters = re.findall(r"\b[A-D]\b", pieces[-1].upper())
    if not letters:
        return None
    return str(letters[0] if len(pieces) > 1 else letters[-1])


def option_of_many(text: str, choices: int) -> str:
    """The first "answer is X", else the last "answer: X" of the first line with one, else the last
    letter, else the option that the reference draws."""
    if announced := ANNOUNCED_OPTION.search(text):
        return announced[1]
    if first := OPTION_AFTER.search(text):
        end_of_line = (text + "\n").index("\n", first.start())
        found = OPTION_AFTER.finditer(text, first.start())
        *_, last = takewhile(lambda match: match.start() < end_of_line, found)
        return last[1]
    letters = OPTION.findall(text)
    if letters:
        return str(letters[-1])
    return ascii_uppercase[random.Random(MANY_SEED).randint(0, choices - 1)]
