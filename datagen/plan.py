"""The plan of a stage: which text is to be written for which record, from what, under which key.

    records + identity + sampling + wording -> Work(request, key) for every record, in their order

The key is a hash of everything that a text depends on: equal keys mean that a text may be taken
over, different ones that it must be written again. Position in the file is not part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datagen.generators import Message, Request, Sampling, what_matters
from datagen.records import Record
from datagen.wordings import Template, load_template


@dataclass(frozen=True)
class Stage:
    """What a stage reads and what it adds to a record."""

    name: str
    """As in the config and in the provenance."""
    fills: str
    """The record's field that it writes."""
    shows: tuple[str, ...] = ()
    """The fields, beside the prompt, that it shows to the model."""
    template: str | None = None
    """The wording by default; None: the prompt is sent as it is."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("answer", fills="student_answer"),
        Stage("critique", "critique", shows=("student_answer",), template="critique"),
        Stage("refine", "refined_answer", shows=("student_answer", "critique"), template="refine"),
        Stage("teach", fills="teacher_answer", template="teach"),
    )
}
FILLED_BY = {stage.fills: stage.name for stage in STAGES.values()}


@dataclass(frozen=True)
class Work:
    """One text to be written."""

    record: Record
    request: Request
    provenance: dict[str, Any]
    """What is known before the text is there; its key included."""

    @property
    def key(self) -> str:
        """Hash of all that the text depends on."""
        return str(self.provenance["key"])


def plan_stage(
    stage: Stage,
    records: Sequence[Record],
    identity: Mapping[str, str],
    sampling: Sampling,
    template_name: str | None,
    seed: int,
) -> list[Work]:
    """One piece of work for every record, in the order of the file."""
    name = template_name or stage.template
    template = load_template(name) if name else None
    known: dict[str, Any] = dict(identity)
    known |= {"template": name, "template_sha256": template.sha256 if template else None}
    known |= {"sampling": asdict(sampling)}
    return [plan_one(stage, record, template, known, seed) for record in records]


def plan_one(
    stage: Stage, record: Record, template: Template | None, known: Mapping[str, Any], seed: int
) -> Work:
    """The request for one record and the key of its text."""
    own_seed = derive_seed(seed, stage.name, record.id)
    messages = messages_for(stage, record, template)
    request = Request(record.id, messages, own_seed, stage.name, record)
    settings = {name: value for name, value in what_matters(known).items() if name != "template"}
    key = digest([stage.name, record.id, messages, own_seed, settings])
    return Work(record, request, {**known, "seed": own_seed, "key": key})


def messages_for(stage: Stage, record: Record, template: Template | None) -> tuple[Message, ...]:
    """What the model is asked: the prompt itself, or the wording with the record's texts in it."""
    if template is None:
        content = record.prompt
    else:
        shown = {name: getattr(record, name) for name in stage.shows}
        content = template.render(problem=record.prompt, **shown)
    return ({"role": "user", "content": content},)


def derive_seed(*parts: object) -> int:
    """A seed that depends on exactly these parts; 63 bits, so that every library takes it."""
    return int(digest(list(parts))[:16], 16) >> 1


def digest(value: Any) -> str:
    """sha256 of a value's JSON text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
