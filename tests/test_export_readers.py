"""Claims: vLLM and TRL read an export as it stands; vLLM says what transformers says, and stops at the end of turn.

Both are large and not among the project's packages. vLLM is asked in an environment of its own, whose Python is named
by CGD_VLLM_PYTHON (`bash launch/test.sh --with-vllm` makes one); TRL is used where it is installed beside the project,
or in the environment whose Python CGD_PEERS_PYTHON names.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import make_records
from exports import QUESTIONS, ask_with_transformers, train_by_heart
from handed_over import PEERS, needs_trl
from transformers import AutoTokenizer

VLLM_PYTHON = os.environ.get("CGD_VLLM_PYTHON")

ASK_VLLM = """
import json, sys
from vllm import LLM, SamplingParams

if __name__ == "__main__":  # vLLM starts processes that import this file
    folder, questions, answer_file = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    llm = LLM(folder, max_model_len=256, enforce_eager=True, disable_log_stats=True)
    chats = [[{"role": "user", "content": question}] for question in questions]
    # No stop is given: the folder's generation_config must name it.
    replies = llm.chat(chats, SamplingParams(temperature=0, max_tokens=60), use_tqdm=False)
    answers = [
        {"prompt": r.prompt_token_ids, "ids": list(r.outputs[0].token_ids), "text": r.outputs[0].text,
         "reason": r.outputs[0].finish_reason}
        for r in replies
    ]
    open(answer_file, "w").write(json.dumps(answers))
"""

TRAIN_WITH_TRL = """
import json, sys
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

folder, rows, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
config = SFTConfig(
    output_dir=out, max_steps=1, per_device_train_batch_size=2, learning_rate=1e-3, use_cpu=True, bf16=False,
    report_to=[], save_strategy="no", disable_tqdm=True, max_length=256,
)
trainer = SFTTrainer(model=folder, args=config, train_dataset=Dataset.from_list(rows))
before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
loss = trainer.train().training_loss
moved = sum(not weight.equal(before[name]) for name, weight in trainer.model.named_parameters())
print(json.dumps({"loss": loss, "moved": moved, "of": len(before)}))
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_by_heart(tmp_path_factory.mktemp("heart")).folder / "export"


def python(
    executable: str, program: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    command = [executable, str(program), *arguments]
    return subprocess.run(
        command,
        env=os.environ | settings,
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.skipif(VLLM_PYTHON is None, reason="CGD_VLLM_PYTHON names no Python that has vLLM")
def test_vllm_says_what_transformers_says_and_stops_at_the_end_of_turn(
    tmp_path: Path, export: Path
) -> None:
    assert VLLM_PYTHON is not None
    program = tmp_path / "ask_vllm.py"
    program.write_text(ASK_VLLM, encoding="utf-8")
    answer_file = tmp_path / "answers.json"
    cpu = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    questions = json.dumps(list(QUESTIONS))
    done = python(VLLM_PYTHON, program, str(export), questions, str(answer_file), **cpu)
    assert done.returncode == 0, done.stderr[-4000:]
    replies = json.loads(answer_file.read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(export)
    end_of_turn = tokenizer.convert_tokens_to_ids("<|im_end|>")
    expected = ask_with_transformers(export)
    for (question, answer), reply, ids in zip(QUESTIONS.items(), replies, expected, strict=True):
        chat = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        assert reply["prompt"] == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert reply["text"] == answer
        assert reply["ids"] == ids
        assert reply["ids"][-1] == end_of_turn
        assert reply["reason"] == "stop"


@needs_trl
def test_trl_trains_on_from_an_export(tmp_path: Path, export: Path) -> None:
    program = tmp_path / "train_with_trl.py"
    program.write_text(TRAIN_WITH_TRL, encoding="utf-8")
    rows: list[dict[str, Any]] = [
        {
            "prompt": [{"role": "user", "content": record["prompt"]}],
            "completion": [{"role": "assistant", "content": record["answer"]}],
        }
        for record in make_records(4)
    ]
    assert PEERS is not None
    done = python(PEERS, program, str(export), json.dumps(rows), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert 0 < said["loss"] < 20
    assert said["moved"] == said["of"]
