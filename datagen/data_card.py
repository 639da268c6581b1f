"""The data card: README.md of a folder of records, written from the records and from nothing else.

    records -> DataFacts (counts, who wrote what with which wording, lengths) -> front matter and a page for people

The front matter names the files by configuration, so that `load_dataset(FOLDER, "cgd")` finds them. A fact
that the records do not hold is left out of the card. Models appear by the last part of a local path: the
paths of the machine that wrote them are nobody's business.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datagen.plan import FILLED_BY
from datagen.records import Record

PAPER = "https://arxiv.org/abs/2505.11628"
LONG_HASH = r"\b([0-9a-f]{12})[0-9a-f]{4,}\b"
"""Its first twelve digits tell it from another."""
TEXTS = ("prompt", "answer", "student_answer", "critique", "refined_answer", "teacher_answer")
WRITTEN_BY = {
    "answer": "student's answers",
    "critique": "critiques",
    "refine": "refinements",
    "teach": "teacher's own answers",
}


@dataclass
class DataFacts:
    """What is counted while records go by; the one object here that changes."""

    records: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    wordings: Counter[str] = field(default_factory=Counter)
    """Of the prompts: name and hash."""
    writers: dict[str, Counter[tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    """By stage: who wrote how, and how often."""
    filled: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    student: Counter[bool | None] = field(default_factory=Counter)
    finish_reasons: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, record: Record) -> Record:
        """Counts a record and hands it on."""
        self.records += 1
        self.sources[record.source or "not named"] += 1
        self.student[record.student_correct] += 1
        for name in TEXTS:
            text = getattr(record, name)
            if text is not None:
                self.filled[name] += 1
                self.characters[name] += len(text)
        for stage, facts in record.provenance.items():
            if stage in WRITTEN_BY:
                self.writers.setdefault(stage, Counter())[tuple(writer(facts).items())] += 1
                reason = str(facts.get("finish_reason", "not known"))
                self.finish_reasons.setdefault(stage, Counter())[reason] += 1
            elif "wording" in facts:
                sha256 = str(facts.get("wording_sha256", ""))[:12]
                self.wordings[f"{public_name(str(facts['wording']))} (sha256 {sha256})"] += 1
        return record


def writer(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Who wrote a text and how, in words that may be published."""
    revision = provenance.get("fingerprint") or provenance.get("revision")
    found = {
        "model": public_name(str(provenance.get("model", "not known"))),
        "revision": re.sub(LONG_HASH, r"\1", str(revision or "")),
        "back end": str(provenance.get("backend", "")),
        "wording": public_name(str(provenance.get("template") or "")),
        "wording's hash": str(provenance.get("template_sha256") or "")[:12],
        "sampling": sampling_words(provenance.get("sampling") or {}),
    }
    if provenance.get("backend") == "scripted":
        del found["sampling"]  # a function draws nothing
    return {name: value for name, value in found.items() if value}


def sampling_words(sampling: Mapping[str, Any]) -> str:
    """`temperature 0.7, top_p 1.0, max_tokens 1024`."""
    return ", ".join(f"{name} {value}" for name, value in sampling.items())


def public_name(name: str) -> str:
    """A hub id as it is; of a path its last part."""
    path = Path(name).expanduser()
    is_path = name.startswith((".", "/", "~")) or len(path.parts) > 2 or path.exists()
    return path.name if is_path else name


