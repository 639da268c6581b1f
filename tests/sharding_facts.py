"""What a rank holds, reads and sends while it builds, loads and trains the model folder MODEL; into OUT-RANK.json.

torchrun --nproc-per-node N tests/sharding_facts.py MODEL OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from transformers import AutoConfig

from engine import weights
from engine.model import shard_student
from engine.optim import make_optimizer
from engine.packing import Pack
from engine.parallel import start_world
from engine.settings import TrainConfig
from engine.train import train_step


def resident_bytes() -> int:
    """Memory of this process that is not a mapped file's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


COLLECTIVES = {
    "gather": ("all_gather_single", "all_gather_into_tensor"),
    "reduce": ("reduce_scatter_single", "reduce_scatter_tensor"),
}
"""Names in torch 2.13, and before it."""


def watch(calls: list[dict[str, Any]], kind: str) -> None:
    """Notes of every call of a collective what it moves: the whole, not this rank's part."""
    name = next(name for name in COLLECTIVES[kind] if hasattr(dist, name))
    real = getattr(dist, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        whole = max(tensors, key=torch.Tensor.numel)
        op = str(kwargs.get("op", ""))
        calls.append({"kind": kind, "dtype": str(whole.dtype), "numel": whole.numel(), "op": op})
        return real(*args, **kwargs)

    setattr(dist, name, noted)


class CountedFile:
    """A safetensors file whose slices note how many bytes were asked of them."""

    asked_bytes = 0

    def __init__(self, path: Path, framework: str) -> None:
        self.context = safe_open(path, framework=framework)

    def __enter__(self) -> CountedFile:
        self.file = self.context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)

    def keys(self) -> list[str]:
        return list(self.file.keys())

    def get_slice(self, name: str) -> CountedSlice:
        return CountedSlice(self.file.get_slice(name))


class CountedSlice:
    def __init__(self, whole: Any) -> None:
        self.whole = whole
        self.get_shape = whole.get_shape

    def __getitem__(self, index: Any) -> torch.Tensor:
        part = self.whole[index]
        CountedFile.asked_bytes += part.nbytes
        return part


def row() -> Pack:
    ids_T = torch.arange(64) % 7
    return Pack(
        token_ids_T=ids_T,
        positions_T=torch.arange(64),
        borders_N1=torch.tensor([0, 64], dtype=torch.int32),
        longest=64,
        supervised_S=torch.arange(32),
        targets_S=ids_T[1:33],
        weights_S=torch.full((32,), 1 / 64),
    )


def main(model: Path, out: str) -> None:
    config = TrainConfig(precision="bf16")
    calls: list[dict[str, Any]] = []
    with start_world() as world:
        dist.barrier()  # the backend's own memory is not the model's
        before = resident_bytes()
        student = shard_student(AutoConfig.from_pretrained(model), config, world)
        weights.safe_open = CountedFile
        weights.load_weights(student, model)
        loaded = resident_bytes() - before
        for kind in COLLECTIVES:
            watch(calls, kind)
        optimizer = make_optimizer(student, 1e-4, 0.0)
        gradients: list[str] = []
        optimizer.register_step_pre_hook(
            lambda *_: gradients.extend(str(p.grad.dtype) for p in student.parameters())
        )
        outcome = train_step(student, optimizer, [row()], config, world)
        state = [v for s in optimizer.state.values() for k, v in s.items() if k != "step"]
        facts = {
            "loaded_bytes": loaded,
            "asked_bytes": CountedFile.asked_bytes,
            "shard_bytes": sum(p.to_local().nbytes for p in student.parameters()),
            "parameters": sum(p.numel() for p in student.parameters()),
            "head": student.causal_lm.lm_head.weight.numel(),
            "weights": sorted({str(p.dtype) for p in student.parameters()}),
            "gradients": sorted(set(gradients)),
            "moments": sorted({str(v.dtype) for v in state}),
            "calls": calls,
            "grad_norm": outcome.grad_norm,
        }
        Path(f"{out}-{world.rank}.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
