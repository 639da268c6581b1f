"""The whole configuration: one section per room, each described beside the code that uses it.

    TOML file + `--set` overrides → Config: checked, defaults filled in, names resolved

Resolved means that the file written to the run folder says what was used: the run folder's path, a packaged
student's folder in place of `builtin:NAME`, the objectives that are trained. Relative paths are relative to the
directory the command is started in, as on any command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from datagen.backends import BackendConfig, TeacherConfig
from datagen.sources import DataConfig
from datagen.stages import GenerateConfig
from engine.config import ConfigError, read_config
from engine.objectives import OBJECTIVES
from engine.settings import RunConfig, StudentConfig, TrainConfig, named, require_model
from evals.diagnostics.settings import DiagnoseConfig, JudgeConfig
from evals.run import EvaluateConfig

PACKAGE = Path(__file__).resolve().parent
CONFIGS = PACKAGE / "configs"
BUILTIN = "builtin:"
BUILTIN_STUDENTS = ("student", "student-plain")
"""Both come with the package: one that has met criticism before, and the same one before it had."""


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """The `[pipeline]` section: what `cgd run` compares."""

    objectives: tuple[str, ...] = ()
    """What to train, each from the same student on the same records; unset, train.objective alone."""
    rounds: int = 1
    """How often to answer, criticise, refine and train; each further round begins with the student that
    the one before has trained. `cgd run` does them in order, in RUN/rounds."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be 1 or more, got {self.rounds}")
        if self.rounds > 1 and len(self.objectives) > 1:
            raise ValueError(f"rounds go with one objective, not with {', '.join(self.objectives)}")
        for name in self.objectives:
            if name not in OBJECTIVES:
                near = get_close_matches(name, OBJECTIVES, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"objectives: {name!r} is none of {', '.join(OBJECTIVES)}{hint}")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives: one is named twice in {', '.join(self.objectives)}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run depends on."""

    run: RunConfig
    student: StudentConfig = field(default_factory=StudentConfig)
    inference: BackendConfig = field(default_factory=BackendConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    data: DataConfig = field(default_factory=DataConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    diagnose: DiagnoseConfig = field(default_factory=DiagnoseConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)


SECTIONS: dict[str, type] = {
    "run": RunConfig,
    "student": StudentConfig,
    "inference": BackendConfig,
    "teacher": TeacherConfig,
    "data": DataConfig,
    "generate": GenerateConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "diagnose": DiagnoseConfig,
    "judge": JudgeConfig,
    "pipeline": PipelineConfig,
}


def load_config(path: Path, overrides: Sequence[str] = (), needs_student: bool = True) -> Config:
    """Reads and resolves a configuration file; a ConfigError lists everything that is wrong with it.

    Without `needs_student` a server may stand for the student: that is all that data generation asks for."""
    config = Config(**read_config(path, SECTIONS, overrides))
    config = replace(config, run=named(config.run, path))
    if needs_student or not config.inference.base_url:
        require_model(config.student, path)
    return resolve(config)


def resolve(config: Config) -> Config:
    """The configuration with its defaults that depend on one another written out."""
    student = config.student
    if student.model.startswith(BUILTIN):
        student = replace(student, model=str(builtin_student(student.model)))
    if config.inference.backend == "scripted":
        raise ConfigError(["inference.backend: the student is a model; only a teacher is scripted"])
    objectives = config.pipeline.objectives or (config.train.objective,)
    directory = config.run.dir or str(Path("runs") / config.run.name)
    return replace(
        config,
        run=replace(config.run, dir=directory),
        student=student,
        pipeline=replace(config.pipeline, objectives=objectives),
    )


def builtin_student(name: str) -> Path:
    """The folder of a packaged student, by its name in a configuration."""
    if name.removeprefix(BUILTIN) not in BUILTIN_STUDENTS:
        known = ", ".join(f"{BUILTIN}{student}" for student in BUILTIN_STUDENTS)
        raise ConfigError([f"student.model: {name!r} is none of {known}"])
    return PACKAGE / name.removeprefix(BUILTIN)


def builtin_config(name: str) -> Path:
    """A configuration that comes with the package, by name."""
    path = CONFIGS / f"{name}.toml"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise ConfigError([f"no such configuration; there are {names}"], name)
    return path
