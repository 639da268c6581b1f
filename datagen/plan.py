"""The plan: which text is to be written for a record at a stage, from what, under which key.

    stage + settings + writer's identity + run seed -> StagePlan
    StagePlan + record + attempt -> Work(request, sampling, key)

The key is a hash of everything that a text depends on: equal keys mean that a text may be taken
over, different ones that it must be written again. Position in the file is not part of it, and
neither is who else is in the batch. The seed of a text hangs on run seed, stage, record and attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from datagen.generators import Message, Request, Sampling, what_matters
from datagen.records import Record
from datagen.stages import GenerateConfig
from datagen.thinking import Thinking
from datagen.wordings import Template, load_template

Writer = Literal["student", "teacher"]


@dataclass(frozen=True)
class Stage:
    """What a stage reads and what it adds to a record."""

    name: str
    """As in the config and in the provenance."""
    fills: str
    """The record's field that it writes."""
    file: str
    """The name of its file in `data/`."""
    writer: Writer
    """Who is asked."""
    shows: tuple[str, ...] = ()
    """The fields, beside the prompt, that it shows to the model."""
    template: str | None = None
    """The wording by default; None: the prompt is sent as it is."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("answer", "student_answer", "answers", "student"),
        Stage("critique", "critique", "critiques", "teacher", ("student_answer",), "critique"),
        Stage(
            "refine",
            "refined_answer",
            "refinements",
            "teacher",
            ("student_answer", "critique"),
            "refine",
        ),
        Stage("teach", "teacher_answer", "teacher_answers", "teacher", template="teach"),
    )
}
FILLED_BY = {stage.fills: stage.name for stage in STAGES.values()}


@dataclass(frozen=True)
class StagePlan:
    """All that the texts of a stage have in common."""

    stage: Stage
    sampling: Sampling
    template: Template | None
    system: str | None
    goes_on: StagePlan | None
    """The stage whose chat this one continues."""
    thinking: Thinking
    seed: int
    """The run's."""
    provenance: dict[str, Any]
    """What is known of every text before it is there."""
    settings_sha256: str
    """Of the part of the provenance that texts depend on."""

    @property
    def name(self) -> str:
        """The stage's."""
        return self.stage.name


@dataclass(frozen=True)
class Work:
    """One text to be written."""

    plan: StagePlan
    request: Request
    sampling: Sampling
    attempt: int
    """From 0; a gate may ask again."""
    key: str
    """Hash of all that the text depends on."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What is known before the text is there."""
        own = {"seed": self.request.seed, "key": self.key}
        if self.attempt:
            own |= {"attempt": self.attempt, "sampling": asdict(self.sampling)}
        return self.plan.provenance | own


def plan_stages(
    names: Sequence[str],
    config: GenerateConfig,
    identities: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> tuple[StagePlan, ...]:
    """The plans of these stages, in their order; identities go by `student` and `teacher`."""
    plans: dict[str, StagePlan] = {}
    for name in names:
        identity = identities[STAGES[name].writer]
        plans[name] = plan_stage(STAGES[name], config, identity, seed, plans.get("critique"))
    return tuple(plans.values())


def plan_stage(
    stage: Stage,
    config: GenerateConfig,
    identity: Mapping[str, Any],
    seed: int,
    critique: StagePlan | None = None,
) -> StagePlan:
    """What holds for every record; `critique` is the plan of that stage, which refine may go on with."""
    settings = config.of(stage.name)
    goes_on = critique if settings.layout == "continue" else None
    name = settings.template or (f"{stage.template}_continue" if goes_on else stage.template)
    template = load_template(name, stands_alone=goes_on is None) if name else None
    known: dict[str, Any] = dict(identity)
    known |= {"template": name, "template_sha256": template.sha256 if template else None}
    if settings.system is not None:
        known["system"] = settings.system
    if goes_on is not None:
        known["layout"] = settings.layout
    settings_sha256 = digest({k: v for k, v in what_matters(known).items() if k != "template"})
    known["sampling"] = asdict(settings.sampling())
    return StagePlan(
        stage,
        settings.sampling(),
        template,
        settings.system,
        goes_on,
        settings.thinking,
        seed,
        known,
        settings_sha256,
    )


def plan_work(
    plan: StagePlan, record: Record, attempt: int = 0, max_tokens: int | None = None
) -> Work:
    """The request for one record, and the key of its text."""
    seed = derive_seed(plan.seed, plan.name, record.id, attempt)
    messages = messages_for(plan, record)
    sampling = plan.sampling
    if max_tokens is not None and max_tokens != sampling.max_tokens:
        sampling = replace(sampling, max_tokens=max_tokens)
    drawn = [seed, attempt, sampling.temperature, sampling.top_p, sampling.max_tokens]
    key = digest([plan.name, record.id, messages, drawn, plan.settings_sha256])
    request = Request(record.id, messages, seed, plan.name, record)
    return Work(plan, request, sampling, attempt, key)


def messages_for(plan: StagePlan, record: Record) -> tuple[Message, ...]:
    """What the model is asked: the prompt itself, or the wording with the record's texts in it."""
    if plan.template is None:
        content = record.prompt
    else:
        shown = {name: getattr(record, name) for name in plan.stage.shows}
        content = plan.template.render(problem=record.prompt, **shown)
    asked: Message = {"role": "user", "content": content}
    if plan.goes_on is not None:
        said: Message = {"role": "assistant", "content": record.critique or ""}
        return (*messages_for(plan.goes_on, record), said, asked)
    if plan.system is not None:
        return ({"role": "system", "content": plan.system}, asked)
    return (asked,)


def sample_of(record: Record, sample: int) -> Record:
    """The prompt's record for one of several samples: the first keeps the id."""
    return replace(record, id=f"{record.id}#{sample}") if sample else record


def derive_seed(seed: int, stage: str, record_id: str, attempt: int = 0) -> int:
    """A text's own seed, from the run's; the id names the sample, too. 63 bits, so that every library takes it."""
    parts: list[object] = [seed, stage, record_id]
    return int(digest([*parts, attempt] if attempt else parts)[:16], 16) >> 1


_JSON = json.JSONEncoder(sort_keys=True)


def digest(value: Any) -> str:
    """sha256 of a value's JSON text."""
    return hashlib.sha256(_JSON.encode(value).encode()).hexdigest()
