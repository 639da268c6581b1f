"""Prompts: a built-in world, local files or a hub data set becomes the first file of records.

    rows -> (problem, answer, final answer) -> selection -> wording -> Record(prompt)

The wording is applied here, once: from now on `prompt` is byte for byte what the student is asked,
in generation, in training and at inference. Ids are the rows' own, or their number, so a larger
`limit` keeps every record that a smaller one had. datagen.selection chooses, datagen.prompt_files
writes the files of a run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from datagen.decontamination import EvaluationSet, Index
from datagen.hub_rows import HubRows
from datagen.known_sources import KNOWN
from datagen.progress_bar import Say, say_line
from datagen.records import Record
from datagen.row_files import RowFiles, find_files
from datagen.rows import Fields, record_of
from datagen.selection import Candidate, Selection, Source, select
from datagen.stories.parts import Split
from datagen.wordings import load_template
from datagen.worlds import PROMPT_SETS, WORLDS, World

BUILT_IN = PROMPT_SETS
BUILT_IN_LIMIT = 500
"""Prompts of a built-in world, which has no end, where no limit is set."""
MOST_DRAWN = 20
"""Problems of a built-in world that are drawn at most for each that is asked for."""
LEAST_SIMILARITY = 0.5


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The `[data]` section: which problems the student is asked."""

    prompts: str = "arithmetic"
    """A built-in name (arithmetic, arithmetic-wide, arithmetic-narrow), a known data set (webinstruct,
    webinstruct-cft, metamathqa, gsm8k, math), a JSONL, JSON or Parquet file, a pattern or a folder of
    such files, or a hub data set as `owner/name`."""
    subset: str | None = None
    """The configuration of a hub data set that has several."""
    split: str = "train"
    """Of a built-in world or a hub data set; a file has none."""
    limit: int | None = None
    """The first N prompts, those left out not counted; unset, all (of a built-in world 500)."""
    shuffle: bool = False
    """Take rows in an order drawn from the run's seed: with a limit, a random sample of N."""
    prompt_field: str | None = None
    """The field that holds the problem; unset, it is recognised."""
    answer_field: str | None = None
    """The field that holds the solution to learn; unset, it is recognised."""
    final_answer_field: str | None = None
    """The field that holds the short gold answer; unset, it is recognised."""
    near_duplicates: float | None = None
    """Leave out prompts of which such a share of word triples stands in an earlier one; unset, none
    but exact duplicates. 0.8 is a good start."""
    decontaminate: tuple[str, ...] | None = None
    """Benchmarks (names, NAME=PATH or files, as in evaluate.benchmarks) whose problems must not be
    among the prompts; unset, those of `[evaluate]`; [] for none."""
    wording: str = "plain"
    """What the student is asked with, by name or path; evaluation should use the same."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be 1 or more, got {self.limit}")
        if self.near_duplicates is not None and not LEAST_SIMILARITY <= self.near_duplicates <= 1:
            raise ValueError(
                f"near_duplicates must lie in [{LEAST_SIMILARITY}, 1], got {self.near_duplicates}: "
                "prompts that share less only have a form in common"
            )


def load_prompts(
    config: DataConfig, seed: int, say: Say = say_line, sets: Sequence[EvaluationSet] = ()
) -> list[Record]:
    """The records that the stages start from; what is left out is counted and said."""
    return worded(config, select_prompts(config, seed, say, sets).kept)


def select_prompts(
    config: DataConfig, seed: int, say: Say, sets: Sequence[EvaluationSet]
) -> Selection:
    """The rows that stay, their prompts still bare, and those that do not."""
    source = find_source(config, seed)
    order = seed if config.shuffle and not isinstance(source, BuiltIn) else None
    selection = select(source, config.limit, order, Index(sets), config.near_duplicates)
    if not selection.kept and not selection.num_seen:
        raise ValueError(f"data.prompts: {config.prompts} holds no rows")
    for line in report(config, selection, sets):
        say(line)
    if not selection.kept:
        raise ValueError(f"data.prompts: of {config.prompts} no row is left, see the lines above")
    return selection


def worded(config: DataConfig, kept: Iterable[Candidate]) -> list[Record]:
    """The records, asked in the configured wording. Ids must be different."""
    template = load_template(config.wording)
    wording = {"wording": template.name, "wording_sha256": template.sha256}
    records: list[Record] = []
    place_of: dict[str, str] = {}
    for one in kept:
        record, first = one.record, place_of.setdefault(one.record.id, one.where)
        if first != one.where:
            raise ValueError(f"{one.where}: the id {record.id!r} is already used at {first}")
        prompt = template.render(problem=record.prompt)
        records.append(replace(record, prompt=prompt).with_stage("prompt", wording))
    return records


def report(
    config: DataConfig, selection: Selection, sets: Sequence[EvaluationSet]
) -> Iterator[str]:
    """Says what was found, and what was left out."""
    exact = sum(one.similarity is None for one in selection.duplicates)
    near = len(selection.duplicates) - exact
    left_out = f", {exact:,} exact duplicates left out" if exact else ""
    if near:
        left_out += f", {near:,} near duplicates left out"
    short = config.limit is not None and len(selection.kept) < config.limit
    asked_for = f" (data.limit asks for {config.limit:,}; there are no more)" if short else ""
    yield f"prompts: {len(selection.kept):,} from {config.prompts}{left_out}{asked_for}"
    for remark, count in selection.remarks.items():
        yield f"prompts: {count:,} {remark}"
    if not sets:
        return
    removed = [one.finding for one in selection.contaminated if one.finding.is_contaminated]
    names = ", ".join(chosen.name for chosen in sets)
    share = 100 * len(removed) / selection.num_seen
    line = f"decontamination ({names}): {len(removed):,} of {selection.num_seen:,} rows ({share:.2f} %) removed"
    if removed:
        line += (
            f": {counted(one.benchmark for one in removed)}; {counted(one.rule for one in removed)}"
        )
    kept = len(selection.contaminated) - len(removed)
    yield line + (f"; {kept:,} with other numbers than a problem are kept" if kept else "")


def counted(names: Iterable[str]) -> str:
    """`gsm8k 4, math500 2`."""
    return ", ".join(f"{name} {count:,}" for name, count in Counter(names).most_common())


# ---- where rows come from -----------------------------------------------------------------------------


@dataclass(frozen=True)
class BuiltIn:
    """The built-in world's problems. They are drawn from the seed: there is nothing to shuffle."""

    world: World
    split: Split
    seed: int
    limit: int | None

    def count(self) -> int:
        """The world has no end; so many are drawn at most."""
        return BUILT_IN_LIMIT if self.limit is None else MOST_DRAWN * self.limit

    def candidates(self, numbers: Sequence[int]) -> Iterator[Candidate]:
        """The problems with these numbers."""
        for number in numbers:
            record = self.world.problem(self.split, self.seed, number).record()
            yield Candidate(record.id, record)


