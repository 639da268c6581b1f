"""The files of a generation: written at the end, all at once, from prompts and journals alone.

    prompts + journals -> replay -> answers, critiques, refinements, teacher_answers (.jsonl, + manifest)
                                    dropped.jsonl, failed.jsonl, summary.json (last: the marker)

A stage's file holds the records that got so far, in the order of the prompts; the last one holds every
field. What is missing in it stands in the other two: of every stage, in = out + dropped + failed. Files
are written aside and renamed, and one that would be the same is left as it is. A run that is killed
while it does this does it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datagen.accounts import Account
from datagen.chain import Complete, Course, Dropped, Due, Failed, Position, begin, fail, replay
from datagen.finished import COUNTS, SUMMARY, Published, made_of
from datagen.journal import Journals, read_journals
from datagen.output_files import Output, write_json
from datagen.plan import STAGES, sample_of
from datagen.progress_bar import Say
from datagen.records import Record, read_records
from datagen.stages import GenerateConfig
from datagen.summary import Summary
from datagen.summary_table import table
from datagen.workers import Worker, alone

JOURNALS = "journal"
"""The folder of journals, beside the stages' files."""
MERGE_LOCK = ".merge.lock"


# ---- what goes in -----------------------------------------------------------------------------------


def read_prompts(prompts: Path, course: Course, samples: int) -> list[Record]:
    """A record for every sample of every prompt; a file that is not one of prompts is refused."""
    records = read_records(prompts)
    if not records:
        raise ValueError(f"{prompts} holds no records")
    for plan in course.stages:
        filled = [r.id for r in records if getattr(r, plan.stage.fills) is not None]
        if filled:
            raise ValueError(
                f"{len(filled):,} of {len(records):,} records in {prompts} have a `{plan.stage.fills}` "
                f"already (the first: {filled[0]}): that is no file of prompts, but what the stage "
                f"`{plan.name}` has written"
            )
    expanded = [sample_of(record, sample) for record in records for sample in range(samples)]
    twice = [record_id for record_id, count in Counter(r.id for r in expanded).items() if count > 1]
    if twice:
        raise ValueError(
            f"{prompts}: the id {twice[0]!r} is that of a sample, too (generate.samples_per_prompt "
            f"= {samples}); give the record another id"
        )
    return expanded


# ---- what comes out ---------------------------------------------------------------------------------


def publish(
    prompts: Path,
    folder: Path,
    records: Sequence[Record],
    course: Course,
    config: GenerateConfig,
    account: Account,
    worker: Worker,
    say: Say,
    pace: tuple[float, int] | None = None,
) -> Published | None:
    """Writes all files, once nothing is due any more; None where other workers still have something to do.

    `pace`: the seconds of this run, and the tokens that it has written."""
    journal_folder = folder / JOURNALS
    with (
        alone(journal_folder / MERGE_LOCK),
        read_journals(journal_folder, say) as journals,
        ExitStack() as stack,
    ):
        files = {plan.name: Output(folder, f"{plan.stage.file}.jsonl") for plan in course.stages}
        files |= {name: Output(folder, f"{name}.jsonl") for name in ("dropped", "failed")}
        for file in files.values():
            stack.callback(file.discard)
        counts: Counter[str] = Counter(prompts=len(records))
        failures: list[Failed] = []
        account.add_prompts(len(records))
        for position in settled(records, course, journals):
            if isinstance(position, Due):
                say(
                    f"worker {worker.number} of {worker.count} has finished; others still have work to "
                    "do, and the last one writes the files"
                )
                return None
            write_position(position, course, files)
            add_to(account, position)
            counts[type(position).__name__] += 1
            failures += [position] if isinstance(position, Failed) else []
        made = made_of(prompts, course, config)
        published = Published(
            folder, len(records), counts["Complete"], counts["Dropped"], len(failures), made
        )
        if published.failed > config.max_failed_share * len(records):
            files["failed"].keep()
            raise ValueError(too_many_failed(failures, published, config))
        summary = account.summary(*(pace or ()))
        put_in_place(published, files, course, summary)
        say(table(summary))
        return published


def settled(records: Iterable[Record], course: Course, journals: Journals) -> Iterator[Position]:
    """Where every record stands at last; one that failed has a failure in place of its text."""
    for record in records:
        position = replay(begin(record, course), journals.text, course)
        while isinstance(position, Due) and position.work.key in journals.failures:
            position = fail(position, journals.failures[position.work.key], course)
            position = replay(position, journals.text, course)
        yield position


