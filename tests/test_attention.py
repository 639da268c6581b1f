"""Claims: a document in a pack is computed as if it were alone, for every family, kernel and way of recomputing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import CONFIGS, save_tiny_model
from torch import Tensor, nn
from torch.nn.attention import varlen
from transformers import AutoModelForCausalLM

from engine import attention
from engine.attention import IMPLEMENTATION, has_kernel
from engine.parallel import prepare_blocks, recompute_activations

LENGTHS = (7, 5, 1, 12)
POISONED = slice(7, 12)
"""Where the second document lies in a row."""

Models = tuple[nn.Module, nn.Module]


def positions(lengths: tuple[int, ...]) -> Tensor:
    return torch.cat([torch.arange(length) for length in lengths])[None]


def borders(lengths: tuple[int, ...], repeats: int = 0) -> Tensor:
    ends = torch.tensor(lengths).cumsum(0).tolist()
    return torch.tensor([0, *ends, *ends[-1:] * repeats], dtype=torch.int32)


def packed_logits(model: nn.Module, ids: list[Tensor], **more: Any) -> Tensor:
    """Logits of the documents in one row, [T, V]."""
    lengths = tuple(len(document) for document in ids)
    given = {
        "input_ids": torch.cat(ids)[None],
        "position_ids": positions(lengths),
        "borders_N1": borders(lengths),
        "longest": max(lengths),
    }
    return model(**{**given, **more}, use_cache=False).logits[0]


def alone_logits(model: nn.Module, ids: list[Tensor]) -> Tensor:
    return torch.cat([model(input_ids=one[None], use_cache=False).logits[0] for one in ids])


def documents(vocab_size: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randint(vocab_size, (length,)) for length in LENGTHS]


def load_pair(folder: Path) -> Models:
    """The same weights with packed attention and with transformers' plain one."""
    names = (IMPLEMENTATION, "eager")
    packed, plain = (
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation=n) for n in names
    )
    return packed.train(), plain.train()


@pytest.fixture(params=list(CONFIGS))
def pair(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Models:
    return load_pair(tiny_models[request.param])


def assert_packed_equals_alone(packed: nn.Module, plain: nn.Module) -> None:
    """Logits, and the gradients of every weight."""
    ids = documents(plain.config.vocab_size)
    together_TV, alone_TV = packed_logits(packed, ids), alone_logits(plain, ids)
    torch.testing.assert_close(together_TV, alone_TV, atol=1e-5, rtol=1e-5)
    for model, logits_TV in ((packed, together_TV), (plain, alone_TV)):
        model.zero_grad()
        F.cross_entropy(logits_TV, torch.cat(ids)).backward()
    theirs = dict(plain.named_parameters())
    for name, ours in packed.named_parameters():
        assert theirs[name].grad is not None, name
        torch.testing.assert_close(ours.grad, theirs[name].grad, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("recomputed", ["none", "selective", "full"])
def test_packed_equals_alone_in_logits_and_gradients(pair: Models, recomputed: Any) -> None:
    """Mixtral's router is among the weights: reentrant recomputation would get its gradients wrong."""
    packed, plain = pair
    recompute_activations(packed.model.layers, recomputed)
    assert_packed_equals_alone(packed, plain)


def test_recomputation_changes_no_bit_of_a_gradient(pair: Models) -> None:
    model, _ = pair
    ids = documents(model.config.vocab_size)
    gradients = []
    for mode in ("none", "selective", "full"):
        again = AutoModelForCausalLM.from_pretrained(
            model.config.name_or_path, attn_implementation=IMPLEMENTATION
        )
        recompute_activations(again.model.layers, mode)
        packed_logits(again, ids).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in again.named_parameters()})
    for name, kept in gradients[0].items():
        assert all(torch.equal(kept, recomputed[name]) for recomputed in gradients[1:]), name


def poisons(embedded_1TD: Tensor) -> list[Tensor]:
    """Rows that differ in the second document alone: another one, and one of huge numbers."""
    others = [-embedded_1TD[:, POISONED], torch.full_like(embedded_1TD[:, POISONED], 1e6)]
    return [
        torch.cat(
            [embedded_1TD[:, : POISONED.start], other, embedded_1TD[:, POISONED.stop :]], dim=1
        )
        for other in others
    ]