def data_card(
    title: str,
    facts: DataFacts,
    files: Mapping[str, str],
    rows: Mapping[str, int],
    licence: str | None = None,
) -> str:
    """The whole card. `files`: the configurations and the file of each; `rows`: how many each holds;
    `licence`: that of the prompts, where it is known."""
    sections = [
        f"---\n{front_matter(title, files, facts.records)}---",
        f"# {title}",
        "Prompts, a student's answers to them, a teacher's critiques of these answers and the answers refined with "
        f"them: data for critique-guided distillation ([arXiv 2505.11628]({PAPER})).",
        loading(files, rows),
        table("What a record holds", ("field", "filled in", "mean characters"), field_rows(facts)),
        *(stage_section(stage, facts) for stage in WRITTEN_BY if stage in facts.writers),
        table(
            "Where the prompts come from",
            ("source", "records"),
            [(name, f"{n:,}") for name, n in facts.sources.most_common()],
        ),
        *prompt_wordings(facts),
        judged(facts),
        TERMS.format(licence=f" ({licence})" if licence else ""),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


TERMS = """\
## Terms

Prompts keep the licence of their source{licence}; generated texts may be bound by the terms of the
models that wrote them. Both are named above. Whether the texts are right was not checked by people.
"""


def front_matter(title: str, files: Mapping[str, str], records: int) -> str:
    """What the hub and `load_dataset` read, as YAML."""
    lines = [f"pretty_name: {json.dumps(title)}", "tags:", "- critique-guided-distillation"]
    lines += ["task_categories:", "- text-generation"]
    lines += ["size_categories:", f"- {size_category(records)}", "configs:"]
    for index, (name, file) in enumerate(files.items()):
        lines += [f"- config_name: {name}", "  data_files:", "  - split: train"]
        lines.append(f"    path: {json.dumps(file)}")
        lines += ["  default: true"] if index == 0 else []
    return "\n".join(lines) + "\n"


def size_category(records: int) -> str:
    """The hub's word for so many rows."""
    words = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")
    return words[min(len(str(max(records, 100))) - 3, len(words) - 1)]


def loading(files: Mapping[str, str], rows: Mapping[str, int]) -> str:
    """How to read it, and what there is."""
    first = next(iter(files))
    listed = [(f"`{name}`", f"`{file}`", f"{rows[name]:,}") for name, file in files.items()]
    code = f'from datasets import load_dataset\n\nrows = load_dataset(".", "{first}", split="train")  # this folder'
    return (
        table("What is here", ("configuration", "file", "rows"), listed)
        + f"\n\n```python\n{code}\n```"
    )


def field_rows(facts: DataFacts) -> Sequence[tuple[str, ...]]:
    """Which texts there are, and how long."""
    return [
        (f"`{name}`", f"{facts.filled[name]:,}", f"{facts.characters[name] / facts.filled[name]:,.0f}")
        for name in TEXTS
        if facts.filled[name]
    ]  # fmt: skip


def stage_section(stage: str, facts: DataFacts) -> str:
    """Who wrote a stage's texts; more than one line where settings changed on the way."""
    shown = facts.writers[stage].most_common()
    names = list(dict.fromkeys(name for who, _ in shown for name, _ in who))
    rows = [(*(dict(who).get(name, "") for name in names), f"{count:,}") for who, count in shown]
    ended = ", ".join(f"{reason} {n:,}" for reason, n in facts.finish_reasons[stage].most_common())
    title = f"Who wrote the {WRITTEN_BY[stage]}"
    return f"{table(title, (*names, 'texts'), rows)}\n\nHow the texts ended: {ended}."


def prompt_wordings(facts: DataFacts) -> list[str]:
    """What stands around the problems."""
    if not facts.wordings:
        return []
    rows = [(name, f"{count:,}") for name, count in facts.wordings.most_common()]
    return [table("Wording of the prompts", ("wording", "records"), rows)]


def judged(facts: DataFacts) -> str:
    """How often the student was right, as far as it could be told."""
    right, wrong, unknown = (facts.student[value] for value in (True, False, None))
    return (
        "## The student's answers\n\n"
        f"Compared with the gold answers: {right:,} right, {wrong:,} wrong, {unknown:,} not known "
        "(no gold answer, or none that could be read)."
    )


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A heading and a table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ["| " + " | ".join(in_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([f"## {title}", "", *cells])


def in_cell(text: str) -> str:
    """On one line, and without what would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


assert set(WRITTEN_BY) == set(FILLED_BY.values())
