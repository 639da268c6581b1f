"""The four stages: answer, critique, refine, teach. Each turns one file of records into the next.

    prompts.jsonl -- answer --> answers.jsonl -- critique --> critiques.jsonl -- refine --> ...

    record -> Work(request, key) -> generator -> journal (TARGET.partial) -> TARGET -> its manifest

The key of a piece of work (`plan.py`) is a hash of all that its text depends on. A text is looked
up by key, in the journal of a killed run and in the file of a finished one, so a resumed,
reordered, grown or shrunk input writes nothing twice, and a changed setting writes again exactly
what it concerns. The manifest is written last: where it fits, the stage is finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from datagen.generators import Completion, Generator, Sampling
from datagen.journal import Entry, open_journal, read_journal
from datagen.plan import FILLED_BY, STAGES, Stage, Work, plan_stage
from datagen.progress_bar import Say, say_line, with_progress
from datagen.records import Record, json_line, read_records, write_whole
from datagen.stage_report import StageReport, changed_settings, count_up


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """A `[generate.STAGE]` section: how one stage's texts are written."""

    temperature: float = 0.7
    """0 is greedy."""
    top_p: float = 1.0
    """Only the most probable tokens that together reach this probability may be drawn."""
    max_tokens: int = 1024
    """A text that reaches this length is cut, counted and said."""
    template: str | None = None
    """The wording, by name or path; unset, the stage's own: critique, refine, teach."""

    def __post_init__(self) -> None:
        self.sampling()  # its bounds are checked there

    def sampling(self) -> Sampling:
        """How each text is drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """The `[generate]` section."""

    answer: StageConfig = field(default_factory=StageConfig)
    """The student's answers to the prompts."""
    critique: StageConfig = field(default_factory=StageConfig)
    """The teacher's critiques of these answers."""
    refine: StageConfig = field(default_factory=StageConfig)
    """The teacher's solutions, given answer and critique."""
    teach: StageConfig = field(default_factory=StageConfig)
    """The teacher's solutions of the prompts alone, for `distilled_sft`."""
    batch_size: int = 16
    """Texts that the student writes at a time; `teacher.batch_size` is the teacher's."""

    def __post_init__(self) -> None:
        if self.answer.template is not None:
            raise ValueError(
                "answer.template: the student sees the prompt as it is; its wording is data.wording"
            )
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")


def unchanged(record: Record) -> Record:
    """The record as it is."""
    return record


def run_stage(
    stage: str,
    source: Path,
    target: Path,
    generator: Generator,
    config: StageConfig,
    seed: int,
    annotate: Callable[[Record], Record] = unchanged,
    say: Say = say_line,
) -> StageReport:
    """Fills the stage's field of every record of `source`, into `target`; resumes what was begun.

    `annotate` is applied to every finished record: it may add what can be computed from it.
    """
    source, target = Path(source), Path(target)
    spec = STAGES[stage]
    sampling, template = config.sampling(), config.template
    records = read_source(spec, source, target)
    works = plan_stage(spec, records, generator.identity, sampling, template, seed)
    old = earlier_texts(spec, target, say)
    texts = {entry.key: entry for entry in old}
    done = {index for index, work in enumerate(works) if work.key in texts}
    input_sha256 = file_sha256(source)
    if len(done) == len(works) and is_complete(target, works, input_sha256):
        report = count_up(stage, [texts[work.key] for work in works])
        say(f"{stage}: {len(works):,} records, complete, nothing to do")
        return report
    announce(stage, works, done, old, say)
    for entry in write_texts(spec, works, done, generator, sampling, target, say):
        texts[entry.key] = entry
    entries = [texts[work.key] for work in works]
    report = count_up(stage, entries, written=len(works) - len(done))
    publish(spec, works, entries, annotate, target, report, input_sha256)
    say(report.sentence())
    return report


def read_source(stage: Stage, source: Path, target: Path) -> list[Record]:
    """The records that the stage works on; what an earlier stage should have filled must be there."""
    if source.resolve() == target.resolve():
        raise ValueError(f"{stage.name}: {source} cannot be both what is read and what is written")
    records = read_records(source)
    if not records:
        raise ValueError(f"{stage.name}: {source} holds no records")
    for name in stage.shows:
        lacking = [record.id for record in records if getattr(record, name) is None]
        if lacking:
            raise ValueError(
                f"{stage.name}: {len(lacking)} of {len(records)} records in {source} have no "
                f"`{name}` (the first: {lacking[0]}); the stage `{FILLED_BY[name]}` writes it"
            )
    return records


