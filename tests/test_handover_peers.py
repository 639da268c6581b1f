"""Claims: TRL goes on from an export and learns what our engine learns; lm-evaluation-harness scores it as we do.

The peers are large and not among the project's packages. They are used where they are installed beside the project, or
in the environments whose Pythons CGD_PEERS_PYTHON and CGD_HARNESS_PYTHON name.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from handed_over import (
    EXPORT,
    HARNESS,
    PEERS,
    RECORDS,
    RUN,
    SEED,
    STEPS,
    STUDENT,
    guide_code,
    make_quickstart,
    needs_harness,
    needs_trl,
    run_python,
)
from safetensors.torch import load_file
from transformers import AutoTokenizer

from datagen.arithmetic import problems
from engine.examples import Example, load_examples
from engine.packing import examples_of_step
from launch.config import builtin_config
from launch.export_records import Wanted, export_records

CONFIG = "launch/configs/quickstart.toml"
pytestmark = pytest.mark.slow

THREE_STEPS = """
import json, sys
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

model, rows, out = sys.argv[1], json.load(open(sys.argv[2])), sys.argv[3]
settings = SFTConfig(
    out, per_device_train_batch_size=4, num_train_epochs=1, learning_rate=1e-3, lr_scheduler_type="constant",
    weight_decay=0.0, max_grad_norm=1.0, use_cpu=True, bf16=False, max_length=None, logging_steps=1, report_to=[],
    save_strategy="no", disable_tqdm=True, shuffle_dataset=False, train_sampling_strategy="sequential",
)
trainer = SFTTrainer(model, args=settings, train_dataset=Dataset.from_list(rows))
seen = trainer.train_dataset.to_list()
trainer.train()
steps = [line for line in trainer.state.log_history if "loss" in line]
print(json.dumps({"loss": [s["loss"] for s in steps], "grad_norm": [s["grad_norm"] for s in steps],
                  "rows": [{"ids": row["input_ids"], "labels": row["labels"]} for row in seen]}))
"""

NO_TAIL = (
    "{% for m in messages %}{{ ('' if loop.first else '\n') + '<|im_start|>' + m['role'] + '\n' + m['content'] "
    "+ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)
"""The student's template without the line break after the last end of turn."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = make_quickstart(tmp_path_factory.mktemp("peers"), patch)
        export_records(
            RECORDS, "quickstart: records", Wanted(folder=Path("shared"), format="jsonl")
        )
        yield folder


def in_step_order() -> list[Example]:
    """The examples of all three steps, as the engine took them."""
    tokenizer = AutoTokenizer.from_pretrained(STUDENT)
    found = load_examples(RECORDS, tokenizer, "cgd", STEPS.layout, STEPS.max_length).examples
    steps = [examples_of_step(len(found), STEPS.batch_size, 1, SEED, step) for step in range(3)]
    return [found[i] for step in steps for i in step]


def labels_of(example: Example) -> list[int]:
    return [-100] * example.num_context + example.token_ids[example.num_context :].tolist()


