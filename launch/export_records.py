"""`cgd export CONFIG --records FOLDER`: the records of a run as a data set that other tools read unchanged.

    RUN/data/*.jsonl -> FOLDER/records.parquet                every field of every record
                     -> FOLDER/cgd.parquet, cft.parquet, ...   each objective's conversations, as training sees them
                     -> FOLDER/README.md                       the data card, written last

A conversation has two forms. `prompt` and `completion`, both lists of turns, is what trainers with a loss on
the completion alone want, which is the method's loss; `messages` is one list, of which such a trainer
learns every turn, so it fits tools that mask the earlier turns themselves. Both come from the objective's
own function, so they are what the engine trains on. Provenance and fields of other people's files are JSON
text in Parquet, whose columns must have one type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from datagen.data_card import DataFacts, data_card
from datagen.records import Record, json_line, read_records, write_whole
from engine.attempt import training_file
from engine.objectives import OBJECTIVES, conversation

Form = Literal["prompt_completion", "messages"]
Row = Mapping[str, Any]
BATCH = 1000
"""Rows that are held in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be written."""

    folder: Path
    objectives: tuple[str, ...] = ()
    """Unset, all that the records have targets for."""
    layout: str = "single_turn"
    form: Form = "prompt_completion"
    format: Literal["parquet", "jsonl"] = "parquet"


def export_run_records(data: str | None, run_folder: Path, title: str, wanted: Wanted) -> str:
    """Writes the folder of a run's records; returns the closing line."""
    return export_records(training_file(data, run_folder), title, wanted)


def export_records(source: Path, title: str, wanted: Wanted) -> str:
    """Writes the folder of a file's records; returns the closing line. A folder that holds other things is refused."""
    folder = wanted.folder
    if folder.exists() and any(folder.iterdir()) and not (folder / "README.md").exists():
        raise ValueError(
            f"--records: {folder} is not empty and no data set of ours; name another folder"
        )
    records = read_records(source)
    if not records:
        raise ValueError(f"{source} holds no records")
    (folder / "README.md").unlink(missing_ok=True)  # its presence says that the folder is whole
    facts = DataFacts()
    files = {"records": f"records.{wanted.format}"}
    rows = {"records": write_rows(folder / files["records"], all_fields(records, facts, wanted))}
    left_out: dict[str, int] = {}
    for name in wanted.objectives or tuple(OBJECTIVES):
        chosen = [record for record in records if can_be_learnt(record, name)]
        if not chosen:
            if wanted.objectives:
                raise ValueError(f"no record in {source} has all that the objective {name} needs")
            continue
        files[name] = f"{name}.{wanted.format}"
        rows[name] = write_rows(folder / files[name], conversations(chosen, name, wanted))
        left_out[name] = len(records) - len(chosen)
    card = data_card(title, facts, files, rows, licence_of(source))
    write_whole(folder / "README.md", card.encode())
    return closing_line(folder, rows, left_out)


def licence_of(source: Path) -> str | None:
    """The licence of the prompts, as far as the run that found them knew it."""
    about = source.with_name("selection.json")
    found = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
    return found.get("licence") or None


def closing_line(folder: Path, rows: Mapping[str, int], left_out: Mapping[str, int]) -> str:
    """What was written, and what could not be."""
    told = [
        f"{name} {count:,}"
        + (f" ({left_out[name]:,} lack what it needs)" if left_out.get(name) else "")
        for name, count in rows.items()
    ]
    return f"{folder}: {', '.join(told)} rows"


def can_be_learnt(record: Record, objective: str) -> bool:
    """Whether the record has all that the objective shows, and a target that is not empty."""
    wanted = OBJECTIVES[objective]
    seen = all(getattr(record, name) is not None for name in wanted.sees)
    return seen and bool((getattr(record, wanted.writes) or "").strip())


def conversations(records: Iterable[Record], objective: str, wanted: Wanted) -> Iterator[Row]:
    """Each record as the objective sees it."""
    for record in records:
        made = conversation(vars(record), objective, wanted.layout)
        context = [dict(turn) for turn in made.context]
        answer = [{"role": "assistant", "content": made.target}]
        if wanted.form == "messages":
            yield {"id": record.id, "messages": context + answer}
        else:
            yield {"id": record.id, "prompt": context, "completion": answer}


def all_fields(records: Iterable[Record], facts: DataFacts, wanted: Wanted) -> Iterator[Row]:
    """Every field of every record, counted on the way."""
    for record in records:
        facts.add(record)
        if wanted.format == "jsonl":
            yield record.to_json()
            continue
        own = {name: value for name, value in vars(record).items() if name != "extra"}
        own["provenance"] = json.dumps(record.provenance, ensure_ascii=False)
        yield own | {"extra": json.dumps(record.extra, ensure_ascii=False)}


def write_rows(path: Path, rows: Iterator[Row]) -> int:
    """Writes a file aside and puts it in place; returns how many rows it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    count = write_jsonl(aside, rows) if path.suffix == ".jsonl" else write_parquet(aside, rows)
    aside.replace(path)
    return count


def write_jsonl(path: Path, rows: Iterator[Row]) -> int:
    """One object a line."""
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(json_line(row))
            count += 1
    return count


def write_parquet(path: Path, rows: Iterator[Row]) -> int:
    """Columns with types that do not depend on which rows come first."""
    import pyarrow as arrow
    from pyarrow import parquet

    def column(name: str, value: Any) -> Any:
        if isinstance(value, list):
            turn = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
            return arrow.list_(turn)
        return arrow.bool_() if name == "student_correct" else arrow.string()

    first = next(rows)
    schema = arrow.schema([(name, column(name, value)) for name, value in first.items()])
    rows, count = chain([first], rows), 0
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := [dict(row) for row in islice(rows, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count
