"""One diagnostic from records to its files: measured where it was not yet, resumable, by one process or many.

    records → sample → measure → NAME.jsonl.partial → summarise → NAME.jsonl → NAME.json, written last

A row's key covers all that it depends on: the record, the definition, and what the diagnostic uses of model,
lengths and judge. A run that was killed goes on with the rows it has; other settings make new ones, and say so.
Of several workers each measures every N-th record into a file of its own, and the one that finds all rows there
writes the result: nobody waits for anybody.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datagen.generators import what_matters
from datagen.model_folder import fingerprint
from datagen.plan import digest
from datagen.progress_bar import LINE_EVERY_SECONDS, Say, clock
from datagen.records import json_line, write_whole
from datagen.workers import Worker, alone
from engine.config import differences
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Row, about
from evals.diagnostics.rows import append_rows, partial_of, partials, read_rows
from evals.diagnostics.sampling import complete_records, sample

ALONE = Worker()


def diagnose(
    name: str,
    diagnostic: Diagnostic,
    task: Diagnosis,
    samples: int | None = None,
    worker: Worker = ALONE,
) -> dict[str, Any] | None:
    """Runs one diagnostic on a sample of the task's records; returns what NAME.json holds, or None while other
    workers are still at their share."""
    whole, left_out = complete_records(task.records, diagnostic.balanced_by)
    if not whole:
        lacking = ", ".join(f"{count:,} with {reason}" for reason, count in left_out.items())
        raise ValueError(
            f"diagnose {name}: of {len(task.records):,} records none has what is needed ({lacking})"
        )
    drawn = sample(whole, samples or diagnostic.samples, task.seed, diagnostic.balanced_by)
    task = replace(task, records=drawn)
    settings = settings_of(diagnostic, task)
    finished = read_finished(name, settings, task)
    if finished is not None:
        task.say(f"diagnose {name}: {finished['n']:,} records, complete, nothing to do")
        return finished
    keys = {r.id: digest([name, settings, about(r)]) for r in task.records}
    make_rows(name, diagnostic, task, worker, keys)
    with alone(lock_of(task, name)):
        known = read_rows(task.folder, name)
        there = sum(key in known for key in keys.values())
        if there < len(keys):
            assert worker.count > 1, f"{name} left out {len(keys) - there} records"
            task.say(f"diagnose {name}: {there:,} of {len(keys):,} records; other workers go on")
            return None
        rows = [known[keys[record.id]] for record in task.records]
        return conclude(name, diagnostic, task, settings, rows, left_out)


def settings_of(diagnostic: Diagnostic, task: Diagnosis) -> dict[str, Any]:
    """All that a row depends on, beside its record."""
    settings: dict[str, Any] = {
        "definition": digest(diagnostic.definition)[:12],
        "seed": task.seed,
    }
    if "model" in diagnostic.uses:
        template = Path(task.chat_template).read_bytes() if task.chat_template else b""
        settings |= {
            "model": fingerprint(task.model),
            "chat_template": hashlib.sha256(template).hexdigest() if template else None,
            "layout": task.layout,
            "max_length": task.max_length,
            "precision": "fp32" if task.device == "cpu" else "bf16",
        }
    if "max_tokens" in diagnostic.uses:
        settings["max_tokens"] = task.max_tokens
    if "records" in diagnostic.uses:
        settings["records"] = task.records_sha256
    if "judge" in diagnostic.uses:
        assert task.judge is not None, "the caller has seen to it"
        settings["judge"] = what_matters(task.judge().identity)
    return settings


def read_finished(name: str, settings: dict[str, Any], task: Diagnosis) -> dict[str, Any] | None:
    """The result for these very settings and records; one of others loses its mark of completion."""
    marker = task.folder / f"{name}.json"
    try:
        result = json.loads(marker.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    changed = differences(result.get("settings", {}), settings)
    if result.get("records_sha256") != task.records_sha256:
        changed.append("other records")
    if not (task.folder / f"{name}.jsonl").exists():
        changed.append(f"{name}.jsonl is missing")
    if not changed:
        return dict(result)
    task.say(f"diagnose {name}: the result is of other settings ({'; '.join(changed)}); done again")
    marker.unlink(missing_ok=True)  # another worker may have come first
    return None


def make_rows(
    name: str, diagnostic: Diagnostic, task: Diagnosis, worker: Worker, keys: dict[str, str]
) -> None:
    """Measures what is missing of this worker's share."""
    with alone(lock_of(task, name)):  # who concludes meanwhile takes files away
        known = read_rows(task.folder, name)
    own = task.records[worker.number :: worker.count]
    missing = [record for record in own if keys[record.id] not in known]
    kept = len(own) - len(missing)
    if stale := len(known.keys() - set(keys.values())):
        task.say(f"diagnose {name}: {stale:,} rows of other records or settings are not used")
    if kept:
        task.say(f"diagnose {name}: {kept:,} of {len(own):,} rows are there already")
    if missing:
        made = watched(diagnostic.measure(task, missing), name, len(own), kept, task.say)
        append_rows(partial_of(task.folder, name, worker), made, keys)