def write_position(position: Position, course: Course, files: Mapping[str, Output]) -> None:
    """A record's line in the file of every stage that it got through, and in one of the other two."""
    values = position.record.to_json()
    place = len(course.stages) if isinstance(position, Complete) else position.place
    for number, plan in enumerate(course.stages[:place]):
        later = course.stages[number + 1 :]
        files[plan.name].write(without(values, [plan.stage.name for plan in later]))
    if isinstance(position, Dropped):
        why = {"stage": course.stages[place].name, "gate": position.gate}
        files["dropped"].write(values | {"dropped": why})
    if isinstance(position, Failed):
        error = asdict(position.failure)
        what = {"stage": course.stages[place].name, "id": position.record.id}
        files["failed"].write(what | {"error": error, "prompt": position.record.prompt})


def without(values: Mapping[str, Any], stages: Sequence[str]) -> dict[str, Any]:
    """A record's line as it was before these stages."""
    gone = {STAGES[name].fills for name in stages} | (
        {"verdict"} if "critique" in stages else set()
    )
    kept = {name: value for name, value in values.items() if name not in gone}
    known = {name: facts for name, facts in values["provenance"].items() if name not in stages}
    return kept | {"provenance": known}


def add_to(account: Account, position: Position) -> None:
    """Counts all that happened to a record."""
    refined = None
    for ruled in position.ruled:
        provenance = ruled.entry.provenance
        account.add_text(ruled.entry.stage, provenance, ruled.ruling, provenance.get("attempt", 0))
        if ruled.entry.stage == "refine":
            refined = ruled.ruling.correct
    if isinstance(position, Failed):
        work = position.work
        account.add_failure(work.plan.name, position.failure.kind, work.attempt)
    if isinstance(position, Complete):
        account.add_record(position.record, refined)


def too_many_failed(failed: Sequence[Failed], published: Published, config: GenerateConfig) -> str:
    """How many, why, and what to do."""
    kinds = Counter(position.failure.kind for position in failed)
    first = {position.failure.kind: position.failure.message for position in reversed(failed)}
    reasons = "\n".join(
        f"  {count:,} x {kind}: {first[kind]}" for kind, count in kinds.most_common()
    )
    too_long = (
        "What is too long fits with a lower max_tokens, or on a server with a longer context.\n"
        if kinds["too long"]
        else ""
    )
    share = 100 * published.failed / published.prompts
    return (
        f"{published.failed:,} of {published.prompts:,} records ({share:.1f} %) have failed, more than "
        f"generate.max_failed_share = {config.max_failed_share:g} allows:\n{reasons}\n{too_long}"
        f"All texts are safe, and {published.folder / 'failed.jsonl'} names these records. The same "
        "command tries them again; with a larger generate.max_failed_share they are left out"
    )


# ---- files ------------------------------------------------------------------------------------------


def put_in_place(
    published: Published, files: Mapping[str, Output], course: Course, summary: Summary
) -> None:
    """Renames the files, then writes the manifests, then the summary, whose presence says that all is there."""
    folder = published.folder
    (folder / SUMMARY).unlink(missing_ok=True)
    for file in files.values():
        if not file.is_in_place():
            file.keep()
    # A stage that is not asked for any more would pass for one of these files; its texts stay in the journals.
    for stage in (stage for name, stage in STAGES.items() if name not in files):
        for name in (f"{stage.file}.jsonl", f"{stage.file}.jsonl.manifest.json"):
            (folder / name).unlink(missing_ok=True)
    input_sha256 = published.made_of["prompts_sha256"]
    stages = {stage.stage: asdict(stage) for stage in summary.stages}
    for plan in course.stages:
        file = files[plan.name]
        sums = {"input_sha256": input_sha256, "output_sha256": file.sha256}
        manifest = stages.get(plan.name, {}) | sums
        write_json(file.path.with_name(f"{file.path.name}.manifest.json"), manifest)
        input_sha256 = file.sha256
    facts = {
        "counts": {name: getattr(published, name) for name in COUNTS},
        "made_of": published.made_of,
        "files": {file.path.name: file.sha256 for file in files.values()},
    }
    write_json(folder / SUMMARY, summary.to_json() | facts)
