"""vLLM's engine, as much of it as is needed here; the one place where vLLM is imported.

    EngineSettings -> start_engine -> Engine:  add(Order) ...  step() -> [Ended, ...]  ...  close()

The engine works in processes of its own: `add` hands a request over and returns, `step` waits for the
engine's next step and says which texts it ended. What vLLM raises becomes a ValueError that says what
to do. Every sampling parameter is given, so that no default of a model's generation config creeps in;
a server does the same with `--generation-config vllm`.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, Protocol

from datagen.generators import Sampling
from datagen.reasons import first_line

ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    # A fork of a process that has threads, or has looked at its GPUs, may hang.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # On a CPU: GiB for the keys and values of all chats; unset, vLLM takes most of the machine.
    "VLLM_CPU_KVCACHE_SPACE": "4",
}
"""What vLLM reads when it is imported, and its processes when they start; the user's own values stay."""
WHILE_STARTING = {"PYTHONWARNINGS": "ignore", "TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Likewise for the libraries in its processes, but not for other processes of ours."""


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """What an engine is started with."""

    folder: Path
    dtype: str
    stop_ids: frozenset[int]
    """Tokens that end a text; they are not part of it."""
    tensor_parallel: int = 1
    max_model_len: int | None = None
    gpu_memory_utilization: float = 0.9
    on_gpu: bool = False


@dataclass(frozen=True)
class Order:
    """A tokenised chat that waits for its next turn."""

    ticket: int
    prompt: list[int]
    sampling: Sampling
    seed: int
    priority: int = 0
    """Lower ones are begun first; among equals, the one that came first."""


@dataclass(frozen=True)
class Ended:
    """A text that the engine has ended."""

    ticket: int
    text: str
    reason: str
    """`stop`, `length`, or the engine's word for something else."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class Refused(Exception):
    """The engine does not take this request; it is well, and takes others."""


class Engine(Protocol):
    """What a session asks of an engine."""

    max_model_len: int
    """Longest chat, prompt and text together."""

    def add(self, order: Order) -> None:
        """Hands a request over. Raises Refused where the engine does not take it."""
        ...

    def step(self) -> list[Ended]:
        """Waits for one step of the engine; the texts that ended with it. Only while something is unfinished."""
        ...

    def abandon(self, tickets: Iterable[int]) -> None:
        """Forgets requests that are unfinished."""
        ...

    def close(self) -> None:
        """Ends the engine's processes, and with them frees its memory."""
        ...


def require_vllm() -> None:
    """Says how vLLM is installed, where it is not."""
    if find_spec("vllm") is None:
        raise ValueError(
            'backend = "vllm": vLLM is not installed here. On a machine with GPUs: '
            "pip install 'critique-guided-distillation[vllm]'; on a CPU, launch/vllm_environment.sh "
            "makes an environment for it. Or run vLLM's server anywhere, and name it with base_url"
        )


def start_engine(settings: EngineSettings) -> Engine:
    """Loads the model; takes from half a minute to several."""
    require_vllm()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if os.environ["VLLM_LOGGING_LEVEL"] == "ERROR":
        logging.getLogger("vllm").setLevel(logging.ERROR)  # it warns before it reads its settings
    ours = {name: value for name, value in WHILE_STARTING.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        return VLLMEngine(settings)
    except Exception as error:  # settings, memory, architecture: vLLM has an error for each
        raise ValueError(
            f"vLLM does not start with {settings.folder}: {first_line(error)}; its processes say more "
            "above, and with VLLM_LOGGING_LEVEL=INFO"
        ) from error
    finally:
        for name in ours:
            del os.environ[name]


class VLLMEngine:
    """`vllm.LLM`, taken by its steps instead of by its lists, because a list gives nothing before its end."""

    def __init__(self, settings: EngineSettings) -> None:
        from vllm import LLM

        self._settings = settings
        others = {process.pid for process in multiprocessing.active_children()}
        self.llm: Any = LLM(  # open to `cgd bench generate`, which measures it alone
            str(settings.folder),
            dtype=settings.dtype,
            tensor_parallel_size=settings.tensor_parallel,
            max_model_len=settings.max_model_len,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            enable_prefix_caching=True,
            scheduling_policy="priority",
            # Compiling takes minutes; on a CPU it brings nothing for them.
            enforce_eager=not settings.on_gpu,
            # A prompt read in two parts, with a seed, kills the engine on a CPU: its random
            # numbers cannot be put back by the draw that the first part wastes (vLLM 0.32).
            enable_chunked_prefill=settings.on_gpu,
            use_tqdm_on_load=False,
        )
        self.max_model_len: int = self.llm.model_config.max_model_len
        queue = getattr(self.llm.llm_engine.engine_core, "outputs_queue", None)
        processes = [p for p in multiprocessing.active_children() if p.pid not in others]
        if queue is not None and processes:
            threading.Thread(target=end_wait, args=(queue, processes), daemon=True).start()

    def add(self, order: Order) -> None:
        """Hands a request over."""
        prompt = {"type": "token", "prompt_token_ids": order.prompt}
        parameters = self.parameters(order)
        try:
            self.llm.llm_engine.add_request(
                str(order.ticket), prompt, parameters, priority=order.priority
            )
        except ValueError as error:
            raise Refused(first_line(error)) from error
        except Exception as error:
            self._fail(error)

    def parameters(self, order: Order) -> Any:
        """vLLM's `SamplingParams`, every one that matters given."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=order.sampling.temperature,
            top_p=order.sampling.top_p,
            max_tokens=order.sampling.max_tokens,
            seed=order.seed,
            stop_token_ids=sorted(self._settings.stop_ids),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def step(self) -> list[Ended]:
        """Waits for one step of the engine; the texts that ended with it."""
        try:
            outputs = self.llm.llm_engine.step()
        except Exception as error:
            self._fail(error)
        return [ended(output) for output in outputs if output.finished]

    def abandon(self, tickets: Iterable[int]) -> None:
        """Forgets requests that are unfinished."""
        self.llm.llm_engine.abort_request([str(ticket) for ticket in tickets])

    def close(self) -> None:
        """Ends the engine's processes."""
        if self.llm is not None:
            self.llm.llm_engine.engine_core.shutdown()
            self.llm = None
            gc.collect()  # the engine's parts know each other: they are not freed before

    def _fail(self, error: Exception) -> NoReturn:
        raise ValueError(
            f"vLLM's engine stopped while it wrote: {first_line(error)}. The texts that were finished are "
            "safe, and the same command goes on from them. If this was a lack of memory, lower "
            "gpu_memory_utilization or max_model_len"
        ) from error


def end_wait(queue: Any, processes: Sequence[Any]) -> None:
    """Wakes who waits for outputs once the engine's process has ended. vLLM itself says it of a crash, but waits for
    ever when the process was killed, as by a system that is out of memory."""
    multiprocessing.connection.wait([process.sentinel for process in processes])
    queue.put_nowait(RuntimeError("its process was killed"))


def ended(output: Any) -> Ended:
    """vLLM's `RequestOutput` in our words."""
    [text] = output.outputs
    return Ended(
        int(output.request_id),
        text.text,
        str(text.finish_reason),
        len(output.prompt_token_ids),
        len(text.token_ids),
        output.num_cached_tokens or 0,
    )
