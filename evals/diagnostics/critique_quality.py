"""Critique quality: a judge rates how informative and how specific each critique is.

    record → real critique rated; of CONTROLS records also the generic sentence and an unrelated critique → row
    rows → by right and wrong student answers, by length, and the controls → rating_figures.py

The sample has as many right as wrong student answers, as far as there are so many (the paper: 10,000 of each); a
record of which nobody knows it (`student_correct`) is left out, and counted. The controls calibrate the judge: one that
does not tell a real critique from an empty sentence, or from a critique of another problem, has nothing to say about
critiques. They are taken of the same records, so that problem and answer are the same in all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datagen.critique_content import GENERIC, unrelated_donors
from datagen.plan import digest
from datagen.records import Record
from evals.diagnostics.asking import Interview, conduct
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Row
from evals.diagnostics.rating_figures import summarise
from evals.diagnostics.ratings import SCALES, TEMPLATE, Rated, rate

CONTROLS = 200
"""Records whose answer is also shown with the two other critiques; the paper's number."""


def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """One rating a record, three for the controls."""
    assert task.judge is not None, "the caller has seen to it"
    others = critiques_of_controls(task)
    yield from conduct(
        task.judge(), (interview(task, record, others.get(record.id, {})) for record in records)
    )


def critiques_of_controls(task: Diagnosis) -> dict[str, dict[str, str]]:
    """By record: the critiques that are shown in place of its own. The choice hangs on ids, not on who measures."""
    chosen = sorted(task.records, key=lambda r: digest([task.seed, "control", r.id]))[:CONTROLS]
    try:
        donors = unrelated_donors(task.records, task.seed)
    except ValueError:  # one problem only: nothing is unrelated, and the row says so
        donors = {}
    others = {record.id: {"generic": GENERIC} for record in chosen}
    for record in chosen:
        if record.id in donors:
            others[record.id]["unrelated"] = donors[record.id].critique or ""
    return others


def interview(task: Diagnosis, record: Record, others: dict[str, str]) -> Interview:
    """The record's row. A control whose reply cannot be read is null, and counted later."""
    critique = record.critique or ""
    real = yield from rate(record, critique, task.seed, task.max_tokens)
    if real.rating is None:
        return {"id": record.id, LEFT_OUT: real.why_not, "reply": real.reply}
    row: Row = {
        "id": record.id,
        "student_answer": "right" if record.student_correct else "wrong",
        "words": len(critique.split()),
        **scores(real),
        "attempts": real.attempts,
        "reply": real.reply,
    }
    if others:
        row["controls"] = {}
    for kind, other in others.items():
        rated = yield from rate(record, other, task.seed, task.max_tokens)
        row["controls"][kind] = scores(rated) or None
    return row


def scores(rated: Rated) -> dict[str, int]:
    """By scale; empty without a rating."""
    return {scale: getattr(rated.rating, scale) for scale in SCALES} if rated.rating else {}


DIAGNOSTIC = Diagnostic(
    definition="Informativeness and specificity of each critique, 1 to 5, rated by a judge that sees problem, "
    f"student answer and critique (wording `judge`, sha256 {TEMPLATE.sha256[:16]}; first attempt greedy); "
    "by right and wrong student answers, with a generic sentence and unrelated critiques as controls.",
    source="arXiv 2505.11628, Appendix H, Tables 20 to 22",
    measure=measure,
    summarise=summarise,
    uses=("judge", "max_tokens", "records"),
    samples=20_000,
    balanced_by="student_correct",
)
