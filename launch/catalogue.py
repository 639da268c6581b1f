"""The catalogue: everything with a name that comes with the package, what it is in one line, and where it lies.

    kind -> Item(name, about, where, used)   `cgd list` prints them, `cgd copy` and completion take their names

Most lines are read from where the things themselves are described: a recipe's first comment, the table of wordings,
an experiment's title, the table of benchmarks. Nothing here imports torch, transformers, datasets or numpy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.config import load_toml, suggest

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
RECIPES = PACKAGE / "configs"
EXPERIMENTS = PACKAGE / "experiments"
WORDINGS = ROOT / "datagen" / "templates"

STUDENTS = {
    "builtin:student": "a very small Llama (1.4 million parameters) that has met criticism",
    "builtin:student-plain": "the same before it had",
}
WORLDS = {
    "arithmetic": "13 known families of stories, two to five steps",
    "arithmetic-wide": "the known families and four new ones in turn",
    "arithmetic-narrow": "three of the known families",
    "arithmetic-new": "the new ones: ages, exchange, trips, fences",
    "arithmetic-other": "two further ones, of no prompt set",
    "arithmetic-unseen": "four families in no training text of anybody",
    "arithmetic-hard": "the known families, five and six steps",
    "arithmetic-deep": "known kinds of events, seven to nine steps",
    "arithmetic-deep-2": "the same, another draw",
    "arithmetic-format": "no stories: instructions whose form a program checks",
}
SCRIPTS = {
    "arithmetic": "a teacher that finds the first wrong step, says why, and refines soundly",
    "arithmetic-vague": "says whether the answer is right, neither where nor why; refines soundly",
    "arithmetic-errs-NN": "the first, but it misjudges NN % of the records and refines accordingly",
    "arithmetic-misleads-NN": "the same false critiques, sound refinements",
    "arithmetic-judge": "no teacher: rates critiques by rule, for [judge]",
}
HARNESS = {
    "ifeval": "instruction following",
    "musr": "multi-step reasoning in stories",
    "truthfulqa": "common misconceptions",
    "bbh": "BIG-Bench Hard",
}
"""Asked by lm-evaluation-harness; evals/lm_eval_bridge.py has their tasks."""
DIAGNOSTICS = {
    "entropy": "how sure the model is of the refinement's first token, with and without the critique",
    "gradients": "how large a step the refinement asks of the weights, with and without the critique",
    "attention": "where the model looks while it writes the refinement",
    "overlap": "how many of the refinement's words stand in the critique",
    "critique_quality": "a judge's ratings of critiques",
    "robustness": "the answer under right, irrelevant and misleading critiques",
}


@dataclass(frozen=True)
class Item:
    """One thing with a name."""

    name: str
    about: str
    where: str
    """The file that holds or describes it."""
    used: str
    """What names it: a key of the configuration, or a command."""


def items(kind: str) -> list[Item]:
    """All of a kind. Raises ValueError for a kind that does not exist."""
    if kind not in READERS:
        raise ValueError(
            f"there is no kind {kind!r}{suggest(kind, READERS)}; there are {', '.join(READERS)}"
        )
    return list(READERS[kind]())


def as_facts(kinds: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The same as data, by kind."""
    return {kind: [asdict(item) for item in items(kind)] for kind in kinds}


def as_lines(kinds: Sequence[str]) -> Iterator[str]:
    """A heading a kind, a line a thing."""
    for number, kind in enumerate(kinds):
        found = items(kind)
        if number:
            yield ""
        yield f"{kind} ({uses(found)})"
        width = max(len(item.name) for item in found)
        shared = shared_place(found)
        for item in found:
            about = item.about if shared else f"{item.about}  [{item.where}]"
            yield f"  {item.name:{width}}  {about}"
        if shared:
            yield f"  in {shared}"


def shared_place(found: Sequence[Item]) -> str:
    """The file that holds them all, or the pattern of their own files; empty where there is neither."""
    places = {
        re.sub(rf"(?<=/){re.escape(item.name)}(?=\.\w+$)", "NAME", item.where) for item in found
    }
    return places.pop() if len(places) == 1 else ""


def uses(found: Sequence[Item]) -> str:
    """What names them, where it is the same for all."""
    return " · ".join(dict.fromkeys(item.used for item in found))