@dataclass(frozen=True)
class Rows:
    """Rows of files or of a hub data set, their fields recognised."""

    rows: RowFiles | HubRows
    source: str
    fields: Fields

    def count(self) -> int:
        """How many there are."""
        return self.rows.count()

    def candidates(self, numbers: Sequence[int]) -> Iterator[Candidate]:
        """The rows with these numbers."""
        for row in self.rows.rows(numbers):
            record, remark = record_of(row, self.rows.name, self.source, self.fields)
            yield Candidate(row.where, record, remark)


def find_source(config: DataConfig, seed: int) -> Source:
    """What `data.prompts` means."""
    name = config.prompts
    if name in BUILT_IN:
        world = WORLDS[name]
        world.check(config.split)
        return BuiltIn(world, cast(Split, config.split), seed, config.limit)
    own = Fields(config.prompt_field, config.answer_field, config.final_answer_field)
    if known := KNOWN.get(name):
        fields = replace(
            own,
            prompt=own.prompt or known.prompt_field,
            answer=own.answer or known.answer_field,
        )
        return Rows(
            HubRows(known.hub, config.subset or known.subset, config.split), known.hub, fields
        )
    if files := find_files(name):
        return Rows(files, Path(name).name, own)
    if looks_like_hub(name):
        return Rows(HubRows(name, config.subset, config.split), name, own)
    raise ValueError(missing(name, Path(name).expanduser()))


def looks_like_hub(name: str) -> bool:
    """True for `owner/name`; a path with such a look is a file where it exists."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not is_path_like(name)


def is_path_like(name: str) -> bool:
    """True for what can only be meant as a file."""
    return name.startswith((".", "/", "~")) or Path(name).suffix in (".json", ".jsonl", ".parquet")


def missing(name: str, path: Path) -> str:
    """What was looked for in vain, and what is near."""
    here = []
    if path.parent.is_dir():
        here = [
            file.name for mark in ("json*", "parquet") for file in path.parent.glob(f"*.{mark}")
        ]
    near = get_close_matches(path.name, [*BUILT_IN, *KNOWN, *here], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    kinds = "" if is_path_like(name) else ", no built-in world, and no hub data set (`owner/name`)"
    return f"data.prompts: {name!r} is no file{kinds}{hint}"
