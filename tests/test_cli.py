"""The command line: quick help, and every mistake of a user's answered in words with exit code 2."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from launch import cli
from launch.config import load_config
from launch.verb import parse

VERBS = [name for names in cli.GROUPS.values() for name in names]
HEAVY = ("torch", "numpy", "transformers", "datasets", "jinja2", "pyarrow")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path) -> Path:
    """A sound configuration, to be spoilt with --set."""
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [run]
        name = "spoilt"
        dir = "{tmp_path / "run"}"
        [student]
        model = "{tiny_student}"
        [data]
        prompts = "arithmetic"
        limit = 2
        [generate.answer]
        max_tokens = 2
        [train]
        batch_size = 2
        precision = "fp32"
        max_length = 1024
        [evaluate]
        limit = 2
        max_tokens = 2
        """
    )
    return path


def test_help_is_quick_and_groups_every_verb() -> None:
    command = [sys.executable, "-m", "launch.cli", "--help"]
    before = os.times()
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = os.times()
    busy = sum(after[2:4]) - sum(before[2:4])  # of the child: this machine may have other work
    assert busy < 0.5
    assert sorted(cli.parser().verbs.choices) == sorted(VERBS)
    shown = re.findall(r"^    (\w+) ", printed, re.MULTILINE)
    assert shown == VERBS
    assert all(f"\n{title}:\n" in printed for title in cli.GROUPS)


def test_help_completion_and_lists_load_nothing_heavy() -> None:
    """Asked in one process, which looks at itself after each."""
    program = f"""
import contextlib, io, sys
from launch import cli
asked = [[verb, "--help"] for verb in cli.parser().verbs.choices] + [["--help"], ["list"]]
asked += [["bench", name, "--help"] for name in ("loss", "train", "grade")]
asked += [["--completion", shell] for shell in ("bash", "zsh", "fish")]
for arguments in asked:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(arguments)
    print(arguments, [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(VERBS) + 8
    assert all(line.endswith(" []") for line in lines), done.stdout


def examples(verb: str) -> list[str]:
    """The commands at the end of a verb's help, their remarks taken off."""
    told = cli.parser().verbs.choices[verb].format_help().split("\nexamples:\n")[1]
    lines = [line.strip() for line in told.split("\n\n")[0].splitlines()]
    return [re.split(r" {2,}", line)[0] for line in lines]


