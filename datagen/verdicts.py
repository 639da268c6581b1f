"""Verdicts: what a critique concludes about the student's answer, read from its `Conclusion:` line.

    critique -> read_verdict -> "right", "wrong" or None

The paper's critiques end with such a line (`Conclusion: Wrong.`), and its correctness mixtures are built
from it; the wording `critique_verdict` asks for one. A critique that argues and concludes nothing has no
verdict: nothing is guessed from its tone. The last line counts, because a critique may quote one.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["right", "wrong"]

_MARKUP = r"[ \t*_#>`\"'\[(]{0,12}"
_LINE = re.compile(
    rf"^{_MARKUP}(?:(?:final|overall)[ \t])?conclusion[ \t*_]{{0,6}}[:\-\u2013\u2014][ \t*_]{{0,6}}\n{{0,2}}{_MARKUP}"
    r"(?:(?:the|this)[ \t](?:student'?s?[ \t])?(?:solution|answer|final[ \t]answer|work|result)[ \t]is[ \t*_]{1,6})?"
    r"(?P<word>right|wrong|correct|incorrect)"
    r"[ \t*_`\"'.!\])]{0,12}(?:\[END\][ \t*_.]{0,6})?\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_MEANS: dict[str, Verdict] = {
    "right": "right",
    "correct": "right",
    "wrong": "wrong",
    "incorrect": "wrong",
}


def read_verdict(critique: str) -> Verdict | None:
    """What the last conclusion line says; None where there is none that can be read."""
    words = [line["word"].lower() for line in _LINE.finditer(critique)]
    return _MEANS[words[-1]] if words else None
