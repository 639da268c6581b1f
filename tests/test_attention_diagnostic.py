"""Claims: shares of attention are those of the model's own weights, memory is streamed, curves are honest means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_tokenizer, save_tiny_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    GptOssConfig,
)

from datagen.chat_tokens import stop_ids_of
from datagen.decoding import write_batch
from datagen.generators import Sampling
from datagen.records import Record
from evals.diagnostics.attention import DIAGNOSTIC, looked_at, summarise
from evals.diagnostics.attention_curves import (
    FIRST_STEPS,
    PARTS,
    THREE,
    cells,
    curves_of,
    in_parts,
    profile,
)
from evals.diagnostics.attention_regions import REGIONS, SELF, Context, context_of
from evals.diagnostics.attention_streaming import shares_by_layer
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis

LAYOUTS = ("single_turn", "multi_turn")
TOKENIZER = make_tokenizer()
RECORD = Record(
    id="r1",
    prompt="What is 12 + 30?",
    student_answer="The answer is 41.",
    critique="The answer is 41. is wrong: 12 + 30?",
    refined_answer="42",
)


# Weights: against transformers' own, all T×T of them


def load(folder: Path, attention: str = "sdpa") -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation=attention, dtype=torch.float32
    ).eval()


def regions_of(num_tokens: int) -> Tensor:
    return torch.randint(len(REGIONS), (num_tokens,), generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def brute_force(folder: Path, ids: list[int], regions_T: Tensor, num_rows: int) -> Tensor:
    """[L, N, R] from the whole matrices of weights."""
    attentions = load(folder, "eager")(
        torch.tensor([ids]), output_attentions=True, use_cache=False
    ).attentions
    return torch.stack(
        [
            torch.stack(
                [
                    weights[0, :, -num_rows:, regions_T == region].sum(-1).mean(0)
                    for region in range(len(REGIONS))
                ],
                dim=-1,
            )
            for weights in attentions
        ]
    )


TINY = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def saved(folder: Path, config: Any) -> Path:
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("attention")
    window = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
    return {
        "llama": save_tiny_model(top / "llama", "llama"),
        "qwen2": save_tiny_model(top / "qwen2", "qwen2"),
        "a window on one layer": save_tiny_model(top / "window", "qwen2", **window),
        "a window on all layers": save_tiny_model(top / "mixtral", "mixtral", sliding_window=5),
        "olmo2": save_tiny_model(top / "olmo2", "olmo2"),
        "gpt2": saved(top / "gpt2", GPT2Config(vocab_size=320, n_embd=16, n_layer=2, n_head=2)),
        "soft caps": saved(
            top / "gemma2",  # small enough to matter; a window on every second layer
            Gemma2Config(
                **TINY,
                head_dim=8,
                sliding_window=6,
                attn_logit_softcapping=0.05,
                query_pre_attn_scalar=1,
            ),
        ),
    }


FAMILIES = (
    "llama",
    "qwen2",
    "a window on one layer",
    "a window on all layers",
    "olmo2",
    "gpt2",
    "soft caps",
)


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_are_the_sums_of_the_model_s_own_weights(
    folders: dict[str, Path], family: str
) -> None:
    ids = torch.randint(3, 300, (40,), generator=torch.Generator().manual_seed(1)).tolist()
    regions_T = regions_of(40)
    model = load(folders[family], "eager" if family == "soft caps" else "sdpa")
    before = model.config._attn_implementation
    expected = brute_force(folders[family], ids, regions_T, 23)
    for chunk in (1, 7, 16, 100):
        shares = shares_by_layer(model, ids, regions_T, len(REGIONS), 23, chunk)
        torch.testing.assert_close(shares, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(shares.sum(-1), torch.ones(shares.shape[:2]), atol=1e-5, rtol=0)
    assert model.config._attn_implementation == before


def test_a_window_hides_what_lies_before_it(folders: dict[str, Path]) -> None:
    """The last queries of a long text see no early token, and their shares still sum to 1."""
    regions_T = torch.tensor([0] * 20 + [4] * 20)
    model = load(folders["a window on all layers"])
    shares = shares_by_layer(model, [5] * 40, regions_T, len(REGIONS), 10)
    assert not shares[..., 0].any()
    torch.testing.assert_close(shares[..., 4], torch.ones(2, 10), atol=1e-5, rtol=0)


def test_a_model_whose_attention_cannot_be_replaced_is_refused(folders: dict[str, Path]) -> None:
    model = load(folders["llama"])
    model.base_model.layers[1].self_attn.forward = lambda hidden_states, **_: (hidden_states, None)
    with pytest.raises(ValueError, match="1 of 2 layers of LlamaForCausalLM"):
        shares_by_layer(model, [5] * 9, regions_of(9), len(REGIONS), 3)
    assert model.config._attn_implementation == "sdpa"


OTHERS = {
    "attention of its own": (
        BloomConfig(vocab_size=320, hidden_size=16, n_layer=2, n_head=2),
        "0 of 2 layers of BloomForCausalLM",
    ),
    "attention sinks": (
        GptOssConfig(**TINY, num_local_experts=2, num_experts_per_tok=1, head_dim=8),
        "attention sinks and position biases are not computed",
    ),
}


@pytest.mark.parametrize(("config", "said"), OTHERS.values(), ids=OTHERS)
def test_attention_of_other_kinds_is_refused(config: Any, said: str) -> None:
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with pytest.raises(ValueError, match=said):
        shares_by_layer(model, [5] * 9, regions_of(9), len(REGIONS), 3)


class LargestTensor(TorchDispatchMode):
    """Records the most numbers that any tensor made here has."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [
            x.untyped_storage().nbytes() // 4 for x in tree_leaves(made) if isinstance(x, Tensor)
        ]
        self.numbers = max([self.numbers, *sizes])
        return made