def train_in_trl(work: Path, name: str, model: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    (work / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    (work / f"{name}.py").write_text(THREE_STEPS, encoding="utf-8")
    printed = run_python(PEERS, work, f"{name}.py", str(model), f"{name}.json", name)
    return dict(json.loads(printed.splitlines()[-1]))


def our_steps() -> list[dict[str, Any]]:
    lines = (RUN / "train" / "cgd" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@needs_trl
def test_three_steps_of_trl_on_our_tokens_are_three_steps_of_the_engine(work: Path) -> None:
    """The same losses and gradient norms, so the same mask, mean, gradients and optimizer."""
    rows = [
        {"input_ids": example.token_ids.tolist(), "labels": labels_of(example)}
        for example in in_step_order()
    ]
    theirs = train_in_trl(work, "tokens", STUDENT, rows)
    ours = our_steps()
    assert theirs["loss"] == pytest.approx([step["loss"] for step in ours], rel=1e-5)
    assert theirs["grad_norm"] == pytest.approx([step["grad_norm"] for step in ours], rel=1e-4)


@needs_trl
@pytest.mark.parametrize("tail", ["\n", ""], ids=["as in ChatML", "as in Llama 3"])
def test_trl_masks_our_conversations_as_we_do_but_learns_what_follows_the_end_of_turn(
    work: Path, tail: str
) -> None:
    lines = (work / "shared" / "cgd.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    examples = in_step_order()
    model = with_template_tail(work, tail)
    theirs = train_in_trl(
        work, f"conversations{len(tail)}", model, [rows[example.id] for example in examples]
    )
    extra = AutoTokenizer.from_pretrained(STUDENT)(tail)["input_ids"] if tail else []
    for example, row in zip(examples, theirs["rows"], strict=True):
        assert row["ids"] == example.token_ids.tolist() + extra
        assert row["labels"] == labels_of(example) + extra
    same = math.isclose(theirs["loss"][0], our_steps()[0]["loss"], rel_tol=1e-5)
    assert same == (not tail)


def with_template_tail(work: Path, tail: str) -> Path:
    """The student, whose template ends with a line break, or its copy whose template ends with the end of turn."""
    folder = work / f"student{len(tail)}"
    folder.mkdir()
    for path in STUDENT.iterdir():
        (folder / path.name).symlink_to(path)
    if not tail:
        (folder / "chat_template.jinja").unlink()
        (folder / "chat_template.jinja").write_text(NO_TAIL, encoding="utf-8")
    return folder


@needs_trl
def test_the_guides_trainer_and_its_tokens_run_as_they_stand(work: Path) -> None:
    for number, word in enumerate(("SFTTrainer(", "load_examples(")):
        (work / f"guide{number}.py").write_text(guide_code("python", word), encoding="utf-8")
        run_python(PEERS, work, f"guide{number}.py")


@needs_trl
def test_grpo_starts_from_an_export_and_its_result_is_evaluated(work: Path, cgd: Run) -> None:
    """Rewards are our answer matching; the result is a model folder that is asked as any other."""
    prompts = RECORDS.with_name("prompts.jsonl")
    few = "--steps 2 --answers 4 --prompts-per-step 2 --max-tokens 120 --learning-rate 1e-4"
    arguments = [str(EXPORT), str(prompts), "grpo", *few.split()]
    said = run_python(PEERS, work, "-m", "launch.grpo_from_export", *arguments).splitlines()
    assert "12 of 12 prompts have a gold answer" in said
    figures = dict(part.split() for part in said[-1].split("steps ")[1].split(", "))
    assert 0 <= float(figures["reward"]) <= 1
    assert all(math.isfinite(float(value)) for value in figures.values())
    before, after = (load_file(f / "model.safetensors") for f in (EXPORT, work / "grpo"))
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    changes = ("student.model=grpo", "run.name=grpo-evaluated", "evaluate.limit=4")
    sets = [part for change in changes for part in ("--set", change)]
    code, said_of_it = cgd("evaluate", builtin_config("quickstart"), "--model", "base", *sets)
    assert code == 0, said_of_it
    assert re.search(r"base/arithmetic: [0-9.]+ % right", said_of_it)


@needs_harness
def test_the_harness_scores_as_we_do_on_the_same_texts(work: Path, cgd: Run) -> None:
    """The guide's task on problems of the built-in world in GSM8K's form: the same outputs, the same marks."""
    rows = [
        {
            "question": problem.record().prompt,
            "answer": "\n".join([*problem.answer.splitlines()[:-1], f"#### {problem.final}"]),
        }
        for problem in problems("test", 12, 0)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (work / "my_problems.jsonl").write_text(lines, encoding="utf-8")
    (work / "my_problems.yaml").write_text(guide_code("yaml", "my_problems"), encoding="utf-8")
    theirs_line, _, ours_line = guide_code("bash", "lm_eval").replace("\\\n", "").partition("cgd ")
    harness = shlex.split(theirs_line, comments=True)
    run_python(HARNESS, work, "-m", "lm_eval", *harness[1:], "--device", "cpu")
    code, said = cgd(*shlex.split(ours_line.replace(CONFIG, str(builtin_config("quickstart")))))
    assert code == 0, said
    (file,) = work.glob("harness/*/samples_my_problems_*.jsonl")
    theirs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    answers = work / "runs" / "compared" / "evals" / "base" / "my_problems.jsonl"
    ours = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    asked = {row["prompt"]: row for row in ours}
    assert len(theirs) == len(asked) == len(rows)
    for row in theirs:
        our = asked[row["doc"]["question"]]
        assert row["resps"][0][0] == our["output"]
        assert bool(row["exact_match"]) == our["correct"]
    assert {our["correct"] for our in ours} == {True, False}, "a comparison that can fail"
