"""The devices of vLLM's engine: enough GPUs for one copy of the model, or cores of its own on a CPU.

vLLM refuses several copies of a model in one process, so each worker is a process. Its GPUs are those that
CUDA_VISIBLE_DEVICES shows it; without GPUs every engine would bind itself to the same cores, so these
are divided: worker 1 of 2 on eight cores gets VLLM_CPU_OMP_THREADS_BIND=4,5,6,7 before it starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

CORES = "VLLM_CPU_OMP_THREADS_BIND"


def require_devices(tensor_parallel: int) -> None:
    """Says that there are too few GPUs, before a model is loaded."""
    count = torch.cuda.device_count()
    if 0 < count < tensor_parallel:
        raise ValueError(
            f"tensor_parallel = {tensor_parallel} needs as many GPUs; this process sees {count}"
        )


def cores_of_worker(index: int, workers: int, cores: Sequence[int] | None = None) -> dict[str, str]:
    """The environment variable that gives worker `index` of `workers` cores of its own; none for one worker.

    `cores` are those that this process may use, unless they are given.
    """
    if workers == 1 or CORES in os.environ:
        return {}
    cores = sorted(os.sched_getaffinity(0)) if cores is None else cores
    own = cores[index * len(cores) // workers : (index + 1) * len(cores) // workers]
    own = own or [cores[index % len(cores)]]  # more workers than cores
    return {CORES: ",".join(map(str, own))}