@pytest.mark.parametrize("windowed", [False, True])
def test_no_tensor_is_as_large_as_tokens_squared(tmp_path: Path, windowed: bool) -> None:
    """The largest one is heads × chunk × tokens, and shrinks with the chunk."""
    tokens, heads = 2048, 4
    windows = {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 0}
    model = load(save_tiny_model(tmp_path, "qwen2", **(windows if windowed else {})))
    for chunk in (32, 64):
        with LargestTensor() as largest:
            shares_by_layer(model, [5] * tokens, regions_of(tokens), len(REGIONS), 1500, chunk)
        # bool masks are counted in units of four bytes too
        assert heads * chunk * tokens <= largest.numbers <= heads * chunk * tokens + tokens
        assert largest.numbers < tokens**2 / 4


# Texts: what is generated, and from where it is looked at


def task_of(folder: Path, **changes: Any) -> Diagnosis:
    records = (RECORD, replace(RECORD, id="r2", prompt="What is 7 + 5? " * 3))
    task = Diagnosis(
        model=folder,
        chat_template=None,
        layout="single_turn",
        records=records,
        seed=0,
        max_tokens=12,
        max_length=1024,
        batch_size=2,
        device="cpu",
        folder=folder,
        judge=None,
        say=lambda _: None,
    )
    return replace(task, **changes)


def by_id(rows: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows}


