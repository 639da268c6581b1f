"""The sections `[diagnose]` and `[judge]`: which records are looked at, and who rates critiques."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from datagen.backends import TeacherConfig

NAMES = ("entropy", "gradients", "attention", "overlap", "critique_quality", "robustness")
"""All diagnostics. They are listed here by name alone, so that a configuration is read without torch."""
JUDGED = ("critique_quality", "robustness")
"""Those that ask a judge."""


@dataclass(frozen=True, kw_only=True)
class DiagnoseConfig:
    """What `cgd diagnose` measures."""

    records: str | None = None
    """JSON Lines of records with student answers, critiques and refined answers; unset, the run's own."""
    names: tuple[str, ...] = ()
    """These diagnostics; unset, all that can be run."""
    samples: int | None = None
    """Records looked at, drawn by the run's seed; unset, as many as in the paper: 500, but 50 for
    attention, 20,000 for critique_quality (as many of right as of wrong answers) and 50,000 for overlap."""
    max_tokens: int = 1024
    """A text that is generated is cut there."""
    batch_size: int = 8
    """Texts that a model here writes at a time; changes speed, not results."""
    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`; unset, a GPU where there is one, and each process of torchrun its own."""

    def __post_init__(self) -> None:
        for key in ("samples", "max_tokens", "batch_size"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"diagnose.{key} must be 1 or more, got {value}")
        check_names(self.names, "diagnose.names")


def check_names(names: tuple[str, ...], where: str) -> None:
    """Raises ValueError for a diagnostic that does not exist, or is named twice."""
    for name in names:
        if name not in NAMES:
            near = get_close_matches(name, NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{where}: {name!r} is none of {', '.join(NAMES)}{hint}")
    if len(set(names)) < len(names):
        raise ValueError(f"{where}: one is named twice in {', '.join(names)}")


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(TeacherConfig):
    """The `[judge]` section: who rates critiques. Keys as in [teacher]; without any of `model`, `base_url`
    and `script` there is no judge."""

    script: str = ""
    """scripted: a built-in judge's name, or `package.module:function`."""

    @property
    def named(self) -> bool:
        """Whether there is one."""
        return bool(self.model or self.base_url or self.script)