def test_poisoned_neighbour_changes_no_bit_of_the_others(pair: Models) -> None:
    """Neither their logits nor, where it is not trained on itself, any gradient."""
    model, _ = pair
    ids = documents(model.config.vocab_size)
    embedded_1TD = model.get_input_embeddings()(torch.cat(ids)[None]).detach()
    others = torch.ones(sum(LENGTHS), dtype=torch.bool)
    others[POISONED] = False
    seen = []
    for row_1TD in (embedded_1TD, *poisons(embedded_1TD)):
        row_1TD.requires_grad_()
        model.zero_grad()
        logits_TV = packed_logits(model, ids, input_ids=None, inputs_embeds=row_1TD)[others]
        F.cross_entropy(logits_TV, torch.cat(ids)[others]).backward()
        assert row_1TD.grad is not None
        assert not row_1TD.grad[:, POISONED].any(), "the loss of the others reaches the neighbour"
        gradients = [weight.grad for weight in model.model.layers.parameters()]
        seen.append([logits_TV.detach(), row_1TD.grad[:, others], *gradients])
    # Mixtral multiplies the tokens of an expert together: the neighbour's change the shapes, and so the rounding.
    tolerance = 1e-6 if model.config.model_type == "mixtral" else 0
    for poisoned in seen[1:]:
        for clean, ours in zip(seen[0], poisoned, strict=True):
            torch.testing.assert_close(ours, clean, atol=tolerance, rtol=0)


def test_second_of_two_equal_documents_is_computed_as_the_first(pair: Models) -> None:
    model, _ = pair
    (first, *_) = documents(model.config.vocab_size)
    logits_TV = packed_logits(model, [first, first])
    torch.testing.assert_close(logits_TV[:7], logits_TV[7:], atol=1e-6, rtol=0)


def test_later_tokens_do_not_reach_earlier_ones(pair: Models) -> None:
    model, _ = pair
    (ids, *_) = documents(model.config.vocab_size)
    changed = ids.clone()
    changed[-1] = (changed[-1] + 1) % model.config.vocab_size
    before, after = packed_logits(model, [ids]), packed_logits(model, [changed])
    torch.testing.assert_close(before[:-1], after[:-1], atol=1e-6, rtol=0)
    assert not torch.allclose(before[-1], after[-1])


def test_sliding_window_of_the_model_is_kept(tmp_path: Path) -> None:
    narrow, wide = (
        load_pair(save_tiny_model(tmp_path / str(window), "mixtral", sliding_window=window))
        for window in (4, 12)
    )
    assert_packed_equals_alone(*narrow)
    assert_packed_equals_alone(*wide)
    (*_, longest) = documents(320)
    assert not torch.allclose(
        packed_logits(narrow[0], [longest])[-1], packed_logits(wide[0], [longest])[-1]
    )


@pytest.fixture
def without_code_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's tracing alone: generating code takes a minute here; test_train.py does it once."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


def programs_compiled(packed: nn.Module, plain: nn.Module) -> list[int]:
    """How many programs there are after each of several rows of different shapes."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    ids = documents(packed.config.vocab_size)
    counts = []
    for row in (ids, ids[::2], [*ids, *ids], [ids[3], ids[0]], [torch.cat(ids)] * 3):
        torch.testing.assert_close(
            packed_logits(packed, row), alone_logits(plain, row), atol=1e-5, rtol=1e-5
        )
        packed_logits(packed, row).sum().backward()
        counts.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert_packed_equals_alone(packed, plain)
    return counts


@pytest.mark.usefixtures("without_code_generation")
@pytest.mark.parametrize("recomputed", ["none", "selective", "full"])
def test_compiled_blocks_share_their_programs_and_rows_of_new_lengths_need_no_others(
    tiny_models: dict[str, Path], recomputed: Any
) -> None:
    """On a CPU attention breaks the graph: two pieces of a block and two of its attention, for both blocks together."""
    packed, plain = load_pair(tiny_models["llama"])
    prepare_blocks(packed.model.layers, recomputed, compiled=True, one_graph=False)
    first, *others = programs_compiled(packed, plain)
    assert first == 4
    assert len(set(others)) == 1, "the second row's programs take any length"


# The kernel for all documents, which needs CUDA: here the installed operator with a CPU implementation of our own


def attention_weights(
    query: Tensor, key: Tensor, borders: Tensor, scale: float, window: list[int]
) -> Tensor:
    """[H, T, T], with a mask in place of flash attention's loops."""
    place = torch.arange(len(query))
    document = torch.bucketize(place, borders[1:], right=True)
    distance = place[:, None] - place[None]
    sees = (document[:, None] == document[None]) & (distance >= -window[1])
    if window[0] >= 0:
        sees &= distance <= window[0]
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    return scores.masked_fill(~sees, -torch.inf).softmax(-1)


