"""Verdicts are read from conclusion lines, and from nothing else."""

from __future__ import annotations

import pytest

from datagen.verdicts import read_verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Conclusion: right", "right"),
        ("Fine.\nConclusion: wrong", "wrong"),
        ("Fine.\nConclusion: Wrong.", "wrong"),
        ("Fine.\n**Conclusion:** Right.", "right"),
        ("Fine.\n**Conclusion: wrong**", "wrong"),
        ("### Conclusion: WRONG [END]", "wrong"),
        ("Conclusion: right [END]\n", "right"),
        ("conclusion - right", "right"),
        ("## Conclusion:\nwrong", "wrong"),
        ("Conclusion: the student's answer is **incorrect**.", "wrong"),
        ("Conclusion: The solution is correct.", "right"),
        ("Final conclusion: wrong\r\nthanks", "wrong"),
        ('End with "Conclusion: right" or\nConclusion: right\nConclusion: wrong', "wrong"),
        ("Conclusion: wrong\nNo, it holds.\nConclusion: right", "right"),
        ("", None),
        ("The answer is wrong.", None),
        ("Conclusion: right triangles have this property", None),
        ("Conclusion: not right", None),
        ("Conclusion: right or wrong", None),
        ("In conclusion: wrong", None),
        ("The conclusion: wrong", None),
        ("Conclusion: unclear", None),
        ("Conclusion wrong", None),
    ],
)
def test_the_last_conclusion_line_counts(text: str, verdict: str | None) -> None:
    assert read_verdict(text) == verdict
