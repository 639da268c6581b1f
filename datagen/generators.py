"""Generators: chat messages go in; text, the reason why it ended, and token counts come out.

    Requests(messages, seed) + Sampling -> Generator.generate -> (index, Completion), as they finish

A generator is anything that fits the `Generator` protocol. Here: `transformers` (a model folder or
hub id, on a CPU or a GPU) and `scripted` (a Python function that plays the teacher). Stages know
the protocol alone, so student and teacher may be of different kinds. Everything random hangs on
each request's own seed: neither the batch that a request shares nor the moment at which a run was
resumed changes what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from datagen.records import Record

Message = dict[str, str]
"""One turn of a chat: {"role": "user", "content": "..."}."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen, and when a text is cut."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Only the most probable tokens that together reach this probability may be drawn."""
    max_tokens: int = 1024
    """A text that reaches this length is cut: its finish reason is `length`."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be 1 or more, got {self.max_tokens}")


@dataclass(frozen=True)
class Request:
    """A chat that waits for its next turn."""

    id: str
    """The record's id; errors name it."""
    messages: tuple[Message, ...]
    """The chat so far; its last turn is the user's."""
    seed: int
    """All that chance may depend on."""
    stage: str = ""
    """For scripted teachers: what is asked for."""
    record: Record | None = None
    """For scripted teachers: what it is asked about."""


@dataclass(frozen=True)
class Completion:
    """The turn that a generator wrote."""

    text: str
    """Without special tokens."""
    finish_reason: str
    """`stop`: it ended by itself; `length`: it was cut at `max_tokens`."""
    prompt_tokens: int
    """The chat template's tokens included."""
    completion_tokens: int
    """The stop token included, since it was computed too."""
    seconds: float
    """This text's share of its batch's time."""


class Generator(Protocol):
    """What student and teacher have in common."""

    @property
    def identity(self) -> dict[str, str]:
        """backend, model, revision: part of every record's provenance and of its work key."""
        ...

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """Yields (index into requests, completion) as they finish, in any order.

        Indices in `done` are not yielded again, but keep their place in the plan of batches: a
        resumed run forms the very batches of an undisturbed one, and so the same texts, bit for
        bit, on one machine.
        """
        ...


def what_matters(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an identity that texts depend on: not the path, where the content is known; folders may be moved."""
    moved = {"model"} if "fingerprint" in identity else set()
    return {name: value for name, value in identity.items() if name not in moved}


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The `[teacher]` section: who writes critiques and refinements."""

    backend: Literal["transformers", "scripted"] = "scripted"
    """`transformers` runs a model; `scripted` asks a Python function."""
    model: str | None = None
    """transformers: a model folder or a hub id."""
    revision: str | None = None
    """transformers: branch, tag or commit of a hub model."""
    chat_template: str | None = None
    """transformers: a Jinja file for a model that brings no chat template."""
    script: str = "arithmetic"
    """scripted: a built-in teacher's name, or `package.module:function`."""
    batch_size: int = 16
    """transformers: texts written at a time."""
    device: str | None = None
    """transformers: `cpu`, `cuda`, `cuda:1`; unset, a GPU where there is one."""

    def __post_init__(self) -> None:
        if self.backend == "transformers" and not self.model:
            raise ValueError('teacher.model is needed with teacher.backend = "transformers"')
        if self.batch_size < 1:
            raise ValueError(f"teacher.batch_size must be 1 or more, got {self.batch_size}")


def make_generator(config: TeacherConfig) -> Generator:
    """The generator that a config names."""
    # The libraries are loaded here and not on top, so that reading a config stays quick.
    if config.backend == "scripted":
        from datagen.scripted import ScriptedGenerator

        return ScriptedGenerator(config.script)
    from datagen.transformers_generator import TransformersGenerator

    assert config.model is not None
    return TransformersGenerator(
        config.model,
        revision=config.revision,
        chat_template=config.chat_template,
        batch_size=config.batch_size,
        device=config.device,
    )
