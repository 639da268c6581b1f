"""The engine's settings: the sections [run], [student] and [train] of a configuration file.

They stand by themselves, without torch, so that a mistake in a file is reported before anything heavy is loaded.
The defaults of [train] are the paper's (Table 8 of arXiv 2505.11628).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engine.config import ConfigError

TooLong = Literal["drop", "truncate", "error"]
NoTarget = Literal["drop", "error"]
Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["fp32", "bf16"]
ActivationCheckpointing = Literal["none", "selective", "full"]

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")

OTHER_SECTIONS = (
    "inference",
    "teacher",
    "data",
    "generate",
    "evaluate",
    "diagnose",
    "judge",
    "pipeline",
)
"""Sections of a whole-pipeline file that the engine leaves to the rooms they belong to."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Which run this is and where its files go."""

    name: str = ""
    """Names the run folder where `dir` does not; unset, the configuration file's name."""
    seed: int = 0
    """Everything random follows from it."""
    dir: str | None = None
    """The run folder's exact path; unset, it is runs/NAME."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"run.seed must not be negative, got {self.seed}")

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.dir) if self.dir else Path("runs") / self.name


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Which model is trained."""

    model: str = ""
    """A local model folder, or a hub id. Data generation alone can do without, where `inference.base_url` names a
    server that answers for the student."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    chat_template: str | None = None
    """A Jinja file to use in place of the tokenizer's own chat template."""


def named(run: RunConfig, path: Path) -> RunConfig:
    """The run, called after its configuration file where it has no name."""
    return run if run.name else replace(run, name=path.stem)


def require_model(student: StudentConfig, path: Path) -> None:
    """Raises ConfigError where the student's model is not given."""
    if not student.model:
        raise ConfigError(["student.model: required, but not given"], str(path))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the student is trained. The defaults are the paper's settings (Table 8)."""

    data: str | None = None
    """JSON Lines of records, or of chat data; unset, the records the run itself has generated."""
    objective: Literal["sft", "distilled_sft", "cft", "cgd", "cgd_no_critique"] = "cgd"
    """What the student sees and what it must write (objectives.py)."""
    layout: Literal["single_turn", "multi_turn"] = "single_turn"
    """How student answer and critique are shown: in one user message, or as the turns they were."""
    batch_size: int = 64
    """Examples of one optimizer step, over all ranks."""
    learning_rate: float = 1e-6
    """The peak, reached after warm-up."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the rate rises to its peak."""
    schedule: Schedule = "cosine"
    """How the rate falls from its peak: to zero along a cosine or a line, or not at all."""
    epochs: float = 1.0
    """Passes over the examples."""
    max_steps: int | None = None
    """Fewer steps than the epochs would give; the schedule is stretched over them."""
    max_length: int = 8192
    """Longest example in tokens, conditioning, target and end of turn together."""
    too_long: TooLong = "drop"
    """What happens to longer ones; they are counted and said in any case."""
    no_target: NoTarget = "drop"
    """What happens to rows whose target is empty; likewise."""
    pack_tokens: int | None = None
    """Most tokens in a row; unset, max_length. Changes memory and speed, not the result."""
    loss_reduction: Literal["token", "example"] = "token"
    """Whether every supervised token of a step weighs the same, or every example."""
    max_grad_norm: float = 1.0
    """Gradients longer than this, over all shards, are scaled down to it."""
    weight_decay: float = 0.0
    """AdamW's, on matrices only."""
    precision: Precision = "bf16"
    """Compute dtype; weights, gradients and moments are fp32 in any case."""
    activation_checkpointing: ActivationCheckpointing = "none"
    """Recompute in backward nothing, all but attention, or whole blocks. Changes memory and speed, not the result."""
    shard_size: int | None = None
    """Ranks that share one copy of weights and moments; unset, all. Fewer: copies are kept in step (HSDP)."""
    replicate_size: int | None = None
    """Copies of weights and moments; unset, the number of ranks divided by `shard_size`."""
    cpu_offload: bool = False
    """Keep weights, gradients and moments in host memory, and take the optimizer step there."""
    compile: bool = False
    """Compile the blocks: faster steps after a minute of compiling. Changes speed, not the result."""
    save_every: int = 100
    """Steps between checkpoints; the last step always leaves one."""
    keep_checkpoints: int = 2
    """The newest so many are kept."""
    async_save: bool = False
    """Write checkpoints in the background, from a copy in host memory: 12 bytes a parameter, over all ranks."""
    report_to: tuple[str, ...] = ("tensorboard",)
    """Where curves are shown besides metrics.jsonl: tensorboard, wandb, mlflow, trackio; [] for nowhere."""

    def __post_init__(self) -> None:
        positive = ("batch_size", "max_length", "save_every", "keep_checkpoints", "epochs")
        for key in (*positive, "max_grad_norm"):
            if getattr(self, key) <= 0:
                raise ValueError(f"train.{key} must be positive, got {getattr(self, key)}")
        for key in ("max_steps", "shard_size", "replicate_size", "pack_tokens"):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise ValueError(f"train.{key} must be positive, got {value}")
        for name in self.report_to:
            if name not in TRACKERS:
                raise ValueError(f"train.report_to: {name!r} is none of {', '.join(TRACKERS)}")
        for key in ("learning_rate", "weight_decay"):
            if getattr(self, key) < 0:
                raise ValueError(f"train.{key} must not be negative, got {getattr(self, key)}")
        if not 0 <= self.warmup_ratio <= 1:
            raise ValueError(f"train.warmup_ratio must lie in [0, 1], got {self.warmup_ratio}")
        if self.pack_tokens is not None and self.pack_tokens < self.max_length:
            raise ValueError(
                f"train.pack_tokens = {self.pack_tokens} must hold an example of train.max_length = {self.max_length}"
            )

    @property
    def row_tokens(self) -> int:
        """Capacity of a row."""
        return self.pack_tokens or self.max_length