def journal_of(target: Path) -> Path:
    """Where texts go before all are there."""
    return target.with_name(f"{target.name}.partial")


def manifest_of(target: Path) -> Path:
    """The file that is written last."""
    return target.with_name(f"{target.name}.manifest.json")


def earlier_texts(stage: Stage, target: Path, say: Say) -> list[Entry]:
    """All texts of earlier runs: of a finished one, then of one that was killed."""
    finished = read_records(target) if target.exists() else []
    entries = []
    for record in finished:
        text, provenance = getattr(record, stage.fills), record.provenance.get(stage.name)
        if text is not None and provenance is not None:
            entries.append(Entry(record.id, text, provenance))
    return entries + read_journal(journal_of(target), say)


def announce(
    stage: str, works: Sequence[Work], done: set[int], old: Iterable[Entry], say: Say
) -> None:
    """Says what is taken over, and why the rest of what was there is written again."""
    before = {entry.id: entry.provenance for entry in old}
    again = [w for i, w in enumerate(works) if i not in done and w.request.id in before]
    if again:
        reasons = {r for w in again for r in changed_settings(before[w.request.id], w.provenance)}
        why = ", ".join(sorted(reasons)) or "input"
        say(f"{stage}: {len(again):,} of {len(works):,} texts are written again (changed: {why})")
    if done:
        say(f"{stage}: {len(done):,} of {len(works):,} texts are there already")


def write_texts(
    stage: Stage,
    works: Sequence[Work],
    done: set[int],
    generator: Generator,
    sampling: Sampling,
    target: Path,
    say: Say,
) -> list[Entry]:
    """Has the missing texts written; each is safe in the journal before the next is waited for."""
    if len(done) == len(works):
        return []
    entries = []
    stream = generator.generate([work.request for work in works], sampling, done)
    with open_journal(journal_of(target)) as append:
        for index, completion in with_progress(stream, stage.name, len(works), len(done), say):
            entry = entry_of(works[index], completion)
            append(entry)
            entries.append(entry)
    written = {entry.key for entry in entries}
    missing = [w.request.id for i, w in enumerate(works) if i not in done and w.key not in written]
    assert not missing, f"the generator left out {len(missing)} texts, the first for {missing[0]}"
    return entries


def entry_of(work: Work, completion: Completion) -> Entry:
    """The text and all that is known about it."""
    measured = {name: value for name, value in asdict(completion).items() if name != "text"}
    return Entry(work.request.id, completion.text, {**work.provenance, **measured})


def is_complete(target: Path, works: Sequence[Work], input_sha256: str) -> bool:
    """True where the manifest says that this very file was made of this very input."""
    if not target.exists() or not manifest_of(target).exists():
        return False
    manifest = json.loads(manifest_of(target).read_text(encoding="utf-8"))
    made_of = (manifest.get("input_sha256"), manifest.get("output_sha256"))
    return made_of == (input_sha256, file_sha256(target)) and manifest["records"] == len(works)


def publish(
    stage: Stage,
    works: Sequence[Work],
    entries: Sequence[Entry],
    annotate: Callable[[Record], Record],
    target: Path,
    report: StageReport,
    input_sha256: str,
) -> None:
    """Writes all records in the order of the input, then the manifest; the journal may go."""
    records = [
        annotate(work.record.with_stage(stage.name, entry.provenance, **{stage.fills: entry.text}))
        for work, entry in zip(works, entries, strict=True)
    ]
    content = b"".join(json_line(record.to_json()) for record in records)
    manifest_of(target).unlink(missing_ok=True)  # it speaks of the file that is replaced now
    write_whole(target, content)
    sums = {"input_sha256": input_sha256, "output_sha256": hashlib.sha256(content).hexdigest()}
    manifest = json.dumps(asdict(report) | sums, indent=2) + "\n"
    write_whole(manifest_of(target), manifest.encode())
    journal_of(target).unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