def lock_of(task: Diagnosis, name: str) -> Path:
    """Held by the worker that reads or concludes."""
    return task.folder / f".{name}.lock"


def watched(rows: Iterable[Row], name: str, total: int, done: int, say: Say) -> Iterator[Row]:
    """The rows as they come: a bar on a terminal, a line now and then in a log file."""
    started = said = time.monotonic()
    on_terminal = sys.stderr.isatty()
    label = f"diagnose {name}"
    with tqdm(desc=label, total=total, initial=done, disable=not on_terminal) as bar:
        for new, row in enumerate(rows, start=1):
            yield row
            bar.update()
            now = time.monotonic()
            if not on_terminal and now - said >= LINE_EVERY_SECONDS:
                said = now
                left = (total - done - new) * (now - started) / new
                say(f"{label}: {done + new:,} of {total:,} records, {clock(left)} left")


def conclude(
    name: str,
    diagnostic: Diagnostic,
    task: Diagnosis,
    settings: dict[str, Any],
    rows: Sequence[Row],
    left_out: Counter[str],
) -> dict[str, Any]:
    """Writes the rows, then the result."""
    measured = [row for row in rows if LEFT_OUT not in row]
    reasons = left_out + Counter(row[LEFT_OUT] for row in rows if LEFT_OUT in row)
    if not measured:
        raise ValueError(f"diagnose {name}: nothing could be measured: {in_words(reasons)}")
    result = diagnostic.summarise(task, measured)
    finite = {key: value for key, value in result.figures.items() if math.isfinite(value)}
    notes = list(result.notes)
    if infinite := sorted(result.figures.keys() - finite.keys()):
        notes.append(f"Not defined on these records: {', '.join(infinite)}.")
    if reasons:
        notes.append(f"Left out: {in_words(reasons)}.")
    told = {
        "name": name,
        "definition": diagnostic.definition,
        "source": diagnostic.source,
        "n": len(measured),
        "left_out": dict(reasons),
        "model": str(task.model) if "model" in diagnostic.uses else None,
        "records_sha256": task.records_sha256,
        "settings": settings,
        "figures": finite,
        "curves": result.curves,
        "notes": notes,
    }
    write_whole(task.folder / f"{name}.jsonl", b"".join(map(json_line, rows)))
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(task.folder / f"{name}.json", text.encode() + b"\n")
    for file in partials(task.folder, name):
        file.unlink()
    return told


def in_words(reasons: Counter[str]) -> str:
    """`3 records (no critique), 1 record (…)`."""
    return ", ".join(
        f"{count:,} record{'s' * (count != 1)} ({reason})" for reason, count in reasons.items()
    )
