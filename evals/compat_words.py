"""Words the reference grader reads in an answer: units, which it drops, and numbers, which it counts.

Facts about another program, used by `compat_spelling` alone. The units are those of CritiqueFineTuning's
tools/evaluate_math/parser.py (`unit_texts`), in an order that tells apart what depends on it; a few
garbled ones are left out. Number words are read as the package word2number 1.1 does.
"""

from __future__ import annotations

SINGLE_WORDS = """
    east degree mph kmph ft deg mile monkey prime ratio rd o gm lb tile per dm lt gain ab way west t a
    h men soldier pie bc excess st inches noon percent by gal kmh c acre rise th sq mark l toy coin
    gallon profit minw yr women feet am pm hr square are rupee rounds cubic cc mtr s ohm number day
    hour minute min second man woman sec cube mt mp hectare more unit rs kg g month km m cm mm apple
    liter loss yard pure year increase decrease d less Surface litre metre meter inch
"""
SEVERAL_WORDS = (
    *("m sqaure", " m east", "sq m", "q .", "profit of rs", "p . m", "no change", "a . m", "π r 2"),
    *("a .", "b .", "c .", "d .", "e .", "f .", "g .", "h .", "s .", "rs .", "sq . m", "° f"),
    *("cu cm", "sq inch", "∏ cm ³", "cu . m", "cm 2", "pi sq m"),
)
SINGULAR = (*SEVERAL_WORDS, *SINGLE_WORDS.split())
UNITS = (*SINGULAR, *(unit + "s" for unit in SINGULAR))
"""Read as patterns, as the reference does: the full stop in `a .` is any character."""

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
ONES += " fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS = {word: value for value, word in enumerate(ONES.split())}
NUMBERS |= {word: value for value, word in zip(range(20, 100, 10), TENS.split(), strict=True)}
NUMBERS |= {"hundred": 100}
POWERS = {"billion": 10**9, "million": 10**6, "thousand": 10**3}


def number_in_words(text: str) -> str:
    """The number that is written out anywhere in a text, instead of the text; or the text."""
    words = text.replace("-", " ").lower()
    if words.isdigit():
        try:
            return str(int(words))
        except ValueError:  # digits such as ², or too many of them
            return text
    found = [word for word in words.split() if word in NUMBERS or word in POWERS or word == "point"]
    if not found or any(found.count(word) > 1 for word in (*POWERS, "point")):
        return text
    whole, decimals = found, list[str]()
    if "point" in found:
        whole, decimals = found[: found.index("point")], found[found.index("point") + 1 :]
    try:
        value: float = counted(whole)
    except ValueError:
        return text
    return str(value + decimal(decimals) if decimals else value)


def counted(words: list[str]) -> int:
    """The value of `two thousand three hundred five`. ValueError where the order makes no number."""
    if len(words) <= 1:
        return (NUMBERS | POWERS)[words[0]] if words else 0
    places = [words.index(power) for power in POWERS if power in words]
    if places != sorted(places):
        raise ValueError("the larger power comes first")
    total, start = 0, 0
    for power, factor in POWERS.items():
        if power in words:
            place = words.index(power)
            total += group(words[start:place]) * factor
            start = place + 1
    return total + (group(words[start:]) if start < len(words) else 0)


def group(words: list[str]) -> int:
    """Below a thousand, by the number of words alone: `two hundred five`."""
    values = [NUMBERS[word] for word in words if word in NUMBERS]
    if not values or len(values) < len(words):
        raise ValueError("no number")
    if len(values) == 4:
        return values[0] * values[1] + values[2] + values[3]
    if len(values) == 3:
        return values[0] * values[1] + values[2]
    if len(values) == 2:
        return values[0] * values[1] if 100 in values else values[0] + values[1]
    return values[0]


def decimal(words: list[str]) -> float:
    """The digits after `point`."""
    digits = [NUMBERS.get(word, 10) for word in words]
    return float("0." + "".join(map(str, digits))) if max(digits) < 10 else 0.0
