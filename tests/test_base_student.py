"""The base student: its curriculum keeps to the train splits, its command works, it is what it should be."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from datagen.arithmetic import problems
from datagen.attempts import attempt
from datagen.checking import check
from datagen.curriculum import PHASES, correction, revision, some_problem
from datagen.instructions import complies, instructions
from datagen.student_text import read_answer
from launch.base_student import build_base_student, main

LAUNCH = Path(__file__).parent.parent / "launch"
KEPT = LAUNCH / "student"
PLAIN = LAUNCH / "student-plain"
MOST_BYTES = 8_000_000


def loaded(folder: Path) -> tuple[PreTrainedModel, Tokenizer]:
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(
        folder
    )


def replies(folder: Path, prompts: list[str], max_tokens: int) -> list[str]:
    model, tokenizer = loaded(folder)
    chats = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        for prompt in prompts
    ]
    batch = tokenizer(chats, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.no_grad():
        ids = model.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            max_new_tokens=max_tokens,
            do_sample=False,
        )
    new = ids[:, batch.input_ids.shape[1] :]
    return [tokenizer.decode(row, skip_special_tokens=True) for row in new]


def test_curriculum_holds_nothing_of_the_test_splits() -> None:
    rng = Random(0)
    drawn = [some_problem(rng, range(1, 6)) for _ in range(500)]
    test = problems("test", 500)
    assert not {p.numbers for p in drawn} & {p.numbers for p in test}
    assert not {s for p in drawn for s in p.template} & {s for p in test for s in p.template}
    prompts = [text.prompt for phase in PHASES for text in phase.texts(0, 0.05)]
    tasks = {task.prompt for task in instructions("test", 500)}
    assert not set(prompts) & (tasks | {problem.prompt for problem in test})


def test_curriculum_is_a_pure_function_of_the_seed() -> None:
    for phase in PHASES:
        assert list(phase.texts(3, 0.005)) == list(phase.texts(3, 0.005))
        assert list(phase.texts(3, 0.005)) != list(phase.texts(4, 0.005))


def test_attempts_are_as_right_as_they_should_be() -> None:
    rng = Random(1)
    for _ in range(300):
        problem = some_problem(rng, range(2, 6))
        assert check(problem, attempt(problem, rng, wrong=False)).mistake is None
        assert check(problem, attempt(problem, rng, wrong=True)).mistake is not None


def test_criticism_comes_as_a_message_and_as_a_dialogue() -> None:
    message, dialogue = revision(Random(2)), correction(Random(2))
    assert set(message.row()) == {"prompt", "completion"}
    turns = dialogue.row()["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert turns[-1]["content"] == dialogue.completion
    assert "Conclusion: " in turns[2]["content"]


def test_the_methods_own_wording_of_criticism_is_new_to_the_student() -> None:
    for text in PHASES[-1].texts(0, 0.1):
        assert "Student's Initial Answer" not in text.prompt


def test_the_command_makes_a_student_that_loads_and_stops(tmp_path: Path) -> None:
    out = tmp_path / "student"
    assert main([str(out), "--steps-scale", "0.002"]) == 0
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["student", "student-plain"]
    model, tokenizer = loaded(out)
    assert 1_000_000 <= model.num_parameters() <= 6_000_000
    assert tokenizer.decode(tokenizer("12 + 8, é\n").input_ids) == "12 + 8, é\n"
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert model.generation_config.eos_token_id in (end, [end])
    assert main([str(out)]) == 2


def test_a_finished_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists already"):
        build_base_student(tmp_path)


def test_a_plain_student_of_another_build_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    (tmp_path / "student-plain").mkdir()
    with pytest.raises(ValueError, match="student-plain exists already"):
        build_base_student(tmp_path / "student", steps_scale=0.002)


@pytest.mark.parametrize("kept", [KEPT, PLAIN])
def test_kept_student_is_small_and_complete(kept: Path) -> None:
    model, tokenizer = loaded(kept)
    assert (kept / "model.safetensors").stat().st_size <= MOST_BYTES
    assert model.dtype == torch.float32
    assert model.config.max_position_embeddings >= 1024
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    stops = json.loads((kept / "generation_config.json").read_text())["eos_token_id"]
    assert end in (stops if isinstance(stops, list) else [stops])


@pytest.mark.parametrize("kept", [KEPT, PLAIN])
def test_kept_student_is_imperfect_in_earnest(kept: Path) -> None:
    asked = problems("test", 65, seed=7)
    texts = replies(kept, [problem.prompt for problem in asked], max_tokens=160)
    right = sum(read_answer(t) == p.final for t, p in zip(texts, asked, strict=True))
    assert 0.2 <= right / len(asked) <= 0.75


def test_kept_student_does_as_it_is_told() -> None:
    tasks = instructions("test", 100, seed=7)
    texts = replies(KEPT, [task.prompt for task in tasks], max_tokens=40)
    assert sum(complies(task.check, t) for task, t in zip(tasks, texts, strict=True)) >= 75
