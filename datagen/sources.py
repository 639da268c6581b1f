"""Prompts: a built-in world, a local file or a hub data set becomes the first file of records.

    rows -> (problem, answer, final answer) -> wording -> Record(prompt) -> duplicates out -> limit

The wording is applied here, once: from now on `prompt` is byte for byte what the student is asked,
in generation, in training and at inference. Rows are read in their order; ids are the rows' own, or
their position, so a larger `limit` keeps every record that a smaller one had.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import cast

from datagen.arithmetic import problems
from datagen.progress_bar import Say, say_line
from datagen.records import Record, json_line, write_whole
from datagen.rows import Row, record_of, rows_of_file, rows_of_hub
from datagen.stories.parts import Split
from datagen.word_problems import draw_problem
from datagen.wordings import load_template

BUILT_IN = ("arithmetic",)
BUILT_IN_LIMIT = 500
"""Prompts of a built-in world, which has no end, where no limit is set."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The `[data]` section: which problems the student is asked."""

    prompts: str = "arithmetic"
    """A built-in name, a JSONL or JSON file, or a hub data set as `owner/name`."""
    subset: str | None = None
    """The configuration of a hub data set that has several."""
    split: str = "train"
    """Of a built-in world or a hub data set; a file has none."""
    limit: int | None = None
    """The first N prompts, duplicates not counted; unset, all (of a built-in world 500)."""
    shuffle: bool = False
    """Shuffle the rows with the run's seed before the limit is applied: a random sample of N."""
    wording: str = "plain"
    """What the student is asked with, by name or path; evaluation should use the same."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be 1 or more, got {self.limit}")


def load_prompts(config: DataConfig, seed: int, say: Say = say_line) -> list[Record]:
    """The records that the stages start from; duplicates are counted and said."""
    template = load_template(config.wording)
    wording = {"wording": template.name, "wording_sha256": template.sha256}
    kept: dict[str, Record] = {}
    ids: dict[str, str] = {}
    duplicates = 0
    for where, record in find_source(config, seed):
        prompt = template.render(problem=record.prompt)
        if prompt in kept:
            duplicates += 1
            continue
        if record.id in ids:
            raise ValueError(f"{where}: the id {record.id!r} is already used at {ids[record.id]}")
        ids[record.id] = where
        kept[prompt] = replace(record, prompt=prompt).with_stage("prompt", wording)
        if len(kept) == config.limit:
            break
    if not kept:
        raise ValueError(f"data.prompts: {config.prompts} holds no rows")
    report(config, len(kept), duplicates, say)
    return list(kept.values())


def report(config: DataConfig, num_kept: int, duplicates: int, say: Say) -> None:
    """Says what was found, and what was left out."""
    left_out = f", {duplicates:,} exact duplicates left out" if duplicates else ""
    short = config.limit is not None and num_kept < config.limit
    asked_for = f" (data.limit asks for {config.limit:,}; there are no more)" if short else ""
    say(f"prompts: {num_kept:,} from {config.prompts}{left_out}{asked_for}")


Found = Iterator[tuple[str, Record]]
"""(where it stands, record), in the order in which the limit counts."""


def find_source(config: DataConfig, seed: int) -> Found:
    """The rows of a built-in world, a file or a hub data set as records, their prompts unworded."""
    if config.prompts in BUILT_IN:
        return built_in(config, seed)
    path = Path(config.prompts).expanduser()
    if path.is_file():
        rows = rows_of_file(path)
        prefix, source = path.stem, path.name
    elif looks_like_hub(config.prompts):
        rows = rows_of_hub(config.prompts, config.subset, config.split)
        prefix, source = f"{config.prompts.replace('/', '-')}-{config.split}", config.prompts
    else:
        raise ValueError(missing(config.prompts, path))
    if config.shuffle:
        rows = shuffled(rows, seed)
    return ((row.where, record_of(row, prefix, source)) for row in rows)


def built_in(config: DataConfig, seed: int) -> Found:
    """The built-in world's problems. They are drawn from the seed: there is nothing to shuffle."""
    problems(split := cast(Split, config.split), 0)  # objects to a split that does not exist
    indices = count() if config.limit is not None else range(BUILT_IN_LIMIT)
    drawn = (draw_problem(split, seed, index).record() for index in indices)
    return ((record.id, record) for record in drawn)


def shuffled(rows: Iterable[Row], seed: int) -> Iterator[Row]:
    """The rows in an order that depends on the seed and on how many there are."""
    held = list(rows)
    random.Random(seed).shuffle(held)
    return iter(held)


def looks_like_hub(name: str) -> bool:
    """True for `owner/name`; a path with such a look is a file where it exists."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not is_path_like(name)


def is_path_like(name: str) -> bool:
    """True for what can only be meant as a file."""
    return name.startswith((".", "/", "~")) or Path(name).suffix in (".json", ".jsonl", ".parquet")


def missing(name: str, path: Path) -> str:
    """What was looked for in vain, and what is near."""
    here = [file.name for file in path.parent.glob("*.json*")] if path.parent.is_dir() else []
    near = get_close_matches(path.name, [*BUILT_IN, *here], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    kinds = "" if is_path_like(name) else ", no built-in world, and no hub data set (`owner/name`)"
    return f"data.prompts: {name!r} is no file{kinds}{hint}"


def write_prompts(config: DataConfig, target: Path, seed: int, say: Say = say_line) -> None:
    """Writes the prompts of a run; the same ones again are left as they are."""
    found: list[str] = []
    records = load_prompts(config, seed, found.append)
    content = b"".join(json_line(record.to_json()) for record in records)
    if target.exists() and target.read_bytes() == content:
        say(f"prompts: {len(records):,} records, complete, nothing to do")
        return
    write_whole(target, content)
    for line in found:
        say(line)