def copied(key_or_value: Tensor, query: Tensor) -> Tensor:
    """Grouped heads, one for each of the query's."""
    return key_or_value.repeat_interleave(query.shape[1] // key_or_value.shape[1], dim=1)


def kernel_on_cpu(
    query: Tensor, key: Tensor, value: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int,
    causal: bool = False, scale: float | None = None, window: list[int] | None = None, *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """With the demands flash attention makes on its arguments."""
    assert query.ndim == key.ndim == value.ndim == 3
    assert all(x.stride(-1) == 1 for x in (query, key, value))
    assert cu_q.dtype == torch.int32
    assert torch.equal(cu_q, cu_k)
    assert cu_q[-1] == len(query) == len(key)
    assert max_q == max_k >= cu_q.diff().max()
    assert scale is not None
    assert window is not None
    weights = attention_weights(query, copied(key, query), cu_q, scale, window)
    attended = torch.empty_like(query)  # in the query's layout, as the compiler is told
    attended.copy_(torch.einsum("hqk,khd->qhd", weights, copied(value, query)))
    return (
        attended,
        torch.zeros(query.shape[1], len(query)),
        torch.zeros(2).to(torch.uint64),
    )


def kernel_backward_on_cpu(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor,
    cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int, causal: bool, state: Tensor,
    scale: float, window: list[int],
) -> tuple[Tensor, ...]:  # fmt: skip
    weights = attention_weights(query, copied(key, query), cu_q, scale, window)
    grad_weights = torch.einsum("qhd,khd->hqk", grad, copied(value, query))
    inner = (weights * grad_weights).sum(-1, keepdim=True)
    grad_scores = weights * (grad_weights - inner) * scale
    groups = (len(key), key.shape[1], -1, key.shape[2])
    gradients = (
        torch.einsum("hqk,khd->qhd", grad_scores, copied(key, query)),
        torch.einsum("hqk,qhd->khd", grad_scores, query).reshape(groups).sum(2),
        torch.einsum("hqk,qhd->khd", weights, grad).reshape(groups).sum(2),
    )
    heads = (query, key, value)
    return tuple(torch.empty_like(x).copy_(g) for x, g in zip(heads, gradients, strict=True))


varlen._varlen_attn.register_kernel("cpu")(kernel_on_cpu)
varlen._varlen_attn_backward.register_kernel("cpu")(kernel_backward_on_cpu)


@pytest.fixture
def with_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "has_kernel", lambda *_: True)


@pytest.mark.usefixtures("with_kernel", "without_code_generation")
@pytest.mark.parametrize("recomputed", ["none", "selective", "full"])
def test_with_one_kernel_a_block_is_one_program_for_all_blocks_and_rows(
    tiny_models: dict[str, Path], recomputed: Any
) -> None:
    packed, plain = load_pair(tiny_models["llama"])
    prepare_blocks(packed.model.layers, recomputed, compiled=True, one_graph=True)
    first, *others = programs_compiled(packed, plain)
    assert first == 1
    assert others == [others[0]] * 4


@pytest.mark.usefixtures("with_kernel")
def test_with_one_kernel_packed_equals_alone(pair: Models) -> None:
    assert_packed_equals_alone(*pair)


@pytest.mark.usefixtures("with_kernel")
def test_with_one_kernel_the_sliding_window_is_kept(tmp_path: Path) -> None:
    assert_packed_equals_alone(
        *load_pair(save_tiny_model(tmp_path / "m", "mixtral", sliding_window=4))
    )


@pytest.mark.usefixtures("with_kernel")
def test_with_one_kernel_repeated_borders_and_a_generous_longest_change_nothing(
    pair: Models,
) -> None:
    """As in rows padded to one shape (packing.FixedShape), so that compiled code sees the same shapes in every row."""
    model, _ = pair
    ids = documents(model.config.vocab_size)
    padded = packed_logits(model, ids, borders_N1=borders(LENGTHS, repeats=5), longest=64)
    assert torch.equal(padded, packed_logits(model, ids))


@pytest.mark.parametrize(
    ("on_cuda", "dtype", "head_width", "expected"),
    [
        (True, torch.bfloat16, 128, True),
        (True, torch.float32, 128, False),
        (True, torch.bfloat16, 320, False),
        (True, torch.bfloat16, 20, False),
        (False, torch.bfloat16, 128, False),
    ],
)
def test_what_the_kernel_cannot_do_goes_document_by_document(
    on_cuda: bool, dtype: torch.dtype, head_width: int, expected: bool
) -> None:
    assert has_kernel(on_cuda, dtype, head_width) is expected
