"""What a generation says before it begins: what is there already, and why the rest is written again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from datagen.chain import Course, Dropped, Due, Position
from datagen.generators import what_matters
from datagen.journal import Entry, Journals
from datagen.plan import StagePlan, derive_seed

FEW = 20
"""With fewer answers in the journals, that none fits is no sign of anything."""


class Standing:
    """Where all records stand when a run begins; counted one after the other, so that none has to be held."""

    def __init__(self, course: Course, known: Journals) -> None:
        self._course, self._known = course, known
        self._total = self._failed = self._begun = 0
        self.kept: Counter[str] = Counter()
        """By stage: records that have its text."""
        self._again: Counter[str] = Counter()
        """By stage: texts there are that do not fit any more."""
        self._reasons: dict[str, set[str]] = defaultdict(set)
        """By stage: the settings that differ."""

    def add(self, position: Position) -> None:
        """Counts a record."""
        stages = self._course.stages
        place = position.place if isinstance(position, Due | Dropped) else len(stages)
        self.kept.update(plan.name for plan in stages[:place])
        self._total += 1
        self._begun += not isinstance(position, Due) or bool(position.ruled)
        if isinstance(position, Due):
            self._failed += position.work.key in self._known.failures
            self._look_for_others(position)

    def _look_for_others(self, due: Due) -> None:
        """Texts of the record, from its stage on, that were written with other settings or of another input."""
        for place, plan in enumerate(self._course.stages):
            if place < due.place or (place == due.place and due.work.attempt):
                continue  # what is there fits, or is the attempt before
            old = self._known.before(plan.name, due.record.id)
            if old is not None:
                self._again[plan.name] += 1
                self._reasons[plan.name].update(changed_settings(old, plan))

    def sentences(self) -> Iterator[str]:
        """For every stage which texts are there, and why others are written again."""
        for plan in self._course.stages:
            name, total = plan.name, f"{self._total:,}"
            if self.kept[name]:
                yield f"{name}: {self.kept[name]:,} of {total} texts are there already"
            if self._again[name]:
                why = ", ".join(sorted(self._reasons[name])) or "input"
                count = f"{self._again[name]:,} of {total}"
                yield f"{name}: {count} texts are written again (changed: {why})"
        if self._failed:
            yield f"{self._failed:,} texts that could not be had before are tried again"

    def refuse_other_prompts(self) -> None:
        """Raises ValueError where the journals belong to other prompts: all of it would be paid for again."""
        first = self._course.stages[0].name
        before = sum(stage == first for stage, _ in self._known.newest)
        if before < FEW or self._begun or self._reasons[first]:
            return
        raise ValueError(
            f"the run folder holds {before:,} texts of the stage {first}, and not one belongs to these "
            f"{self._total:,} prompts (for {self._again[first]:,} of them the id is known, but the prompt "
            "is another one): they are another run's. Use another run.name or run.dir, or start anew with "
            "--overwrite, which keeps the earlier attempt aside"
        )


def changed_settings(old: Entry, plan: StagePlan) -> list[str]:
    """The names of what differs between a text's provenance and a stage's plan; empty where only the input does."""
    attempt = old.provenance.get("attempt", 0)
    new = plan.provenance | {"seed": derive_seed(plan.seed, plan.name, old.id, attempt)}
    before, after = _flat(old.provenance), _flat(new)
    ignored = (
        {"template", "max_tokens"} if attempt else {"template"}
    )  # a retry may have had more room
    return [name for name in after if name not in ignored and before.get(name) != after[name]]


def _flat(provenance: Mapping[str, Any]) -> dict[str, Any]:
    flat = what_matters(provenance) | provenance.get("sampling", {})
    flat["wording"] = flat.pop("template_sha256", None)
    flat.pop("sampling", None)
    return flat
