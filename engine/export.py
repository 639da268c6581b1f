"""Export: the trained student as the folder `from_pretrained`, vLLM and TRL read; of any checkpoint, at any time.

    train() → export                                            the end of every training
    checkpoints/step-N → export_checkpoint → export             `cgd export CONFIG --step N`, or on N ranks:
    torchrun --nproc-per-node N -m engine.export CONFIG --step N

The folder is the student's own with other weights: its configuration and tokenizer are copied, not rewritten, so that
readers of other versions find what they found in the student. Weights are gathered one stored tensor at a time and
written in files of at most FILE_BYTES, in the dtype the student came in. The folder appears under its name only when it
is whole. Tied weights are written once, under their first name (weight_files.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from transformers import AutoConfig, PreTrainedTokenizerBase

from engine.agreement import from_main, on_every_rank
from engine.attempt import SETTINGS, SUMMARY, changes, fingerprint
from engine.checkpoint import MANIFEST, OPTIONS, find_damage, first_cause, saved_steps, sha256
from engine.command import exit_code_of, leave
from engine.companions import stored_dtype, write_companions
from engine.config import read_config
from engine.model import Student, assert_tied, fetch_folder, load_tokenizer, shard_student
from engine.model_card import Trained, is_export, read_settings
from engine.parallel import World, start_world
from engine.settings import (
    OTHER_SECTIONS,
    RunConfig,
    StudentConfig,
    TrainConfig,
    named,
    require_model,
)
from engine.weight_files import write_weights

FILE_BYTES = 4 * 1024**3
"""No more than this waits on rank 0 to be written, beside one gathered tensor."""


# ---- any checkpoint ---------------------------------------------------------------------------------


def export_checkpoint(
    run: RunConfig,
    student: StudentConfig,
    config: TrainConfig,
    step: int | None = None,
    out: Path | None = None,
    non_finite: bool = False,
) -> Path:
    """Exports the checkpoint of `step`, or the newest sound one, and returns the folder. `non_finite`: from the states
    kept because the step after them was not finite.

    Raises ValueError where there is no such checkpoint or it is damaged, where the student or the settings are not the
    training's, and where `out` holds something else.
    """
    folder = run.folder / "train" / config.objective
    kept = folder / ("non-finite" if non_finite else "checkpoints")
    # Nothing is computed: weights lie in as few copies as possible, and blocks need no compiler.
    plain = replace(config, shard_size=None, compile=False)
    with start_world() as world:
        source = on_every_rank(lambda: fetch_folder(student))
        settings = {"run": run, "student": student, "train": config}
        on_every_rank(lambda: refuse_other_training(folder, settings, source))
        step = sound_step(kept, step, world)
        target = out or folder / f"export-{'non-finite-' * non_finite}step-{step}"
        from_main(lambda: refuse_stranger(target, source))
        tokenizer = on_every_rank(lambda: load_tokenizer(student, source))
        model = shard_student(AutoConfig.from_pretrained(source), plain, world)
        load_trained(model, kept / f"step-{step}")
        trained = trained_until(step, folder, kept, student, non_finite)
        export(model, tokenizer, source, trained, target, world)
        world.say(f"{config.objective}: step {step} exported to {target}")
    return target


def refuse_other_training(folder: Path, settings: dict[str, Any], source: Path) -> None:
    """The folder must hold this training, and the student be the one it began with; the data may be gone."""
    if not (folder / SETTINGS).is_file():
        others = sorted(path.parent.name for path in folder.parent.glob(f"*/{SETTINGS}"))
        known = f"; trained there: {', '.join(others)} (--set train.objective=…)" if others else ""
        raise ValueError(f"{folder} holds no training{known}")
    inputs = {**read_settings(folder).get("inputs", {}), "student_files": fingerprint(source)}
    template = settings["student"].chat_template
    if template is not None and Path(template).is_file():
        inputs["chat_template_sha256"] = sha256(Path(template))
    if changed := changes(folder, {**settings, "inputs": inputs}):
        listed = "\n".join(f"  {line}" for line in changed)
        raise ValueError(f"{folder} was made with other settings:\n{listed}")


def sound_step(kept: Path, wanted: int | None, world: World) -> int:
    """The step to export: the wanted one, or the newest that is not damaged. Collective."""
    steps = from_main(lambda: saved_steps(kept))
    there_are = f"{kept} has steps {', '.join(map(str, sorted(steps)))}"
    if not steps:
        raise ValueError(f"{kept} has no checkpoint")
    if wanted is not None and wanted not in steps:
        raise ValueError(f"there is no checkpoint of step {wanted}: {there_are}")
    for step in steps if wanted is None else [wanted]:
        damage = find_damage(kept / f"step-{step}")
        if damage is None:
            return step
        world.say(f"checkpoint step-{step} is not used: {damage}")
    raise ValueError(f"nothing to export, as it is damaged: {there_are}")


def refuse_stranger(target: Path, source: Path) -> None:
    """What is in the way must be an export of ours, and not the student itself."""
    if target.resolve() == source.resolve():
        raise ValueError(f"--out {target} is the student's own folder")
    if target.exists() and not is_export(target) and not is_empty_folder(target):
        raise ValueError(f"{target} is no export and is left alone; choose another --out")


def is_empty_folder(path: Path) -> bool:
    """True for a folder without entries."""
    return path.is_dir() and not any(path.iterdir())


def load_trained(student: Student, checkpoint: Path) -> None:
    """Fills the shards from a checkpoint whose checksums were compared; the moments are not read."""
    state = {"model": get_model_state_dict(student, options=OPTIONS)}
    try:
        dcp.load(state, checkpoint_id=checkpoint)
    except CheckpointException as error:
        raise ValueError(f"{checkpoint} could not be read: {first_cause(error)}") from error
    set_model_state_dict(student, state["model"], options=OPTIONS)


def trained_until(
    step: int, folder: Path, kept: Path, student: StudentConfig, non_finite: bool
) -> Trained:
    """What the files of a training say about the state after `step`."""
    manifest = json.loads((kept / f"step-{step}" / MANIFEST).read_text(encoding="utf-8"))
    summary = folder / SUMMARY  # written when the training was finished
    said = json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else {}
    device = said.get("device")
    return Trained(folder, student, said, manifest.get("world_size"), device, step, non_finite)


# ---- the folder -------------------------------------------------------------------------------------


def export(
    student: Student,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    trained: Trained,
    target: Path,
    world: World,
    file_bytes: int = FILE_BYTES,
) -> None:
    """Writes the folder `target`; `source` is the folder the student came from. Collective: every rank calls it.

    Raises ValueError where it cannot be written (a full disk); what stood at `target` is untouched then.
    """
    assert_tied(student)
    partial = target.with_name(target.name + ".partial")
    dtype = on_every_rank(lambda: stored_dtype(source))
    if world.is_main:
        shutil.rmtree(partial, ignore_errors=True)
    try:
        from_main(lambda: partial.mkdir(parents=True))
        from_main(lambda: write_companions(student, tokenizer, source, trained, dtype, partial))
        write_weights(student, dtype, partial, world, file_bytes)
        from_main(lambda: put_in_place(partial, target))
    except ValueError as error:
        if world.is_main:
            shutil.rmtree(partial, ignore_errors=True)  # what was written may fill the disk
        raise ValueError(
            f"{target} could not be written: {error}. Make room and run the same command again: "
            "checkpoints and earlier exports are untouched"
        ) from error


def put_in_place(partial: Path, target: Path) -> None:
    """Gives the whole folder its name. What had the name is moved aside first: removing takes time, renaming none."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)


# ---- the command ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.export", description=__doc__)
    parser.add_argument("config", type=Path, help="the TOML the training was started with")
    parser.add_argument("--step", type=int, help="the checkpoint of this step (default: newest)")
    parser.add_argument(
        "--out", type=Path, help="the folder (default: export-step-N beside the checkpoints)"
    )
    parser.add_argument(
        "--non-finite", action="store_true", help="of the states kept before a non-finite step"
    )
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="section.key=value"
    )
    options = parser.parse_args(arguments)

    def work() -> None:
        sections = {"run": RunConfig, "student": StudentConfig, "train": TrainConfig}
        found = read_config(options.config, sections, options.overrides, OTHER_SECTIONS)
        require_model(found["student"], options.config)
        which = (options.step, options.out, options.non_finite)
        run = named(found["run"], options.config)
        export_checkpoint(run, found["student"], found["train"], *which)

    return exit_code_of(work)


if __name__ == "__main__":
    leave(main())
