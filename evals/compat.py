"""The grader behind published tables, followed rule by rule, so that numbers can be compared.

    output → `compat_extract` → `compat_spelling`, both sides → the rules below, in this order

    text        equal but for case
    letter      a gold letter A to E, and the last letter of the answer
    numbers     equal after rounding to one decimal, or within 0.01 % of the gold answer, of 100 times or of a
                hundredth of it; if both are numbers nothing else is tried. Commas are dropped first: 5,1 is 51
    brackets    equal once ( ) { } and, around the whole, [ ] are dropped
    items       pairs in any brackets, and matrices, item by item with all these rules
    powers      a × 10^n against a × 10^n; of a text with 10^{n} in it, n alone counts
    names       the two sides of an equation as a difference; else only what follows the last equals sign
    values      `compat_values`: the beginnings of both texts, read as formulas
    digits      plain numbers within half a unit of the shorter one's last significant digit

The reference is the modified Qwen2.5-Math grader of TIGER-AI-Lab's CritiqueFineTuning, tools/evaluate_math/
grader.py (`math_equal`), which adds the rounding, powers, names and digits to Qwen's. It is stricter than ours
in places and looser in others; both are followed. It hands model output to `eval`, may hang and may crash:
where it would, or where a bound of ours is met, the answer here is None and the strict verdict stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isclose

from evals.compat_extract import (
    LETTERS,
    announced_answer,
    chosen_option,
    found_answer,
    last_letter,
    with_letters,
)
from evals.compat_spelling import respelt
from evals.compat_values import values_agree
from evals.limits import MAX_ANSWER_CHARS, MAX_EXPONENT, TooLarge, Work

MAX_DEPTH = 12
"""Brackets within brackets whose items are compared."""
STEPS_OF_AN_ITEM = 100
POWER_OF_TEN = re.compile(r"10\^{([+-]?\d{1,9})}")
SCIENTIFIC = re.compile(r"(\d+\.?\d*?)\\times10\^{?([+-]?\d{1,9})}?")
PAIR = re.compile(r"[(\[].+[)\]]")
BRACED_LIST = re.compile(r"\{.*,.*\}")
OPENINGS = ("\\begin{pmatrix}", "\\begin{bmatrix}")
CLOSINGS = ("\\end{pmatrix}", "\\end{bmatrix}")


def leniently_correct(
    output: str, gold: str, choices: int = 0, keep_units: bool = False
) -> bool | None:
    """Whether the reference grader takes a model's output for right; None where it is not followed."""
    if choices:
        option = chosen_option(output, choices)
        return option is not None and option == gold.strip().strip("()").upper()
    if max(len(announced_answer(output)), len(gold)) > MAX_ANSWER_CHARS:
        return None
    expected = respelt(gold, keep_units)
    answer = with_letters(found_answer(output, keep_units), expected, output)
    return leniently_equal(answer, expected)


def leniently_equal(prediction: str, gold: str) -> bool | None:
    """Whether two answers in the reference's spelling pass its rules; None where it is not followed."""
    if max(len(prediction), len(gold)) > MAX_ANSWER_CHARS:
        return None
    try:
        return equal(prediction, gold, Course())
    except (TooLarge, OverflowError, RecursionError):
        return None


@dataclass(frozen=True)
class Course:
    """How far one comparison has come: its budget of steps, and the brackets it is in."""

    work: Work = field(default_factory=Work)
    depth: int = 0

    def deeper(self) -> Course:
        """One level further in. Raises TooLarge."""
        self.work.spend(STEPS_OF_AN_ITEM)
        if self.depth == MAX_DEPTH:
            raise TooLarge(f"brackets in brackets, more than {MAX_DEPTH} deep")
        return Course(self.work, self.depth + 1)


def equal(prediction: str, gold: str, course: Course) -> bool:
    """The rules, in order. Raises TooLarge."""
    if prediction.strip().lower() == gold.strip().lower():
        return True
    if len(gold) == 1 and gold in LETTERS and last_letter(prediction) == gold:
        return True
    numbers = number(prediction), number(gold)
    if numbers[0] is not None and numbers[1] is not None:
        return tenths(prediction) == tenths(gold) or numbers_close(numbers[0], numbers[1])
    if not prediction:
        return False
    prediction, gold = prediction.strip(), gold.strip()
    if "pmatrix" in prediction and "pmatrix" not in gold:
        gold = list_as_matrix(gold)
    return (
        without_brackets(prediction, gold)
        or items_equal(prediction, gold, course)
        or rows_equal(prediction, gold, course)
        or scientific(prediction) == scientific(gold)
        or values_after_names(prediction, gold, course)
        or in_decimals(prediction) == in_decimals(gold)
        or values_agree(prediction, gold, course.work)
        or within_last_digit(prediction, gold)
    )


# ---- numbers ------------------------------------------------------------------------------------


def number(text: str) -> float | None:
    """A plain number without its commas, or a percentage as its hundredth."""
    text = text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(text[:-1].removesuffix("\\")) / 100 if text.endswith("%") else None
    except ValueError:
        return None


def tenths(text: str) -> float | None:
    """A number rounded to one decimal; None, which equals None, for a percentage."""
    try:
        return round(float(text.replace(",", "").replace("\\", "")), 1)
    except ValueError:
        return None