def place(path: Path) -> str:
    """A path as it may be typed here: relative where it lies below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# ---- the kinds --------------------------------------------------------------------------------------


def recipes() -> Iterator[Item]:
    """Configurations to start from."""
    for path in sorted(RECIPES.glob("*.toml")):
        yield Item(path.stem, first_sentence(path), place(path), "cgd copy NAME; cgd run FILE")


def first_sentence(path: Path) -> str:
    """Of the comment that a file begins with."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.removeprefix("#").strip():
            break
        comment.append(line.removeprefix("#").strip())
    return re.split(r"(?<=[a-z0-9)])\.(?:\s|$)", " ".join(comment), maxsplit=1)[0]


def wordings() -> Iterator[Item]:
    """As their own table describes them."""
    table = (WORDINGS / "README.md").read_text(encoding="utf-8")
    used = "generate.STAGE.template, data.wording, evaluate.wording"
    for name, about in re.findall(r"^\| `(\w+)\.txt` \| ([^|]+?) \|", table, re.MULTILINE):
        yield Item(name, about.replace("`", ""), place(WORDINGS / f"{name}.txt"), used)


def benchmarks() -> Iterator[Item]:
    """Built in, known, and the harness's."""
    from evals.benchmarks import BUILT_IN, TABLE

    used = "evaluate.benchmarks"
    for name in BUILT_IN:
        yield Item(name, WORLDS[name], place(ROOT / "datagen" / "worlds.py"), used)
    where = place(ROOT / "evals" / "benchmarks.py")
    for name, source in TABLE.items():
        about = f"{source.size:,} problems of {source.hub}; {source.licence}"
        yield Item(name, about, where, used)
    where = place(ROOT / "evals" / "lm_eval_bridge.py")
    for name, about in HARNESS.items():
        yield Item(name, f"{about}, by lm-evaluation-harness", where, used)


def prompts() -> Iterator[Item]:
    """What `data.prompts` may name, beside files and hub ids."""
    from datagen.known_sources import KNOWN
    from datagen.worlds import PROMPT_SETS

    for name in PROMPT_SETS:
        yield Item(name, WORLDS[name], place(ROOT / "datagen" / "worlds.py"), "data.prompts")
    where = place(ROOT / "datagen" / "known_sources.py")
    for name, source in KNOWN.items():
        about = f"{source.size:,} rows of {source.hub}; {source.licence}"
        yield Item(name, about, where, "data.prompts")


def experiments() -> Iterator[Item]:
    """By their files."""
    from launch.experiments.experiment_files import experiment_names

    for name in experiment_names():
        path = EXPERIMENTS / f"{name}.toml"
        told = load_toml(path)["experiment"]
        paper = f" ({told['paper']})" if told.get("paper") else ""
        yield Item(name, f"{told['title']}{paper}", place(path), "cgd reproduce NAME")


def objectives() -> Iterator[Item]:
    """What each sees and writes."""
    from engine.objectives import OBJECTIVES

    where = place(ROOT / "engine" / "objectives.py")
    for name, one in OBJECTIVES.items():
        about = f"learns to write {one.writes}, given {', '.join(one.sees)}"
        yield Item(name, about, where, "train.objective, pipeline.objectives")


def described(about: Mapping[str, str], file: str, used: str) -> Callable[[], Iterator[Item]]:
    """Things whose lines stand above."""

    def read() -> Iterator[Item]:
        for name, line in about.items():
            yield Item(name, line, place(ROOT / file), used)

    return read


READERS: dict[str, Callable[[], Iterator[Item]]] = {
    "recipes": recipes,
    "students": described(STUDENTS, "launch/base_student.py", "student.model"),
    "prompts": prompts,
    "worlds": described(WORLDS, "datagen/worlds.py", "data.prompts, evaluate.benchmarks"),
    "scripts": described(SCRIPTS, "datagen/README.md", "teacher.script, judge.script"),
    "wordings": wordings,
    "objectives": objectives,
    "benchmarks": benchmarks,
    "diagnostics": described(DIAGNOSTICS, "evals/README.md", "diagnose.names"),
    "experiments": experiments,
}
"""In the order in which a run meets them."""
