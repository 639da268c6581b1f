"""`cgd copy NAME [DEST]`: a recipe, a wording, a benchmark or an experiment as a file of the user's own.

    name -> what it is -> its text, called after the new file -> DEST, where nothing is yet -> how it is used

What was copied is used by its path: `cgd run`, a key of the configuration, `cgd reproduce`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from datagen.records import json_line, write_whole
from engine.config import suggest
from engine.toml import toml_value
from launch.catalogue import EXPERIMENTS, HARNESS, RECIPES, WORDINGS, items

COPIED = ("recipes", "wordings", "benchmarks", "experiments")
WORDING_KEYS = {
    "critique": ("[generate.critique]", "template"),
    "critique_verdict": ("[generate.critique]", "template"),
    "refine": ("[generate.refine]", "template"),
    "refine_continue": ("[generate.refine]", 'layout = "continue"\ntemplate'),
    "teach": ("[generate.teach]", "template"),
    "plain": ("[data]", "wording"),
    "boxed": ("[data]", "wording"),
}
"""Where a configuration names a wording of its own. The others are fixed: their answers are read by rules."""
FIXED = "is fixed: its answers are read by rules that fit these words, and no key names another"
CHECKED = (
    "is checked by a program and has no rows to copy; a file of yours has problems with answers"
)


def copy_to(name: str, target: Path | None, seed: int, limit: int | None) -> list[str]:
    """Writes the file; returns how it is used. Raises ValueError where something is there already."""
    kind = kind_of(name)
    if kind == "recipes":
        return copy_recipe(name, destination(target, f"{name}.toml"))
    if kind == "wordings":
        return copy_wording(name, destination(target, f"{name}.txt"))
    if kind == "experiments":
        return copy_experiment(name, destination(target, f"my-{name}.toml"))
    return copy_benchmark(name, destination(target, f"{name}.jsonl"), seed, limit)


def kind_of(name: str) -> str:
    """What a name means. Raises ValueError where it means nothing that can be copied."""
    known = {kind: [item.name for item in items(kind)] for kind in COPIED}
    for kind, names in known.items():
        if name in names:
            return kind
    near = suggest(name, [one for names in known.values() for one in names])
    raise ValueError(f"nothing to copy is called {name!r}{near}; `cgd list {' '.join(COPIED)}`")


def destination(target: Path | None, name: str) -> Path:
    """The file to write, which must not be there."""
    path = Path(name) if target is None else target / name if target.is_dir() else target
    if path.exists():
        raise ValueError(f"{path} is there already and is left as it is; name another file")
    return path


def put(path: Path, content: bytes) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


# ---- configurations ---------------------------------------------------------------------------------


def copy_recipe(name: str, path: Path) -> list[str]:
    """The configuration; its run is called after the file, so that two copies do not share a folder."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    text = text.replace(f"launch/configs/{name}.toml", str(path))
    put(path, called(text, name, path.stem).encode())
    return [f"{path}: edit it, then", f"  cgd run {path} --dry-run", f"  cgd run {path}"]


def copy_experiment(name: str, path: Path) -> list[str]:
    """The experiment, called after its file, as it has to be."""
    if (EXPERIMENTS / f"{path.stem}.toml").is_file():
        raise ValueError(
            f"{path}: an experiment that comes with the package is called {path.stem!r}, and their tables "
            "would share a folder; name another file"
        )
    text = (EXPERIMENTS / f"{name}.toml").read_text(encoding="utf-8")
    put(path, called(text, name, path.stem).encode())
    return [
        f"{path}: edit it, then",
        f"  cgd reproduce {path} --dry-run",
        f"  cgd reproduce {path}",
    ]


def called(text: str, old: str, new: str) -> str:
    """The file's text, its first `name` changed."""
    first = re.compile(rf'^name = "{re.escape(old)}"', re.MULTILINE)
    return first.sub(f"name = {toml_value(new)}", text, count=1)


def copy_wording(name: str, path: Path) -> list[str]:
    """The wording, and the key that names it."""
    if name not in WORDING_KEYS:
        raise ValueError(f"the wording {name!r} {FIXED}")
    put(path, (WORDINGS / f"{name}.txt").read_bytes())
    section, key = WORDING_KEYS[name]
    lines = [f"{path}: edit it, then in your configuration", section]
    lines += f"{key} = {toml_value(str(path))}".split("\n")
    if section == "[data]":  # trained and evaluated in one wording
        lines += ["[evaluate]", f"wording = {toml_value(str(path))}"]
    return lines


# ---- benchmarks -------------------------------------------------------------------------------------


def copy_benchmark(name: str, path: Path, seed: int, limit: int | None) -> list[str]:
    """The problems with their answers, as a file that is read like one of the user's own."""
    from evals.benchmarks import BUILT_IN, BUILT_IN_SIZE

    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, got {limit}")
    if name in HARNESS:
        raise ValueError(f"{name} lies in lm-evaluation-harness; name it in evaluate.benchmarks")
    if name == "arithmetic-format":
        raise ValueError(f"{name} {CHECKED}: `cgd copy arithmetic` shows the form")
    if name in BUILT_IN:
        rows = built_in_rows(name, BUILT_IN_SIZE if limit is None else limit, seed)
        used = str(path)
    else:
        rows, used = hub_rows(name, limit), f"{name}={path}"
    put(path, b"".join(map(json_line, rows)))
    return [
        f"{path}: {len(rows):,} problems; edit it, or put yours in its place, then in your configuration",
        "[evaluate]",
        f"benchmarks = [{toml_value(used)}]",
    ]


def built_in_rows(name: str, count: int, seed: int) -> list[dict[str, object]]:
    """Drawn problems with the final answer and the solution in full."""
    from datagen.arithmetic import problems

    records = (problem.record() for problem in problems("test", count, seed, name))
    return [
        {"id": r.id, "problem": r.prompt, "final_answer": r.final_answer, "solution": r.answer}
        for r in records
    ]


def hub_rows(name: str, limit: int | None) -> list[dict[str, object]]:
    """The hub's rows as they are. Raises ValueError with the fields of a file of one's own, where there is no hub."""
    from evals.benchmark_rows import rows_of_hub
    from evals.benchmarks import TABLE

    source = TABLE[name]
    try:
        return [dict(values) for _, _, values in islice(rows_of_hub(source).rows, limit)]
    except ValueError as error:
        fields = " and ".join(listed(names) for names in (source.problem, source.gold))
        raise ValueError(
            f"{error}\nA file of your own does as well: JSON Lines with {fields}, named as "
            f'benchmarks = ["{name}=PATH.jsonl"]'
        ) from error


def listed(names: Sequence[str]) -> str:
    """Fields of which one is enough."""
    return " or ".join(f"`{name}`" for name in names)


def known_names() -> Iterator[str]:
    """Everything that can be copied."""
    for kind in COPIED:
        for item in items(kind):
            if item.name in WORDING_KEYS or kind != "wordings":
                yield item.name