@torch.inference_mode()
def step_by_step(model: Any, context: Context, num_steps: int) -> tuple[list[int], Tensor]:
    """(token ids, shares [L, N, R]) of a greedy text, each token from a pass of its own over all before it."""
    ids, steps = list(context.token_ids), []
    for _ in range(num_steps):
        output = model(torch.tensor([ids]), output_attentions=True, use_cache=False)
        regions = torch.tensor([*context.region_T.tolist(), *[SELF] * len(ids)])[: len(ids)]
        last_LT = torch.stack([weights[0, :, -1].mean(0) for weights in output.attentions])
        steps.append(
            torch.stack([last_LT[:, regions == r].sum(-1) for r in range(len(REGIONS))], dim=-1)
        )
        ids.append(int(output.logits[0, -1].argmax()))
    return ids[len(context.token_ids) :], torch.stack(steps, dim=1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_row_says_what_writing_token_by_token_attends_to(
    folders: dict[str, Path], family: str, layout: str
) -> None:
    task = task_of(folders[family], layout=layout)
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    rows = by_id(DIAGNOSTIC.measure(task, task.records))
    for record in task.records:
        context = context_of(tokenizer, record.to_json(), layout)
        row = rows[record.id]
        assert row["steps"] > 1
        _, shares = step_by_step(load(task.model, "eager"), context, row["steps"])
        for name, expected in profile(shares).items():
            np.testing.assert_allclose(row[name], expected, atol=1e-5, err_msg=name)
        assert shares[:, 0, SELF].eq(0).all(), "the first step sees nothing generated"
        assert sum(row["tokens"].values()) == len(context.token_ids)
        np.testing.assert_allclose(np.sum(row["by_layer"], axis=-1), 1, atol=1e-5)


def test_the_end_of_the_turn_is_a_step_and_nobody_looks_from_it(folders: dict[str, Path]) -> None:
    """Whichever token ends the text: the third that the model writes is declared the stop token."""
    model = load(folders["llama"])
    context = context_of(TOKENIZER, RECORD.to_json(), "single_turn")
    first, shares = step_by_step(load(folders["llama"], "eager"), context, 3)
    assert first[2] not in first[:2], "the model does not write it before"
    (written,) = write_batch(
        model, [context.token_ids], [0], Sampling(max_tokens=9), frozenset(first[2:])
    )
    assert (written.token_ids, written.finish_reason) == (first[:2], "stop")
    row = looked_at(model, context, written)
    assert (row["steps"], row["ended_by"]) == (3, "stop")
    np.testing.assert_allclose(row["by_step"], profile(shares)["by_step"], atol=1e-5)


def test_the_batch_changes_nothing(folders: dict[str, Path]) -> None:
    one, two = (task_of(folders["llama"], batch_size=size) for size in (1, 2))
    alone, together = (by_id(DIAGNOSTIC.measure(task, task.records)) for task in (one, two))
    assert alone.keys() == together.keys()
    for record_id, row in alone.items():
        np.testing.assert_allclose(row["by_step"], together[record_id]["by_step"], atol=1e-5)


def test_a_context_without_room_is_left_out_with_its_reason(folders: dict[str, Path]) -> None:
    longer = replace(RECORD, id="long", critique="wrong " * 600)
    task = task_of(folders["llama"], records=(longer, RECORD))
    rows = by_id(DIAGNOSTIC.measure(task, task.records))
    reason = "with diagnose.max_tokens = 12 longer than the model's 1024 positions"
    assert rows["long"][LEFT_OUT] == reason
    assert LEFT_OUT not in rows["r1"]


def test_stop_tokens_are_those_of_the_generators(folders: dict[str, Path]) -> None:
    assert TOKENIZER.eos_token_id in stop_ids_of(TOKENIZER, folders["llama"])


# Curves


def random_rows(lengths: list[int]) -> list[dict[str, Any]]:
    torch.manual_seed(2)
    counts = dict(zip(REGIONS[:4], (10, 20, 30, 5), strict=True))
    return [
        {"id": str(n), "steps": n, "ended_by": "stop", "tokens": counts}
        | profile(torch.rand(3, n, 5).softmax(-1))
        for n in lengths
    ]


def test_parts_are_means_and_a_step_across_a_border_is_divided() -> None:
    steps = torch.arange(6.0, dtype=torch.float64)[:, None]
    torch.testing.assert_close(in_parts(steps, 3).flatten(), torch.tensor([0.5, 2.5, 4.5]).double())
    halves = in_parts(torch.tensor([[0.0], [3.0], [6.0]]).double(), 2)
    torch.testing.assert_close(halves, torch.tensor([[1.0], [5.0]]).double())
    torch.testing.assert_close(in_parts(steps[3:4], PARTS), torch.full((PARTS, 1), 3.0).double())


def test_a_curve_s_point_is_the_mean_over_texts_with_student_s_interval() -> None:
    rows = random_rows([5, 9, 30])
    values = [row["by_layer"][1][2] for row in rows]
    mean, reach = np.mean(values), 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    expected = [mean, max(0, mean - reach), mean + reach]
    np.testing.assert_allclose(curves_of(rows)["by_layer"]["critique"][1], expected, rtol=1e-5)


def test_shares_of_three_sum_to_one_and_are_divided_out_before_averaging() -> None:
    rows = random_rows([5, 9, 30])
    curves = curves_of(rows)["of_three"]
    for name in ("by_layer", "by_step", "by_progress", "by_phase"):
        sums = sum(np.array([point[0] for point in curves[name][r]]) for r in THREE)
        np.testing.assert_allclose(sums, 1, atol=1e-6)
    lopsided = [[0.2, 0.0, 0.0, 0.8, 0], [0.01, 0.02, 0.01, 0.96, 0], [0, 0, 0, 1, 0]]
    assert cells(lopsided, THREE)["problem"][0] == pytest.approx((1 + 0.25) / 2)


@pytest.mark.parametrize(
    ("lengths", "shown", "texts"),
    [((4, 6, 9), 6, [3] * 4 + [2] * 2), ((70, 90), FIRST_STEPS, [2] * 64)],
)
def test_single_steps_are_shown_as_far_as_half_of_the_texts_reach(
    lengths: tuple[int, ...], shown: int, texts: list[int]
) -> None:
    by_step = curves_of(random_rows(list(lengths)))["by_step"]
    assert by_step["steps"] == list(range(1, shown + 1))
    assert by_step["texts"] == texts
    assert len(by_step["problem"]) == shown


def test_the_result_is_plain_json_and_names_what_was_cut() -> None:
    rows = [*random_rows([5, 9]), random_rows([8])[0] | {"ended_by": "length"}]
    result = summarise(task_of(Path("x")), rows)
    json.dumps([result.figures, result.curves], allow_nan=False)
    assert {"problem", "critique.low", "template", "self.high", "of_three.critique"} <= (
        result.figures.keys()
    )
    assert result.figures["tokens_of_three.critique"] == pytest.approx(0.5)
    assert sum(result.figures[region] for region in REGIONS) == pytest.approx(1, abs=1e-5)
    assert any("1 of 3 texts were cut at 12 tokens" in note for note in result.notes)


def test_one_text_has_no_interval() -> None:
    (row,) = random_rows([5])
    assert curves_of([row])["by_phase"]["self"][0][1:] == [None, None]
    assert "problem.low" not in summarise(task_of(Path("x")), [row]).figures
