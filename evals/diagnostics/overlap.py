"""Overlap of critique and refinement: how much of the refined answer is taken from the critique's words.

    token   share of the refinement's words that also occur in the critique
    bigram  the same of pairs of neighbouring words

Words are maximal runs of letters and digits, case folded. Every occurrence in the refinement counts (tokens, not
types), so a refinement that repeats a borrowed word borrows more. A record's share is one value, the figure is
the mean over records, the interval a bootstrap of records. Low overlap says that a refinement is written from
what the critique means and not copied from it. The paper does not say how its words are cut or counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from datagen.records import Record
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Result, Row
from evals.intervals import bootstrap_interval

WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, case folded."""
    return WORD.findall(text.casefold())


def share_in(found: Sequence[object], source: Sequence[object]) -> float:
    """The share of `found`, each occurrence counted, that `source` has too."""
    known = set(source)
    return sum(item in known for item in found) / len(found)


def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """No model is needed."""
    for record in records:
        written, told = words_of(record.refined_answer or ""), words_of(record.critique or "")
        if len(written) < 2:
            yield {"id": record.id, LEFT_OUT: "a refinement of fewer than two words"}
            continue
        bigrams = share_in(list(pairwise(written)), list(pairwise(told)))
        yield {"id": record.id, "token": share_in(written, told), "bigram": bigrams}


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """The mean shares with their intervals."""
    figures: dict[str, float] = {}
    for name in ("token", "bigram"):
        shares = [row[name] for row in rows]
        known = bootstrap_interval(shares, seed=task.seed)
        figures |= {name: sum(shares) / len(shares), f"{name}.low": known.low}
        figures |= {f"{name}.high": known.high}
    return Result(figures=figures)


DIAGNOSTIC = Diagnostic(
    definition="Share of the refined answer's words (runs of letters and digits, case folded, every occurrence "
    "counted) that also occur in the critique, and the same of word bigrams; mean over records.",
    source="arXiv 2505.11628, Appendix D.7",
    measure=measure,
    summarise=summarise,
    uses=(),
    samples=50_000,
)
