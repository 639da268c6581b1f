"""The sections that say what runs a model: `[teacher]`, and `[inference]` for the student.

    BackendConfig (which back end, and its own settings) -> make_generator -> Generator

Four back ends: `transformers` (a model folder or hub id, here and now), `vllm` (the same, in vLLM's
engine), `openai` (any server that speaks the OpenAI protocol: vLLM's, SGLang's, a provider's) and
`scripted` (a Python function). A setting that belongs to one of them says so in its first word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from datagen.generators import Generator

Backend = Literal["transformers", "vllm", "openai", "scripted"]


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """The `[inference]` section: how the student is run when it answers, here or on a server."""

    backend: Backend | None = None
    """Unset: `openai` where a `base_url` is given, else `transformers`; a teacher without a model
    is `scripted`."""
    device: str | None = None
    """transformers: `cpu`, `cuda`, `cuda:1`; unset, a GPU where there is one."""
    base_url: tuple[str, ...] = ()
    """openai: the server, as `http://host:8000/v1`, or a list of servers of one and the same model."""
    address: str | None = None
    """openai: the name under which texts remember their server; unset, the first `base_url`. With a
    name of its own a pool may move to other hosts, and no text is written again."""
    api_key_env: str = "OPENAI_API_KEY"
    """openai: the environment variable that holds the key; never the key itself."""
    concurrency: int = 64
    """openai: most requests in flight on each server."""
    timeout_seconds: float = 600.0
    """openai: longest time for one request, its waiting in the server's queue included."""
    max_retries: int = 6
    """openai: further attempts after a failure that may pass, with growing pauses. For as many minutes
    all servers may be away before the run stops."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """openai: further fields of every request, such as `reasoning_effort`; part of a text's key."""
    omit: tuple[str, ...] = ()
    """openai: fields that the server does not take, such as `seed` or `top_p`. Without `max_tokens` the
    limit is sent as `max_completion_tokens`, which providers' reasoning models ask for."""
    usd_per_million_prompt_tokens: float = 0.0
    """openai: the provider's price, for the accounts and for `generate.max_usd`."""
    usd_per_million_completion_tokens: float = 0.0
    """openai: likewise for what is written."""
    tensor_parallel: int = 1
    """vllm: GPUs that share one copy of the model."""
    max_model_len: int | None = None
    """vllm: longest chat in tokens, prompt and text together; unset, what the model was made for."""
    gpu_memory_utilization: float = 0.9
    """vllm: share of a GPU's memory it may take."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "tensor_parallel", "max_model_len"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        for name in (
            "max_retries",
            "usd_per_million_prompt_tokens",
            "usd_per_million_completion_tokens",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be above 0, got {self.timeout_seconds}")
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(
                f"gpu_memory_utilization must lie in (0, 1], got {self.gpu_memory_utilization}"
            )
        if self.backend == "openai" and not self.base_url:
            raise ValueError('base_url is needed with backend = "openai"')
        if self.base_url and self.backend not in (None, "openai"):
            raise ValueError(f'base_url goes with backend = "openai", not with {self.backend!r}')
        for url in self.base_url:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"base_url must start with http:// or https://, got {url!r}")


@dataclass(frozen=True, kw_only=True)
class TeacherConfig(BackendConfig):
    """The `[teacher]` section: who writes critiques and refinements."""

    model: str | None = None
    """A model folder or a hub id; of a server the name it serves, unset where it serves only one."""
    revision: str | None = None
    """transformers, vllm: branch, tag or commit of a hub model."""
    chat_template: str | None = None
    """transformers, vllm: a Jinja file for a model that brings no chat template."""
    script: str = "arithmetic"
    """scripted: a built-in teacher's name, or `package.module:function`."""
    batch_size: int = 16
    """transformers: texts written at a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend in ("transformers", "vllm") and not self.model:
            raise ValueError(f'a model is needed with backend = "{self.backend}"')
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")

    @property
    def runs_on(self) -> Backend:
        """The back end, named or implied."""
        if self.backend is not None:
            return self.backend
        if self.base_url:
            return "openai"
        return "transformers" if self.model else "scripted"


def make_generator(config: TeacherConfig) -> Generator:
    """The generator that a config names."""
    # The libraries are loaded here and not on top, so that reading a config stays quick.
    if config.runs_on == "scripted":
        from datagen.scripted import ScriptedGenerator

        return ScriptedGenerator(config.script)
    if config.runs_on == "openai":
        from datagen.openai_generator import OpenAIGenerator

        return OpenAIGenerator(config)
    assert config.model is not None
    if config.runs_on == "vllm":
        from datagen.vllm_generator import VLLMGenerator

        return VLLMGenerator(config)
    from datagen.transformers_generator import TransformersGenerator

    return TransformersGenerator(
        config.model,
        revision=config.revision,
        chat_template=config.chat_template,
        batch_size=config.batch_size,
        device=config.device,
    )