def numbers_close(prediction: float, gold: float) -> bool:
    """Within 0.01 % of the gold answer, of its hundredth, or of 100 times as much."""
    return any(isclose(prediction, near, rel_tol=1e-4) for near in (gold / 100, gold, gold * 100))


def scientific(text: str) -> str | float:
    """The first a × 10^n in a text as a number; else the text."""
    if "e" in text.lower().replace("times", ""):
        return plain_float(text, text)
    match = SCIENTIFIC.search(text)
    return float(match[1]) * power_of_ten(match[2]) if match else text


def in_decimals(text: str) -> str:
    """The first 10^{n} in a text, or the whole number in e-notation, in six decimals; else the text."""
    if "e" in text.lower():
        value = plain_float(text, text)
    else:
        match = POWER_OF_TEN.search(text)
        value = float(power_of_ten(match[1])) if match else text
    return value if isinstance(value, str) else f"{value:f}".rstrip("0").rstrip(".")


def plain_float(text: str, otherwise: str) -> str | float:
    """The number a text is."""
    try:
        return float(text)
    except ValueError:
        return otherwise


def power_of_ten(exponent: str) -> float | int:
    """10^n, for an exponent that a float could hold."""
    if abs(int(exponent)) > MAX_EXPONENT:
        raise TooLarge(f"an exponent beyond {MAX_EXPONENT}")
    power: float | int = 10 ** int(exponent)
    return power


def within_last_digit(prediction: str, gold: str) -> bool:
    """Plain numbers that differ by at most half a unit of the shorter one's last digit."""
    texts = [text.replace(",", "") for text in (prediction, gold)]
    try:
        found, expected = (float(text.replace("\\", "")) for text in texts)
    except ValueError:
        return False
    scale = max(abs(found), abs(expected))
    if not scale:
        return True
    digits = min(sum(map(str.isdigit, text.rstrip("0").rstrip("."))) for text in texts)
    return abs(found - expected) / scale <= 0.5 * 10.0 ** (1 - digits)


# ---- structure ----------------------------------------------------------------------------------


def without_brackets(prediction: str, gold: str) -> bool:
    """Equal texts once brackets are dropped; square ones only from the ends, and not against round ones."""
    left, right = prediction, gold
    square = left[:1] == "[" and left[-1:] == "]" and right[:1] != "("
    round_ = left[:1] == "(" and left[-1:] == ")" and right[:1] != "["
    if square or round_:
        left, right = left.strip("[]()"), right.strip("[]()")
    drop = str.maketrans("", "", "{}()")
    return left.translate(drop).lower() == right.translate(drop).lower()


def items_equal(prediction: str, gold: str, course: Course) -> bool:
    """Item by item, by the commas, where both begin with a round or square bracket that is closed."""
    if not (PAIR.match(prediction) and PAIR.match(gold)):
        return False
    return all_equal(prediction[1:-1].split(","), gold[1:-1].split(","), course)


def all_equal(left: list[str], right: list[str], course: Course) -> bool:
    """As many, and equal one by one."""
    if len(left) != len(right):
        return False
    return all(equal(a, b, course.deeper()) for a, b in zip(left, right, strict=True))


def rows_equal(prediction: str, gold: str, course: Course) -> bool:
    """Matrices, entry by entry."""
    rows = []
    for text in (prediction, gold):
        if not (text.startswith(OPENINGS) and text.endswith(CLOSINGS)):
            return False
        lines = text[len(OPENINGS[0]) : -len(CLOSINGS[0])].split("\\\\")
        rows.append([line.strip().split("&") for line in lines if line.strip()])
    if len(rows[0]) != len(rows[1]):
        return False
    return all(all_equal(a, b, course) for a, b in zip(rows[0], rows[1], strict=True))


def list_as_matrix(text: str) -> str:
    """A gold answer against a matrix: lists in braces as matrices of one line, and nothing else of it."""
    return ", ".join(
        "\\begin{pmatrix}" + found.strip("{}").replace(",", "\\") + "\\end{pmatrix}"
        for found in BRACED_LIST.findall(text)
    )


def values_after_names(prediction: str, gold: str, course: Course) -> bool:
    """Equations as differences, `x=5` as 5, and at last what follows the last equals sign."""
    if "=" not in prediction + gold:
        return False
    counts = prediction.count("="), gold.count("=")
    if counts == (1, 1):
        left, right = as_difference(prediction), as_difference(gold)
        work = course.work
        if values_agree(left, right, work) or values_agree(f"-({left})", right, work):
            return True
    elif counts == (1, 0) and short_name(prediction):
        if equal(prediction.split("=")[1], gold, course.deeper()):
            return True
    elif (
        counts == (0, 1)
        and short_name(gold)
        and equal(prediction, gold.split("=")[1], course.deeper())
    ):
        return True
    found, expected = (text.rpartition("=")[2].replace("{", "(") for text in (prediction, gold))
    return equal(found, expected, course.deeper())


def as_difference(equation: str) -> str:
    """`a=b` as `a - (b)`."""
    left, _, right = equation.partition("=")
    return f"{left.strip()} - ({right.strip()})"


def short_name(equation: str) -> bool:
    """Whether at most two characters stand before the equals sign."""
    return len(equation.partition("=")[0].strip()) <= 2
