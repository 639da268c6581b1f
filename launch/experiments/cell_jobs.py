"""Each kind of job of a cell: its configuration, its command, what it reads from, and where its results lie.

    settings of the variant -> the sections that the job reads -> key -> Job

Every training of a table reads the same file of records, the one that the last of all data stages writes: a record
without a teacher answer is missing for all methods or for none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from evals.benchmarks import BUILT_IN
from evals.diagnostics.settings import JUDGED
from launch.cluster.slurm import training_command
from launch.experiments.configurations import (
    Flat,
    choice,
    evaluation_of,
    nested,
    resolved,
    restricted,
)
from launch.experiments.epochs import EpochEnd, planned_steps
from launch.experiments.experiment import Ask, Experiment, Variant
from launch.experiments.jobs import SECTIONS_OF, STEP, Job, Kind, digest, key_of
from launch.experiments.scale import Scale

ALL_STAGES = "distilled_sft"
"""The objective that needs the last of the data stages."""


@dataclass
class Made:
    """What has been planned for a cell so far."""

    jobs: list[Job] = field(default_factory=list)
    evaluations: dict[str, Path] = field(default_factory=dict)
    training: Path | None = None
    data: Path | None = None
    diagnostics: Path | None = None


@dataclass(frozen=True)
class Model:
    """A model on its way through the jobs: the settings that name it, and the job that makes it, if one does."""

    flat: Flat
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planner:
    """Plans the jobs of one cell, each after those that it reads from."""

    pool: Path
    scale: Scale
    experiment: Experiment
    variant: Variant
    seed: int
    made: Made
    problems: list[str]

    def add(
        self,
        kind: Kind,
        flat: Flat,
        label: str,
        markers: tuple[str, ...],
        command: tuple[str, ...],
        after: tuple[str, ...] = (),
        beside: Flat | None = None,
        gpus: int = 1,
        nodes: int = 1,
        records: int | None = None,
        parts: tuple[str, ...] = (),
    ) -> Job:
        """A job that is a command on a configuration; CONFIG in the command stands for its file. `beside`:
        settings that its result does not depend on."""
        sections = tuple(dict.fromkeys(name.split(".")[0] for name in SECTIONS_OF[kind]))
        own = restricted(flat, SECTIONS_OF[kind])
        key = key_of(kind, resolved(own, sections, self.problems), self.pool)
        folder = self.pool / kind / key
        config = folder.with_name(f"{key}.toml")
        placed = {**own, **(beside or {}), "run.dir": str(folder), "run.name": f"{kind}-{key}"}
        job = Job(
            kind=kind,
            key=key,
            label=label,
            path=folder,
            command=tuple(str(config) if part == "CONFIG" else part for part in command),
            markers=tuple(folder / marker for marker in markers),
            after=after,
            config=config,
            tables=nested(dict(sorted(placed.items()))),
            gpus=gpus if self.scale.gpus else 0,
            nodes=nodes,
            records=records,
            hours=self.hours(kind),
            parts=parts,
        )
        self.made.jobs.append(job)
        return job

    def data(self, student: Model, number: int) -> tuple[Job, Path]:
        """Records for a student, and the file that holds every field of them."""
        seed = self.seed if self.scale.data_seed is None else self.scale.data_seed
        # Later rounds serve one variant alone, so they need only what that one reads.
        objective = ALL_STAGES if number == 1 else self.variant.objective
        last = "teacher_answers" if objective == ALL_STAGES else "refinements"
        gpus = gpus_of_data(student.flat, self.scale)
        workers = gpus // gpus_per_copy(student.flat) if gpus else 1
        many = ("--workers", str(workers)) if workers > 1 else ()
        job = self.add(
            "data",
            {**student.flat, "run.seed": seed},
            self.called("records", seed, number),
            ("data/summary.json",),
            ("cgd", "generate", "CONFIG", *many),
            student.after,
            beside={"pipeline.objectives": [objective]},
            gpus=gpus,
        )
        self.made.data = job.path / "data"
        return job, job.path / "data" / f"{last}.jsonl"

    def mixture(self, data: Job, records: Path, number: int) -> tuple[Job, Path]:
        """Some of the records, or the records with other critiques."""
        variant = self.variant
        seed = self.seed if self.scale.data_seed is None else self.scale.data_seed
        wanted: list[str] = ["--seed", str(seed), "--critiques", variant.critiques]
        if variant.correct_share is not None:
            wanted += ["--correct-share", str(variant.correct_share)]
        if variant.total is not None:
            wanted += ["--total", str(variant.total)]
        key = digest([data.key, wanted])
        file = self.pool / "mixture" / f"{key}.jsonl"
        job = Job(
            kind="mixture",
            key=key,
            label=self.called("mixture", seed, number),
            path=file,
            command=("python", "-m", "launch.mixture", str(records), str(file), *wanted),
            markers=(file,),
            after=(data.id,),
        )
        self.made.jobs.append(job)
        return job, file

    def train(self, student: Model, source: Job, records: Path, number: int) -> Job:
        """One training."""
        objective = self.variant.objective
        ranks = choice(self.scale, self.variant, "students").ranks or self.scale.ranks
        flat = {**student.flat, "run.seed": self.seed}
        flat |= {"train.objective": objective, "train.data": str(records)}
        nodes = -(-ranks // self.scale.gpus_per_node) if self.scale.gpus else 1
        own = f"train/{objective}"
        many_ranks = training_command(nodes, ranks // nodes, "CONFIG")
        job = self.add(
            "train",
            flat,
            self.called(f"training {self.variant.title}", self.seed, number),
            (f"{own}/export/config.json", f"{own}/summary.json"),
            ("cgd", "train", "CONFIG") if ranks == 1 else many_ranks,
            (*student.after, source.id),
            gpus=ranks,
            nodes=nodes,
            records=self.num_records(flat),
        )
        self.made.training = job.path / own
        return job

    def export(self, training: Job, flat: Flat) -> tuple[str, Path]:
        """The model after the epoch that is asked for: the job that makes it, and its folder."""
        assert self.made.training is not None, "it is trained before it is exported"
        folder, epoch = self.made.training, self.variant.epoch
        if epoch is None:
            return training.id, folder / "export"
        end = self.end_of(epoch, flat)
        if end is None:
            return training.id, folder / "export"
        out = folder / f"export-epoch-{epoch}"
        job = Job(
            kind="export",
            key=f"{training.key}-epoch-{epoch}",
            label=self.called(f"export {self.variant.title}", self.seed, 1),
            path=out,
            command=("cgd", "export", str(training.config), "--step", STEP, "--out", str(out)),
            markers=(out,),
            after=(training.id,),
            gpus=min(training.gpus, 1),
            epoch=end,
        )
        self.made.jobs.append(job)
        return job.id, out

    def end_of(self, epoch: int, flat: Flat) -> EpochEnd | None:
        """The end of an epoch; None of the last one, which a training exports by itself."""
        own = resolved(restricted(flat, ("train",)), ("train",), self.problems)["train"]
        if self.problems:
            return None
        if epoch > own.epochs:
            self.problems.append(f"epoch: {epoch}, but train.epochs is {own.epochs:g}")
        if epoch >= own.epochs:
            return None
        records = self.num_records(flat)
        steps = planned_steps(own, records) if records else None
        return EpochEnd(epoch, own.epochs, steps and max(1, round(steps * epoch / own.epochs)))

    def num_records(self, flat: Flat) -> int | None:
        """What a training will be on, as far as settings say."""
        return self.variant.total or flat.get("data.limit")

    def evaluate(self, model: Model, ask: Ask) -> None:
        """Its answers to the benchmarks of a way to ask."""
        flat = evaluation_of(model.flat, self.scale, ask)
        if not flat["evaluate.benchmarks"]:
            return  # the scale has none of these columns
        flat["run.seed"] = seed_of_evaluation(flat, self.seed)
        how = "" if ask.name == "default" else f" ({ask.name})"
        job = self.add(
            "evaluate",
            flat,
            self.called(f"evaluation of {self.variant.title}{how}", self.seed, 1),
            ("evals/base/scores.json",),
            ("cgd", "evaluate", "CONFIG", "--model", "base"),
            model.after,
            gpus=int(flat.get("inference.tensor_parallel", 1)),
        )
        self.made.evaluations[ask.name] = job.path / "evals" / "base"

    def diagnose(self, model: Model, data: Job, records: Path) -> None:
        """What the diagnostics measure in it, on the records as the teacher wrote them."""
        names = self.experiment.diagnostics
        flat = {**model.flat, "run.seed": self.seed, "diagnose.records": str(records)}
        job = self.add(
            "diagnose",
            flat,
            self.called(f"diagnostics of {self.variant.title}", self.seed, 1),
            tuple(f"diagnostics/{name}.json" for name in names),
            ("cgd", "diagnose", "CONFIG", "--only", ",".join(names)),
            (*model.after, data.id),
            gpus=int(model.flat.get("judge.tensor_parallel", 1)) if {*names} & {*JUDGED} else 1,
            parts=names,
        )
        self.made.diagnostics = job.path / "diagnostics"

    def hours(self, kind: Kind) -> float | None:
        """What the scale expects of such a job with this student."""
        of_main: float | None = getattr(self.scale.hours, kind)
        student = choice(self.scale, self.variant, "students")
        return None if of_main is None else of_main * student.hours

    def called(self, what: str, seed: int, number: int) -> str:
        """A job for people: `records, seed 0, teacher errs-30`."""
        variant = self.variant
        kinds = {"student": variant.student, "teacher": variant.teacher, "prompts": variant.prompts}
        others = [f"{kind} {name}" for kind, name in kinds.items() if name != "main"]
        again = [f"round {number}"] if number > 1 else []
        return ", ".join([what, *again, *others, f"seed {seed}"])


def seed_of_evaluation(flat: Flat, seed: int) -> int:
    """The seed where it draws problems or answers; 0 where neither, so that a model is asked once for all seeds."""
    names: list[str] = flat["evaluate.benchmarks"]
    draws = flat.get("evaluate.temperature", 0) > 0 and not flat.get("evaluate.seeds")
    return seed if draws or any(name in BUILT_IN for name in names) else 0


def gpus_per_copy(flat: Flat) -> int:
    """GPUs of one process that writes texts: the models are in memory one at a time."""
    return max(int(flat.get(f"{name}.tensor_parallel", 1)) for name in ("inference", "teacher"))


def gpus_of_data(flat: Flat, scale: Scale) -> int:
    """GPUs of a data job: those of a training, on one machine, in whole copies; none where servers write all."""
    if flat.get("inference.base_url") and flat.get("teacher.base_url"):
        return 0
    copy = gpus_per_copy(flat)
    return max(min(scale.ranks, scale.gpus_per_node) // copy, 1) * copy
