"""Robustness: what a model makes of a critique that is right, beside the point, or false, at inference.

    x, y', c*  → greedy answer → graded         c* = factual      the record's own critique
    x, y'      → greedy answer → graded              irrelevant   the critique of another problem
    x          → greedy answer → graded              misleading   a false one, which leads to a known wrong answer

The paper shows one problem (Appendix D.5); here it is a rate over many, each seen under all conditions, so that
conditions are compared pair by pair. Everything is shown as training shows it (`engine.objectives`). Run it on
the model before training and after: the rows of both are of the same records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datagen.backends import TeacherConfig, make_generator
from datagen.critique_content import unrelated_donors
from datagen.generators import Failure, Generator, Message, Request, Sampling
from datagen.plan import derive_seed
from datagen.records import Record
from engine.objectives import OBJECTIVES, conversation
from evals.diagnostics.asking import Ask, Interview, conduct
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Row
from evals.diagnostics.misleading import (
    ANSWER,
    TEMPLATE,
    Misleading,
    boxed,
    fields_of,
    gold_of,
    misleading_critiques,
)
from evals.diagnostics.robustness_figures import summarise
from evals.grading import GRADER_VERSION, grade

OBJECTIVE_OF = {"none": "cgd_no_critique", "prompt": "distilled_sft"}
"""The conditions without a critique, by the objective that shows the same; all others are shown as cgd."""
BATCHES = 8
"""Of requests in flight: few enough that rows come all along, enough that texts of a length meet in a batch."""


def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """The judge writes what misleads, then the model answers."""
    gradable: list[Record] = []
    for record in records:
        if grade(record.student_answer or "", gold_of(record)).status == "unparsable gold":
            yield {"id": record.id, LEFT_OUT: "no gold answer that can be read"}
        else:
            gradable.append(record)
    if not gradable:
        return
    false = misleading_critiques(task, gradable)
    donors = donors_of(task)
    interviews = (
        interview(task, record, donors.get(record.id), false.get(record.id)) for record in gradable
    )
    yield from conduct(model_of(task), interviews, BATCHES * task.batch_size)


def model_of(task: Diagnosis) -> Generator:
    """The model under diagnosis, to be asked."""
    return make_generator(
        TeacherConfig(
            backend="transformers",
            model=str(task.model),
            chat_template=task.chat_template,
            batch_size=task.batch_size,
            device=task.device,
        )
    )


def donors_of(task: Diagnosis) -> Mapping[str, Record]:
    """By record the one of another problem whose critique is shown; none where all are of one problem."""
    try:
        return unrelated_donors(task.records, task.seed)
    except ValueError:
        return {}


def interview(
    task: Diagnosis, record: Record, donor: Record | None, misleading: Misleading | None
) -> Interview:
    """All conditions at once: the record's row needs every one of them."""
    critiques = {"factual": record.critique, "none": None, "prompt": None}
    if donor is not None:
        critiques["irrelevant"] = donor.critique
    if misleading is not None:
        critiques["misleading"] = misleading.critique
    outcomes = yield [ask(task, record, name, critique) for name, critique in critiques.items()]
    texts: dict[str, str] = {}
    cut: list[str] = []
    for name, outcome in zip(critiques, outcomes, strict=True):
        if isinstance(outcome, Failure):
            reason = f"{outcome.kind} for the model with max_tokens = {task.max_tokens}"
            return {"id": record.id, LEFT_OUT: reason}
        texts[name] = outcome.text
        cut += [name] if outcome.finish_reason == "length" else []
    return {
        "id": record.id,
        "gold": gold_of(record),
        "student_right": is_right(record.student_answer or "", gold_of(record)),
        "unrelated_to": donor.id if donor else None,
        **fields_of(misleading),
        "outputs": texts,
        "right": {name: is_right(text, gold_of(record)) for name, text in texts.items()},
        "gives_wrong_answer": adopts(texts, misleading),
        "cut": cut,
    }


def ask(task: Diagnosis, record: Record, condition: str, critique: str | None) -> Ask:
    """The request of one condition."""
    messages = shown(record, condition, critique, task.layout)
    seed = derive_seed(task.seed, f"robustness/{condition}", record.id)
    told = replace(record, critique=critique)
    request = Request(record.id, messages, seed, stage=condition, record=told)
    return Ask(request, Sampling(max_tokens=task.max_tokens))


def shown(record: Record, condition: str, critique: str | None, layout: str) -> tuple[Message, ...]:
    """The chat that training would show before the target."""
    objective = OBJECTIVE_OF.get(condition, "cgd")
    fields: dict[str, Any] = {
        "prompt": record.prompt,
        "student_answer": record.student_answer,
        "critique": critique,
        OBJECTIVES[objective].writes: "",
    }
    return conversation(fields, objective, layout).context


def adopts(texts: Mapping[str, str], misleading: Misleading | None) -> dict[str, bool] | None:
    """By condition: whether the answer is the wrong one to which the misleading critique leads. Under the others
    nobody has named it, so they show how often a model comes to it by itself."""
    if misleading is None:
        return None
    target = boxed(misleading.answer)
    return {name: is_right(text, target) for name, text in texts.items()}


def is_right(text: str, gold: str) -> bool:
    """As the evaluator grades."""
    return grade(text, gold).correct


DIAGNOSTIC = Diagnostic(
    definition="Share of right greedy answers given prompt, student answer and a critique that is factual (the "
    "record's own), irrelevant (of another problem) or misleading (false: from the record's fields, or written by "
    f"the judge, wording `mislead`, sha256 {TEMPLATE.sha256[:16]}), without a critique, and given the prompt alone; "
    f"grader {GRADER_VERSION}. `misled` is the share of answers that are the `{ANSWER}`.",
    source="arXiv 2505.11628, Appendix D.5, Table 18 (there one case; here a rate)",
    measure=measure,
    summarise=summarise,
    uses=("model", "max_tokens", "judge", "records"),
)
