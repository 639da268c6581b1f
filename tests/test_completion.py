"""Completion: the words after Tab are those that the parser takes, in bash, zsh and fish as they really run."""

from __future__ import annotations

import argparse
import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from engine.config import known_keys
from engine.plan_shapes import USABLE_GIB
from launch import cli
from launch.completion import DEVICES, NAMED, SCALES, STAGES, completion_script, verbs_of
from launch.config import SECTIONS
from launch.config_keys import config_keys
from launch.experiments.experiment import SCALES as EVERY_SCALE

Complete = Callable[..., list[str]]
TRY = """\
source {script}
COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _cgd
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each shell."""
    folder, top = tmp_path_factory.mktemp("scripts"), cli.parser()
    found = {}
    for shell in ("bash", "zsh", "fish"):
        found[shell] = folder / f"cgd.{shell}"
        found[shell].write_text(completion_script(top.verbs.choices, shell))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with something to complete."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "more.toml", "rows.jsonl", "with blank.toml"):
        (tmp_path / name).touch()
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def bash(scripts: dict[str, Path], folder: Path) -> Complete:
    """What bash offers for the words of a command line, the last of which is being typed."""

    def complete(*words: str) -> list[str]:
        program = TRY.format(script=scripts["bash"])
        command = ["bash", "-c", program, "bash", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr.replace(NO_TERMINAL, "").strip() or "compopt" in done.stderr
        return [line for line in done.stdout.splitlines() if line]

    return complete


NO_TERMINAL = "compopt: not currently executing completion function"


def test_verbs_are_offered(bash: Complete) -> None:
    assert set(bash("cgd", "")) >= {name for names in cli.GROUPS.values() for name in names}
    assert bash("cgd", "rep") == ["report", "reproduce"]
    assert bash("cgd", "--completion", "z") == ["zsh"]


def test_options_are_those_of_the_verb(bash: Complete) -> None:
    assert "--world-size" in bash("cgd", "plan", "mine.toml", "--")
    assert "--world-size" not in bash("cgd", "report", "--")
    assert bash("cgd", "bench", "loss", "--voc") == ["--vocabulary"]


def test_keys_of_the_configuration_follow_set(bash: Complete) -> None:
    assert bash("cgd", "run", "mine.toml", "--set", "train.batch") == ["train.batch_size="]
    assert len(bash("cgd", "run", "mine.toml", "--set", "")) == len(list(known_keys(SECTIONS)))


def test_a_value_with_an_equals_sign_hides_no_later_word(bash: Complete) -> None:
    line = ("cgd", "run", "mine.toml", "--set", "train.batch_size", "=", "4", "--overw")
    assert bash(*line) == ["--overwrite"]
    assert bash("cgd", "run", "--set", "train.batch_size", "=", "4", "mi") == ["mine.toml"]
    assert bash("cgd", "run", "mine.toml", "--set", "train.batch_size", "=") == []


def test_files_and_folders_are_offered_where_they_belong(bash: Complete) -> None:
    assert set(bash("cgd", "run", "")) == {"mine.toml", "more.toml", "with blank.toml", "runs"}
    assert set(bash("cgd", "grade", "ro")) == {"rows.jsonl"}
    assert bash("cgd", "report", "runs/") == ["runs/mine"]
    assert bash("cgd", "report", "mi") == []


def test_names_are_offered_in_their_place(bash: Complete) -> None:
    assert bash("cgd", "copy", "critique_") == ["critique_verdict"]
    assert bash("cgd", "copy", "critique", "mi") == ["mine.toml"]
    assert bash("cgd", "reproduce", "table1", "figure1") == ["figure10"]
    assert bash("cgd", "reproduce", "--scale", "p") == ["paper"]
    assert bash("cgd", "evaluate", "mine.toml", "--model", "cgd_") == ["cgd_no_critique"]
    assert bash("cgd", "diagnose", "mine.toml", "--only", "ent") == ["entropy"]
    assert bash("cgd", "list", "wor") == ["worlds", "wordings"]
    assert bash("cgd", "bench", "fl") == ["fleet"]
    assert bash("cgd", "export", "mine.toml", "--form", "mess") == ["messages"]


def test_numbers_are_not_guessed(bash: Complete) -> None:
    assert bash("cgd", "run", "mine.toml", "--nodes", "") == []


def test_every_option_of_the_parser_is_in_every_script(scripts: dict[str, Path]) -> None:
    texts = {shell: path.read_text() for shell, path in scripts.items()}
    for verb, parser in cli.parser().verbs.choices.items():
        for name in options_of(parser):
            assert name in texts["bash"], verb
            assert name in texts["zsh"], verb
            assert f"-l {name[2:]}" in texts["fish"] or len(name) == 2, verb


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All spellings of all options."""
    for action in parser._actions:
        yield from action.option_strings


def test_places_that_are_named_exist() -> None:
    parsers = cli.parser().verbs.choices
    for verb, destination in NAMED:
        assert destination in {action.dest for action in parsers[verb]._actions}, verb


def test_lists_that_stand_here_are_those_of_their_owners() -> None:
    assert {*DEVICES} == {*USABLE_GIB, "cpu"}
    assert SCALES == EVERY_SCALE
    assert list(config_keys()) == list(known_keys(SECTIONS))
    assert {*STAGES} == {
        key.split(".")[1] for key in config_keys() if key.endswith(".temperature")
    } - {"temperature"}


def test_no_word_has_a_blank() -> None:
    for verb in verbs_of(cli.parser().verbs.choices):
        for takes in [o.takes for o in verb.options if o.takes] + [a.takes for a in verb.arguments]:
            assert not any(" " in word for word in takes.words)


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_offers_the_same(scripts: dict[str, Path], folder: Path) -> None:
    lines = [
        "rep",
        "run --overw",
        "run mi",
        "copy critique_",
        "bench fl",
        "plan --set train.batch",
        "bench loss --dtype b",
    ]
    asked = "".join(f"; echo :; complete -C 'cgd {line}'" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {scripts['fish']}{asked}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    found = [
        [line.split("\t")[0] for line in part.splitlines() if line]
        for part in done.stdout.split(":\n")[1:]
    ]
    wanted = [
        ["report", "reproduce"],
        ["--overwrite"],
        ["mine.toml"],
        ["critique_verdict"],
        ["fleet"],
    ]
    assert found == [*wanted, ["train.batch_size="], ["bfloat16"]]


ZSH = """\
PS1=; unset zle_bracketed_paste; TERM=dumb; autoload -Uz compinit; compinit -D -u; source {script}; echo REA''DY
"""
PRINT_LINE = b"\x01print -r -- '<\x05>'\n"
"""Puts what stands on the command line into a `print`, and runs that."""


def type_into_zsh(script: Path, lines: Iterable[str]) -> list[str]:
    """What zsh makes of each line and a Tab after it."""
    terminal, inner = pty.openpty()
    ends = {"stdin": inner, "stdout": inner, "stderr": inner}
    process = subprocess.Popen(["zsh", "-f", "-i"], **ends, start_new_session=True)
    os.close(inner)
    os.write(terminal, ZSH.format(script=script).encode())
    read_until(terminal, b"READY")
    found = []
    for line in lines:
        os.write(terminal, line.encode() + b"\t" + PRINT_LINE)
        shown = read_until(terminal, b">\r\n").decode()
        found.append(shown.rsplit("\n<", 1)[-1].removesuffix(">\r\n"))
    process.kill()
    process.wait()
    os.close(terminal)
    return found


def read_until(terminal: int, mark: bytes) -> bytes:
    """What is printed up to and with the mark."""
    shown, end = b"", time.monotonic() + 30
    while mark not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
    return shown[: shown.index(mark) + len(mark)]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_as_it_is_typed(scripts: dict[str, Path], folder: Path) -> None:
    lines = {
        "cgd reprod": "cgd reproduce",
        "cgd run --overw": "cgd run --overwrite",
        "cgd run mi": "cgd run mine.toml",
        "cgd copy critique_": "cgd copy critique_verdict",
        "cgd bench fl": "cgd bench fleet",
        "cgd plan --set train.batch": "cgd plan --set train.batch_size=",
        "cgd bench loss --dtype b": "cgd bench loss --dtype bfloat16",
        "cgd list wordi": "cgd list wordings",
    }
    found = type_into_zsh(scripts["zsh"], lines)
    assert [line.strip() for line in found] == list(lines.values())
