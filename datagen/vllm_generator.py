"""The vLLM generator: a model folder or hub id, written by vLLM's engine on this machine's GPUs, or on a CPU.

    TeacherConfig -> VLLMGenerator -> open() -> VLLMSession -> VLLMEngine

It sees what the transformers generator sees: the same tokens, the same stop tokens, the same
fingerprint. The weights are loaded with the first request, because often nothing is left to write. An
opened session owns the engine and frees it when it is closed, so that another model can be loaded;
`generate` keeps it for the next list, as long as the generator lives.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import torch

from datagen.backends import TeacherConfig
from datagen.chat_tokens import load_tokenizer, stop_ids_of, template_sha256
from datagen.generators import Completion, Request, Sampling, Session
from datagen.model_folder import find_model, fingerprint
from datagen.sessions import write_all
from datagen.vllm_devices import require_devices
from datagen.vllm_engine import Engine, EngineSettings, require_vllm, start_engine
from datagen.vllm_session import VLLMSession


class VLLMGenerator:
    """A model folder or hub id that answers chats in vLLM's engine."""

    def __init__(self, config: TeacherConfig) -> None:
        assert config.model is not None  # the config has seen to that
        folder = find_model(config.model, config.revision)
        on_gpu = torch.cuda.is_available()
        self.tokenizer = load_tokenizer(folder, config.model, config.chat_template)
        self._slot = EngineSlot(
            EngineSettings(
                folder=folder,
                # As the transformers generator: exact on a CPU, what models are trained in on a GPU.
                dtype="bfloat16" if on_gpu else "float32",
                stop_ids=stop_ids_of(self.tokenizer, folder),
                tensor_parallel=config.tensor_parallel,
                max_model_len=config.max_model_len,
                gpu_memory_utilization=config.gpu_memory_utilization,
                on_gpu=on_gpu,
            )
        )
        self._identity = {
            "backend": "vllm",
            "model": config.model,
            "revision": config.revision or "",
            "fingerprint": fingerprint(folder),
            "chat_template_sha256": template_sha256(self.tokenizer),
            "dtype": self._slot.settings.dtype,
        }
        weakref.finalize(self, self._slot.stop)

    @property
    def identity(self) -> dict[str, str]:
        """The name as given, hashes of the model's files and of its chat template, and the precision."""
        return self._identity

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """Everything that is not done, as it finishes; the engine stays for the next list."""
        yield from write_all(self.session(keep_engine=True), requests, sampling, done)

    def open(self) -> Session:
        """The engine for one session, which frees it. ValueError where it cannot be had at all."""
        return self.session(keep_engine=False)

    def session(self, keep_engine: bool) -> VLLMSession:
        """The engine at work, and whether it stays loaded afterwards."""
        require_vllm()
        require_devices(self._slot.settings.tensor_parallel)
        stop = (lambda: None) if keep_engine else self._slot.stop
        return VLLMSession(self.tokenizer, self._slot.start, stop)

    def engine(self) -> Engine:
        """The engine itself, loaded where it is not: for measurements."""
        return self._slot.start()

    def close(self) -> None:
        """Frees the engine, where there is one."""
        self._slot.stop()


class EngineSlot:
    """Room for one engine: started when it is asked for, stopped once."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._engine: Engine | None = None

    def start(self) -> Engine:
        """The engine, loaded where it is not."""
        if self._engine is None:
            self._engine = start_engine(self.settings)
        return self._engine

    def stop(self) -> None:
        """Frees the engine, where there is one."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
