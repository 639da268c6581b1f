"""The prompts of a run on disk, and beside them what was left out.

    data/contaminated.jsonl   rows that resemble a benchmark's problem: which one, by which rule, how far
    data/duplicates.jsonl     rows that say the same as another, or nearly
    data/selection.json       counts, licence, and what the prompts were made from
    data/prompts.jsonl        the prompts; written last, so it is there when all are

The same configuration, data and benchmarks again give the same files, so they are not made twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datagen.decontamination import EvaluationSet
from datagen.known_sources import KNOWN
from datagen.progress_bar import Say, say_line
from datagen.records import json_line, write_whole
from datagen.row_files import find_files
from datagen.selection import Selection
from datagen.sources import BUILT_IN, DataConfig, select_prompts, worded
from datagen.wordings import load_template


def write_prompts(
    config: DataConfig,
    target: Path,
    seed: int,
    say: Say = say_line,
    sets: Sequence[EvaluationSet] = (),
) -> None:
    """Writes the prompts of a run and what was left out; the same again is left as it is."""
    made_from, notes = fingerprint(config, seed, sets), target.with_name("selection.json")
    count = count_unchanged(target, notes, made_from)
    if count is not None:
        say(f"prompts: {count:,} records, complete, nothing to do")
        return
    selection = select_prompts(config, seed, say, sets)
    content = b"".join(json_line(record.to_json()) for record in worded(config, selection.kept))
    listed = {
        "contaminated.jsonl": [one.to_json() for one in selection.contaminated],
        "duplicates.jsonl": [one.to_json() for one in selection.duplicates],
    }
    for name, lines in listed.items():
        write_whole(target.with_name(name), b"".join(map(json_line, lines)))
    about = summary(config, selection, sets)
    about |= {"made_from": made_from, "sha256": hashlib.sha256(content).hexdigest()}
    write_whole(notes, json.dumps(about, indent=1).encode() + b"\n")
    write_whole(target, content)


def fingerprint(config: DataConfig, seed: int, sets: Sequence[EvaluationSet]) -> str:
    """A hash of all that the prompts depend on; of local files, their sizes and times."""
    stats: list[Any] = []
    known = config.prompts in BUILT_IN or config.prompts in KNOWN
    files = None if known else find_files(config.prompts)
    for path in files.paths if files else ():
        stat = path.stat()
        stats.append([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
    wording = load_template(config.wording).sha256
    texts = [[one.name, one.private, one.problems] for one in sets]
    made_from = json.dumps([asdict(config), seed, wording, stats, texts], sort_keys=True)
    return hashlib.sha256(made_from.encode("utf-8", "surrogatepass")).hexdigest()


def count_unchanged(target: Path, notes: Path, made_from: str) -> int | None:
    """How many prompts there are, if they were made from the same and nobody changed them since."""
    if not (target.is_file() and notes.is_file()):
        return None
    try:
        about = json.loads(notes.read_bytes())
        same = about["made_from"] == made_from
        intact = about["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
        return int(about["prompts"]) if same and intact else None
    except (ValueError, KeyError, TypeError):
        return None


def summary(
    config: DataConfig, selection: Selection, sets: Sequence[EvaluationSet]
) -> dict[str, Any]:
    """What a reader of the data should know, in numbers."""
    known = KNOWN.get(config.prompts)
    removed = [one.finding for one in selection.contaminated if one.finding.is_contaminated]
    near = [one for one in selection.duplicates if one.similarity is not None]
    return {
        "source": config.prompts if known is None else known.hub,
        "licence": None if known is None else known.licence,
        "prompts": len(selection.kept),
        "rows_seen": selection.num_seen,
        "exact_duplicates": len(selection.duplicates) - len(near),
        "near_duplicates": len(near),
        "benchmarks": {one.name: len({i for i, _ in one.problems}) for one in sets},
        "contaminated": len(removed),
        "contaminated_by_benchmark": dict(Counter(one.benchmark for one in removed)),
        "contaminated_by_rule": dict(Counter(one.rule for one in removed)),
        "renumbered_and_kept": len(selection.contaminated) - len(removed),
    }