@pytest.mark.parametrize("verb", VERBS)
def test_examples_of_each_verb_can_be_typed(verb: str) -> None:
    found = examples(verb)
    assert len(found) >= 2
    for command in (part for line in found for part in line.split(" && ")):
        words = shlex.split(command)
        if words[0] != "cgd":
            continue
        parse(cli.parser(), words[1:])
        for path in (word for word in words if word.startswith("launch/")):
            assert (ROOT / path).is_file()
    assert any(f"cgd {verb} " in f"{line} " for line in found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum", "x.toml"], "'rum' does not exist; did you mean run?"),
        (["x.toml"], "did you mean: cgd run x.toml?"),
        (["frobnicate"], "there are quickstart, run, "),
        (["run", "x.toml", "--overwriet"], "--overwriet; did you mean --overwrite?"),
        (["plan", "x.toml", "--worldsize=8"], "--worldsize=8; did you mean --world-size?"),
        (["export", "x.toml", "--form", "mesages"], "did you mean messages?"),
        (["bench", "loss", "--vocabulery", "3"], "did you mean --vocabulary?"),
        (["report", "runs/x", "--jsn"], "did you mean --json?"),
    ],
)
def test_a_mistyped_word_names_the_nearest(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_mistake_in_a_process_of_its_own_ends_with_code_2_and_no_traceback(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "launch.cli", "run", str(tmp_path / "absent.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [[], ["rum"], ["run"], ["grade", "x.jsonl"], ["report"]])
def test_an_incomplete_command_shows_its_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_all_wrong_keys_are_reported_at_once(cgd: Run, config: Path) -> None:
    text = config.read_text() + "\n[train2]\nx = 1\n"
    config.write_text(text.replace("batch_size = 2", 'batch_size = "2"\nlearning_rat = 1'))
    code, printed = cgd("run", config, "--set", "evaluate.limits=3", "--set", "nonsense")
    assert code == 2
    for line in (
        'train.batch_size: expected an integer, got "2" (text)',
        "train.learning_rat: unknown key; did you mean train.learning_rate?",
        "train2: unknown section; did you mean [train]?",
        "evaluate.limits: unknown key; did you mean evaluate.limit?",
        '--set "nonsense": expected SECTION.KEY=VALUE',
    ):
        assert line in printed
    assert not (config.parent / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.objective=cdg", 'did you mean "cgd"?'),
        ('pipeline.objectives=["sft","cgb"]', "did you mean cgd?"),
        ('pipeline.objectives=["cgd","cgd"]', "named twice"),
        ("data.prompts=absent/prompts.jsonl", "absent/prompts.jsonl"),
        ('evaluate.benchmarks=["absent/test.jsonl"]', "absent/test.jsonl"),
        ('evaluate.benchmarks=["arithmetics"]', "arithmetic"),
        ("train.data=absent/train.jsonl", "absent/train.jsonl"),
        ("student.model=absent/model", "absent/model"),
        ("generate.critique.template=critic", "critique"),
        ("teacher.script=arithmetics", "arithmetic"),
        ("teacher.backend=transformers", "teacher: a model is needed"),
        ("student.model=", "student.model: required, but not given"),
    ],
)
def test_a_wrong_value_is_named(cgd: Run, config: Path, setting: str, said: str) -> None:
    code, printed = cgd("run", config, "--set", setting)
    assert code == 2, printed
    assert said in printed.split("error:", 1)[1]


def test_a_model_folder_without_chat_template_is_named(
    cgd: Run, config: Path, tiny_student: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "untemplated"
    shutil.copytree(tiny_student, folder)
    (folder / "chat_template.jinja").unlink()
    code, printed = cgd("generate", config, "--set", f"student.model={folder}")
    assert code == 2
    assert str(folder) in printed
    assert "chat template" in printed


GOOD_ROW = '{"id": "a", "problem": "What is 1 + 1?", "answer": "2"}'


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"id": "b", "problem": ', ":2"),
        ('{"id": "b", "answer": "2"}', ":2"),
        ('{"id": "a", "problem": "What is 1 + 2?", "answer": "3"}', ":2"),
    ],
    ids=["broken line", "no problem", "duplicate id"],
)
def test_a_bad_line_of_prompts_is_named_by_number(
    cgd: Run, config: Path, tmp_path: Path, row: str, said: str
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(f"{GOOD_ROW}\n{row}\n")
    code, printed = cgd("generate", config, "--set", f"data.prompts={prompts}")
    assert code == 2, printed
    assert f"{prompts}{said}" in printed


def test_stages_out_of_order_say_what_is_missing(cgd: Run, config: Path) -> None:
    code, printed = cgd("train", config)
    assert code == 2
    assert "cgd generate" in printed


def test_a_command_that_failed_before_it_made_anything_binds_nobody_to_its_settings(
    cgd: Run, config: Path, tmp_path: Path
) -> None:
    assert cgd("train", config)[0] == 2
    assert "run: failed, stage 1 of 1: train cgd" in cgd("status", tmp_path / "run")[1]
    code, said = cgd("train", config, "--set", "data.limit=1")
    assert (code, "made with another configuration" in said) == (2, False)


def test_a_folder_that_is_no_run_is_left_alone(cgd: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    code, printed = cgd("run", config)
    assert code == 2
    assert "thesis.tex" in printed
    code, printed = cgd("report", tmp_path / "absent")
    assert code == 2
    assert "absent" in printed


def test_grade_adds_verdicts_and_keeps_other_fields(cgd: Run, tmp_path: Path) -> None:
    rows = [{"id": 7, "pred": r"\boxed{4}", "gold": "4"}, {"id": 8, "pred": "5", "gold": "4"}]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, printed = cgd("grade", source, "--out", target)
    graded = [json.loads(line) for line in target.read_text().splitlines()]
    assert code == 0
    assert "50.0 %" in printed
    assert [(row["id"], row["correct"]) for row in graded] == [(7, True), (8, False)]
    assert {"extracted", "rule", "reason"} <= graded[0].keys()


def test_grade_tells_the_accuracy_as_json(cgd: Run, tmp_path: Path) -> None:
    rows = [{"pred": "4", "gold": "4"}, {"pred": "5", "gold": "4"}, {"pred": "4", "gold": ""}]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, printed = cgd("grade", source, "--out", target, "--json", "--compat")
    found = json.loads(printed)
    assert code == 0
    assert (found["rows"], found["graded"], found["accuracy"]) == (3, 2, 0.5)
    assert found["compat"] == {"graded": 2, "correct": 1, "accuracy": 0.5}
    assert found["out"] == str(target)


@pytest.mark.parametrize("text", [None, "{", '{"pred": "4"}'], ids=["absent", "broken", "no gold"])
def test_grade_names_the_file_it_cannot_use(cgd: Run, tmp_path: Path, text: str | None) -> None:
    source = tmp_path / "in.jsonl"
    if text is not None:
        source.write_text(text)
    code, printed = cgd("grade", source, "--out", tmp_path / "out.jsonl")
    assert code == 2
    assert str(source) in printed
    assert not (tmp_path / "out.jsonl").exists()


def test_an_interruption_says_how_to_go_on(cgd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("launch.reporting.report_runs", interrupt)
    code, printed = cgd("report", Path(__file__).parent)
    assert code == 130
    assert "run the same command to continue" in printed


def test_a_reader_that_leaves_ends_the_command_in_silence() -> None:
    command = [sys.executable, "-m", "launch.cli", "--completion", "bash"]
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(writing)
    assert (ended.stderr, ended.returncode) == (b"", cli.EXIT_NO_READER)


def test_a_polite_kill_ends_like_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt):
        cli.interrupted(signal.SIGTERM, None)


def test_a_traceback_can_be_asked_for(cgd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGD_TRACEBACK", "1")
    with pytest.raises(ValueError, match="no such file"):
        cgd("run", "absent.toml")


def test_the_readmes_configuration_is_valid(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "readme.toml"
    path.write_text(readme.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    assert load_config(path).train.batch_size == 64
