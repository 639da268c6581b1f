"""What the documents say exists: links, files, names in files, verbs, options; and their commands run.

A block of shell commands is run as it stands, in a folder with a small finished quickstart, unless its first line or
the command's own line carries a marker that says what it needs.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from launch.cli import parser

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("engine", "datagen", "evals", "launch")
NEEDS = re.compile(r"# needs (a GPU|a cluster|the hub|a server|vLLM|TRL|minutes|hours)\b")
"""The markers."""
BY_ANOTHER_TEST = {
    "bash launch/quickstart.sh": "test_scripts.py",
    "bash launch/test.sh": "test_scripts.py",
}
SMALL = ("data.limit=8", "train.batch_size=4", "evaluate.limit=2", "evaluate.max_tokens=16")
SMALL += ("generate.answer.max_tokens=16", 'pipeline.objectives=["cgd"]', "train.save_every=1")


def documents() -> list[Path]:
    """The front page and the guides."""
    inside = (path for room in ROOMS for path in (ROOT / room).rglob("*.md"))
    return [ROOT / "README.md", *sorted(inside)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("path", documents(), ids=named)


# ---- links, files and names -------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8")))
    inside = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [target for target in inside if not (path.parent / target).exists()] == []


@each_document
def test_files_and_names_in_code_exist(path: Path) -> None:
    lost = []
    for file, name in re.findall(
        r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sh|toml|txt|md))(?:: ([A-Za-z_]+))?`",
        path.read_text("utf-8"),
    ):
        places = [ROOT / file, path.parent / file]
        found = next((place for place in places if place.exists()), None)
        if file.split("/")[0] not in (*ROOMS, "tests"):
            continue  # a user's own file
        if found is None or (name and name not in names_in(found)):
            lost.append(f"{file}: {name}")
    assert lost == []


@cache
def names_in(path: Path) -> set[str]:
    """What a module defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        target.id if isinstance(target, ast.Name) else getattr(target, "name", "")
        for node in ast.walk(tree)
        for target in (node.targets if isinstance(node, ast.Assign) else [node])
    }


# ---- commands ---------------------------------------------------------------------------------------


def spoken(text: str) -> Iterator[str]:
    """Every command that is shown: a line of a block, or one in the middle of a sentence."""
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        yield from re.sub(r"\\\n", " ", block).splitlines()
    yield from re.findall(
        r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )


@cache
def verbs() -> dict[str, argparse.ArgumentParser]:
    top = parser()
    (action,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def options_of(sub: argparse.ArgumentParser) -> set[str]:
    """Its own, and those of the verbs below it."""
    found = {option for action in sub._actions for option in action.option_strings}
    for action in sub._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for below in action.choices.values() for option in options_of(below)}
    return found


def mistakes_in(command: str) -> Iterator[str]:
    """Verbs, options and modules that do not exist."""
    words = command.partition(" # ")[0].replace("\\|", "|").split()
    for place, word in enumerate(words):
        if word == "cgd" and (place == 0 or words[place - 1] in ("&&", "srun", "|")):
            rest = words[place + 1 :]
            if rest and rest[0] in ("VERB", "--help", "--completion"):
                continue
            if rest and rest[0] not in verbs():
                yield f"there is no `cgd {rest[0]}`"
            elif rest:
                known = options_of(verbs()[rest[0]])
                asked = re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(rest).split(" && ")[0])
                yield from (f"cgd {rest[0]} has no {o}" for o in asked if o not in known)
        if word == "-m" and place and re.match(r"(?:\S*/)?python|\d+|N$", words[place - 1]):
            module = words[place + 1]
            if module.split(".")[0] in ROOMS and importlib.util.find_spec(module) is None:
                yield f"there is no module {module}"


@each_document
def test_commands_that_are_shown_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [wrong for command in spoken(text) for wrong in mistakes_in(command.strip())] == []


def test_commands_that_do_not_exist_are_found() -> None:
    wrong = ["cgd rum CONFIG", "cgd train CONFIG --fast", "python -m engine.trane CONFIG"]
    assert [len(list(mistakes_in(command))) for command in wrong] == [1, 1, 1]


# ---- blocks that run --------------------------------------------------------------------------------


def runnable(text: str) -> str:
    """The blocks' commands, one script; left out is what needs something, or is run by another test."""
    script = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        first, lines = block.splitlines()[0], block.splitlines()
        if first.startswith("#") and NEEDS.search(first):
            continue
        script += [line for line in lines if not (NEEDS.search(line) or is_run_elsewhere(line))]
    return "\n".join(script)


def is_run_elsewhere(line: str) -> bool:
    command = line.partition(" # ")[0].strip()
    if re.match(r"python -m pytest .*tests/\w+\.py", command):
        return True
    return command in BY_ANOTHER_TEST


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's rooms in it, commands on the path, and a small finished quickstart."""
    folder = tmp_path_factory.mktemp("documents")
    for room in (*ROOMS, "tests"):
        (folder / room).symlink_to(ROOT / room)
    commands = folder / "bin"
    commands.mkdir()
    python = shlex.quote(sys.executable)
    for name, call in (("cgd", f"{python} -m launch.cli"), ("python", python)):
        (commands / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        (commands / name).chmod(0o755)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    done = shell(folder, shlex.join(["cgd", "quickstart", *settings]))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


with_commands = [path for path in documents() if runnable(path.read_text("utf-8")).strip()]


@pytest.mark.parametrize("path", with_commands, ids=named)
def test_blocks_of_commands_run(path: Path, bench: Path) -> None:
    done = shell(bench, runnable(path.read_text(encoding="utf-8")))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
