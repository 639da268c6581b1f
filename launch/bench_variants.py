"""Variants of a problem, as they turn up in other people's data: what decontamination is measured with.

    problem → verbatim | wrapped | notation | spelled out | reworded | shortened     must be found
            → renumbered                                                             another problem

Every variant is drawn from a seed of its own. A rewording exchanges common words, moves the question
to the front and adds a lead-in; it is milder than what a language model makes of a text, so recall on
it is an upper bound for paraphrases in the wild.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

WRAPPINGS = (
    "Solve the following problem. Show your work.\n\n{}",
    "Question: {}\nAnswer:",
    "{}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}.",
    "Here is an exercise from my homework, can you help me? {} Thanks!",
)
LEAD_INS = (
    "",
    "Suppose the following. ",
    "Consider this situation: ",
    "We are told the following: ",
)
SYNONYMS = {
    "find": "determine", "determine": "work out", "compute": "calculate", "evaluate": "compute",
    "how many": "what number of", "what is": "find", "each": "every", "buys": "purchases",
    "gets": "receives", "gives": "hands", "also": "in addition", "total": "overall number",
    "has": "owns", "wants": "would like", "makes": "earns", "now": "at present", "left": "remaining",
    "then": "afterwards", "all": "the whole lot", "money": "cash", "needs": "requires", "if": "given that",
    "such that": "for which", "number": "count", "value": "quantity", "positive": "strictly positive",
    "express": "write", "starts": "begins", "day": "date", "more": "additional", "people": "persons",
    "small": "little", "large": "big", "cost": "price", "sells": "is selling", "takes": "uses up",
    "after": "following", "smallest": "least", "largest": "greatest", "let": "suppose that",
    "sold": "got rid of", "bought": "purchased", "loses": "misplaces", "much": "great an amount",
}  # fmt: skip
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
PLAIN = (
    (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)"), (r"\\sqrt\{([^{}]*)\}", r"√\1"),
    (r"\\pi\b", "π"), (r"\\theta\b", "θ"), (r"\\alpha\b", "α"), (r"\\leq?\b", "≤"), (r"\\geq?\b", "≥"),
    (r"\\cdot\b", "·"), (r"\\times\b", "×"), (r"\^\{?2\}?(?![0-9])", "²"), (r"\^\{?3\}?(?![0-9])", "³"),
    (r"\^\\circ\b|\^\{\\circ\}", "°"), (r"\\(?:left|right|,|!|;)", ""), (r"\\text\{([^{}]*)\}", r"\1"),
    (r"\\%", "%"), (r"\\infty\b", "∞"), (r"\\[\[\]()]|\$", " "), (r"\^\{([^{}]*)\}", r"^\1"),
    (r"(?<![\d.])1/2(?![\d.])", "½"),
)  # fmt: skip
_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)


def wrapped(text: str, rng: Random) -> str:
    """The problem with an instruction around it."""
    return rng.choice(WRAPPINGS).format(text)


def in_plain_notation(text: str, rng: Random) -> str:
    """LaTeX as Unicode and plain text."""
    text, drawings = without_drawings(text)
    for pattern, replacement in PLAIN:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"\s+", " ", text) + drawings


def without_drawings(text: str) -> tuple[str, str]:
    """The text, and the code of its drawings: nobody translates that."""
    return _DRAWING.sub("", text), "".join(_DRAWING.findall(text))


def spelled_out(text: str, rng: Random) -> str:
    """Whole numbers below a hundred, sums and equations in words."""
    text, drawings = without_drawings(text)
    text = re.sub(r"(?<![\w.,{/^\\-])([0-9]{1,2})(?![\w,}/]|\.[0-9])", _number_in_words, text)
    text = re.sub(r"(?<=\w) \+ (?=\w)", " plus ", text)
    text = re.sub(r"(?<=\w) = (?=\w)", " equals ", text).replace("%", " percent")
    return text + drawings


def _number_in_words(match: re.Match[str]) -> str:
    tens, ones = divmod(int(match[1]), 10)
    if tens < 2:
        return ONES[int(match[1])]
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def reworded(text: str, rng: Random) -> str:
    """Common words exchanged, the question asked first where there is one, a lead-in."""

    def exchanged(match: re.Match[str]) -> str:
        word = SYNONYMS[match[0].lower()]
        return word.capitalize() if match[0][0].isupper() else word

    words = "|".join(sorted(SYNONYMS, key=len, reverse=True))
    text = re.sub(rf"(?<![\\\w])(?:{words})(?!\w)", exchanged, text, flags=re.IGNORECASE)
    sentences = re.split(r"(?<=[a-z0-9$][.?]) +(?=[A-Z])", text)
    if len(sentences) > 1 and rng.random() < 0.5:
        sentences = [sentences[-1], *sentences[:-1]]
    return rng.choice(LEAD_INS) + " ".join(sentences)


def shortened(text: str, rng: Random) -> str:
    """A third of the sentences left out, or an eighth of the words of a single one."""
    sentences = re.split(r"(?<=[a-z0-9$][.?]) +(?=[A-Z])", text)
    if len(sentences) >= 3:
        left_out = set(rng.sample(range(len(sentences) - 1), len(sentences) // 3))
        return " ".join(s for i, s in enumerate(sentences) if i not in left_out)
    words = text.split()
    return " ".join(words[len(words) // 8 :])


def renumbered(text: str, rng: Random) -> str:
    """Every number another one of the same length: the same story, another problem."""

    def another(match: re.Match[str]) -> str:
        low = 10 ** (len(match[0]) - 1)
        return str(rng.choice([n for n in (rng.randrange(low, 10 * low) for _ in range(9))
                               if n != int(match[0])] or [int(match[0]) + 1]))  # fmt: skip

    return re.sub(r"[0-9]{1,9}", another, text)


VARIANTS: dict[str, Callable[[str, Random], str]] = {
    "verbatim": lambda text, rng: text,
    "wrapped": wrapped,
    "notation": in_plain_notation,
    "spelled out": spelled_out,
    "reworded": reworded,
    "shortened": shortened,
    "renumbered": renumbered,
}
"""What is made of a problem, by kind. All but `renumbered` are the same problem."""
