"""Models compared in pairs on the same problems: by how much, how surely, and what could have been seen at all.

    Marks → pairs of models → compare_paired → Holm's correction over all of them → verdict in words

The pairs are those of the paper: every method against the base student, and CGD against every other method.
Only problems that both were asked in the same words count. The more pairs, the more of them come out by
chance, so a difference is called one only if it stays after the correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from evals.report_marks import BASE, Json, Mark, Marks
from evals.statistics import PairedComparison, compare_paired, holm, resolution
from evals.statistics_power import SIGNIFICANCE

METHOD = "cgd"
"""The method that is compared with all others."""


def comparisons(marks: Marks, methods: Sequence[str], benchmarks: Sequence[str]) -> list[Json]:
    """Every pair on every benchmark that both have."""
    found = []
    for benchmark in benchmarks:
        for method, against in pairs(methods):
            result = compare_marks(marks[method, benchmark], marks[against, benchmark])
            if result is not None:
                found.append((benchmark, method, against, *result))
    corrected = holm([result.p_value for *_, result, _ in found])
    return [
        {
            "benchmark": benchmark,
            "method": method,
            "against": against,
            "measure": measure,
            **asdict(result),
            "p_holm": p_holm,
            "verdict": verdict(result, p_holm, len(found)),
            "problems_left_out": left_out,
        }
        for (benchmark, method, against, measure, result, left_out), p_holm in zip(
            found, corrected, strict=True
        )
    ]


def pairs(methods: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(method, the one it is compared with)."""
    if BASE in methods:
        yield from ((method, BASE) for method in methods if method != BASE)
    if METHOD in methods:
        yield from ((METHOD, other) for other in methods if other not in (METHOD, BASE))


def compare_marks(
    first: Mapping[str, Mark], second: Mapping[str, Mark]
) -> tuple[str, PairedComparison, int] | None:
    """(what was compared, the comparison, problems left out); None without a common problem."""
    asked_alike = [
        (first[name], second[name])
        for name in first
        if name in second and first[name].prompt_sha256 == second[name].prompt_sha256
    ]
    for measure in ("correct", "complies"):
        scores = [(getattr(one, measure), getattr(other, measure)) for one, other in asked_alike]
        both = [(one, other) for one, other in scores if one is not None and other is not None]
        if both:
            comparison = compare_paired([one for one, _ in both], [other for _, other in both])
            return measure, comparison, len(first.keys() | second.keys()) - len(both)
    return None


def verdict(comparison: PairedComparison, p_holm: float, count: int) -> str:
    """What may be said of the difference among so many others."""
    alone = resolution(comparison)
    if comparison.p_value < SIGNIFICANCE <= p_holm:
        return f"{alone} if it were the only comparison; not resolved among {count}"
    return alone
