"""Claims: a document in a pack is computed as if it were alone, for every family the engine trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import CONFIGS
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from engine.attention import IMPLEMENTATION

LENGTHS = (7, 1, 12)


def packed_hidden(model: nn.Module, ids: list[Tensor]) -> Tensor:
    """Last hidden states of the documents in one row, [T, D]."""
    lengths = tuple(len(document) for document in ids)
    return model.model(
        input_ids=torch.cat(ids)[None],
        position_ids=torch.cat([torch.arange(length) for length in lengths])[None],
        use_cache=False,
        borders_N1=torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32),
        longest=max(lengths),
    ).last_hidden_state[0]


def documents(vocab_size: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randint(vocab_size, (length,)) for length in LENGTHS]


@pytest.fixture(params=list(CONFIGS))
def pair(
    request: pytest.FixtureRequest, tiny_models: dict[str, Path]
) -> tuple[nn.Module, nn.Module]:
    """The same weights with packed attention and with transformers' plain one."""
    folder = tiny_models[request.param]
    return (
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation=IMPLEMENTATION),
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager"),
    )


def test_packed_equals_alone_in_hidden_states_and_gradients(
    pair: tuple[nn.Module, nn.Module],
) -> None:
    packed, plain = pair
    ids = documents(plain.config.vocab_size)
    together_TD = packed_hidden(packed, ids)
    alone_TD = torch.cat(
        [plain.model(input_ids=one[None], use_cache=False).last_hidden_state[0] for one in ids]
    )
    torch.testing.assert_close(together_TD, alone_TD, atol=1e-5, rtol=1e-5)
    together_TD.square().sum().backward()
    alone_TD.square().sum().backward()
    for (name, ours), (_, theirs) in zip(
        packed.model.named_parameters(), plain.model.named_parameters(), strict=True
    ):
        assert ours.grad is not None, name
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_poisoned_neighbour_changes_nothing(pair: tuple[nn.Module, nn.Module]) -> None:
    packed, _ = pair
    first, _, last = documents(packed.config.vocab_size)
    rows = [packed_hidden(packed, [first, poison, last]) for poison in (first + 0, last.flip(0))]
    torch.testing.assert_close(rows[0][:7], rows[1][:7], atol=1e-6, rtol=0)
    torch.testing.assert_close(rows[0][-12:], rows[1][-12:], atol=1e-6, rtol=0)


def test_later_tokens_do_not_reach_earlier_ones(pair: tuple[nn.Module, nn.Module]) -> None:
    packed, _ = pair
    (ids, *_) = documents(packed.config.vocab_size)
    changed = ids.clone()
    changed[-1] = (changed[-1] + 1) % packed.config.vocab_size
    before, after = packed_hidden(packed, [ids]), packed_hidden(packed, [changed])
    torch.testing.assert_close(before[:-1], after[:-1], atol=1e-6, rtol=0)
    assert not torch.allclose(before[-1], after[-1])
