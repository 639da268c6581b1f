"""The bridge to lm-evaluation-harness: its samples become our rows, and it is never needed otherwise."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evals import lm_eval_bridge
from evals.lm_eval_bridge import HARNESS, Harness, figures, model_of, rows_of, run_task
from evals.run import EvaluateConfig, evaluate
from evals.scores import in_short, score_rows

needs_harness = pytest.mark.skipif(
    find_spec("lm_eval") is None or find_spec("accelerate") is None,
    reason="lm-evaluation-harness is not installed",
)

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "tiny": [
        {
            "doc_id": n,
            "target": "2",
            "arguments": [("1 + 1?", {})],
            "resps": [["it is 2"]],
            "filtered_resps": ["2"],
            "filter": "flexible-extract",
            "exact_match": score,
        }
        for n, score in enumerate([1.0, 0.0, 0.5])
    ]
}
TINY = Harness("tiny", "tiny", "exact_match", False, "flexible-extract")


def test_samples_of_the_harness_become_rows_that_scores_read() -> None:
    rows = list(rows_of(TINY, SAMPLES, 0, "key"))
    assert [row["correct"] for row in rows] == [True, False, None]
    assert [row["id"] for row in rows] == ["tiny/0", "tiny/1", "tiny/2"]
    assert rows[0]["output"] == "it is 2"
    assert rows[0]["extracted"] == "2"
    score = score_rows(rows) | figures(TINY, rows)
    assert score["accuracy"] == 0.5, "the harness's own marks, fractions included"
    assert score["truncation_rate"] is None, "not known is not zero"
    assert score["judged"] == 3, "a mark may be a fraction"
    assert in_short(score).startswith("50.0 % right [")


def test_another_filter_is_not_mixed_in() -> None:
    other = {"tiny": [{**SAMPLES["tiny"][0], "filter": "strict-match"}]}
    assert list(rows_of(TINY, other, 0, "key")) == []


def test_a_missing_harness_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        identity = {"backend": "test", "model": "silent"}  # noqa: RUF012

        def generate(self, *_: object) -> object:
            raise AssertionError("asked")

    monkeypatch.setattr(lm_eval_bridge, "find_spec", lambda _: None)
    config = EvaluateConfig(benchmarks=("arithmetic", "ifeval"), limit=1)
    with pytest.raises(ValueError, match="pip install lm-eval"):
        evaluate("base", Silent(), config, tmp_path)  # type: ignore[arg-type]


def test_a_chat_server_is_asked_for_text_and_never_for_likelihoods() -> None:
    server = {"backend": "openai", "model": "m", "base_url": "http://localhost:8000/v1/"}
    kind, arguments = model_of(HARNESS["ifeval"], server)
    assert kind == "local-chat-completions"
    assert arguments["base_url"] == "http://localhost:8000/v1/chat/completions"
    with pytest.raises(ValueError, match="musr compares likelihoods"):
        model_of(HARNESS["musr"], server)
    with pytest.raises(ValueError, match="'scripted'"):
        model_of(HARNESS["ifeval"], {"backend": "scripted", "model": ""})


def test_a_chat_template_from_elsewhere_is_refused(tiny_student: Path) -> None:
    identity = {"backend": "transformers", "model": str(tiny_student)}
    model_of(HARNESS["ifeval"], identity)
    with pytest.raises(ValueError, match="chat_template names another"):
        model_of(HARNESS["ifeval"], identity | {"chat_template_sha256": "0" * 64})


@needs_harness
@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [False, True])
def test_a_tiny_task_runs_on_a_model_folder(
    tmp_path: Path, tiny_student: Path, likelihood: bool
) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [{"question": f"{n} + 1?", "choices": ["one", "two"], "answer": n % 2} for n in range(3)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": "tiny_local",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
    }
    if likelihood:
        task |= {"output_type": "multiple_choice", "doc_to_choice": "{{choices}}"}
        task |= {"doc_to_target": "answer", "metric_list": [{"metric": "acc"}]}
    else:
        task |= {"output_type": "generate_until", "doc_to_target": "{{choices[answer]}}"}
        task |= {"metric_list": [{"metric": "exact_match"}]}
        task |= {"generation_kwargs": {"until": [], "max_gen_toks": 4}}
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(json.dumps(task), encoding="utf-8")  # JSON is YAML
    harness = Harness("tiny", "tiny_local", "acc" if likelihood else "exact_match", likelihood)
    identity = {"backend": "transformers", "model": str(tiny_student)}
    target, said = tmp_path / "evals", list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, score = run_task(
            harness, identity, EvaluateConfig(batch_size=2), 0, target, said.append, folder
        )
    assert len(made) == 3
    assert score["accuracy"] == pytest.approx(sum(row["score"] for row in made) / 3)
    assert "<|im_start|>user\n0 + 1?" in made[0]["prompt"], "through the model's chat template"
    again = run_task(harness, identity, EvaluateConfig(batch_size=2), 0, target, said.append)
    assert again == (made, score)
    assert "are there already" in said[-1]
