"""One command, again and again: whom a training folder belongs to, and whether it is finished.

config.toml, written first, says what the folder's result depends on: the settings, and hashes of the student's files
and of the data. The same command on the same folder continues; other settings are refused with the difference shown.
summary.json, written last, marks the end.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine.agreement import from_main, gather, on_every_rank
from engine.checkpoint import sha256
from engine.compute import training_account
from engine.examples import read_rows
from engine.objectives import OBJECTIVES
from engine.parallel import World
from engine.toml import differences, to_toml
from engine.whole_files import write_whole

SETTINGS = "config.toml"
SUMMARY = "summary.json"

SAME_SUM = "the same sums in another order: equal up to rounding"
HARMLESS = {
    "run.name": "a name",
    "run.dir": "a folder may be moved",
    "student.model": "a path may move; the hashes under [inputs] say whether its content changed",
    "train.data": "likewise",
    "train.pack_tokens": SAME_SUM,
    "train.activation_checkpointing": "recomputed values are the values",
    "train.compile": SAME_SUM,
    "train.shard_size": SAME_SUM,
    "train.replicate_size": SAME_SUM,
    "train.cpu_offload": "where the numbers live, not what they are",
    "train.save_every": "what is kept of the run, not the run",
    "train.keep_checkpoints": "likewise",
    "train.async_save": "when a checkpoint is written, not what it holds",
    "train.report_to": "where curves are shown",
}
"""Keys that do not change the trained weights, and why not. Every other key is guarded."""

EDGE_BYTES = 1024 * 1024

READ_FROM_MODEL = ("*.json", "*.jinja", "*.model", "*.safetensors")
"""Config, tokenizer, chat template and weights."""


def training_file(named: str | None, run_folder: Path) -> Path:
    """`train.data`, or what the run itself has generated: its last file, which holds every field."""
    if named is not None:
        if not Path(named).is_file():
            raise ValueError(f"train.data: there is no file {named}")
        return Path(named)
    generated = [
        run_folder / "data" / f"{name}.jsonl"
        for name in ("mixture", "teacher_answers", "refinements")
    ]
    for candidate in generated:
        if candidate.is_file():
            return candidate
    raise ValueError(
        f"train.data is not set and the run has generated no records yet ({generated[-1]}); "
        "run `cgd generate` first, or name a file"
    )


def described(settings: Mapping[str, Any], source: Path, data: Path) -> dict[str, Any]:
    """Everything the trained weights depend on, as tables."""
    inputs = {
        "student_files": fingerprint(source),
        "examples_sha256": content_hash(data, settings["train"].objective),
    }
    template = settings["student"].chat_template
    if template is not None and Path(template).is_file():  # its absence is load_tokenizer's error
        inputs["chat_template_sha256"] = sha256(Path(template))
    return {**settings, "inputs": inputs}


def content_hash(data: Path, objective: str) -> str:
    """A hash of what the objective reads of every row: who wrote a text and how long it took changes no weights."""
    wanted = OBJECTIVES[objective]
    fields = ("id", *wanted.sees, wanted.writes, "messages", "completion")
    digest = hashlib.sha256()
    for _, row in read_rows(data):
        digest.update(json.dumps([row.get(field) for field in fields]).encode() + b"\n")
    return digest.hexdigest()


def fingerprint(model_folder: Path) -> str:
    """A hash that tells one model folder from another: names, sizes and both ends of what is read from it."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in READ_FROM_MODEL for path in model_folder.glob(pattern)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(EDGE_BYTES))
            file.seek(max(0, size - EDGE_BYTES))
            digest.update(file.read())
    return digest.hexdigest()


def finished(folder: Path, description: Mapping[str, Any]) -> bool:
    """Whether this very training has been done."""
    return (folder / SUMMARY).is_file() and not changes(folder, description)


def changes(folder: Path, description: Mapping[str, Any]) -> list[str]:
    """What differs between the folder's training and this one, a line each; nothing for a new folder."""
    try:
        old = tomllib.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return differences(old, description, HARMLESS)


def require_same_on_all_ranks(description: Mapping[str, Any]) -> None:
    """Raises ValueError, on every rank, where one was given other files or settings than rank 0. Collective.

    The ranks of a step would wait for each other for ever, or add up different steps.
    """
    mains = from_main(lambda: description)
    found = gather(differences(mains, description, HARMLESS))
    other = [(rank, lines) for rank, lines in enumerate(found) if lines]
    if other:
        rank, lines = other[0]
        raise ValueError(f"rank {rank} sees other inputs than rank 0: {'; '.join(lines)}")


def claim_folder(folder: Path, description: Mapping[str, Any], overwrite: bool) -> None:
    """Makes the folder this training's own. Raises ValueError where it is another's. For rank 0 alone."""
    if overwrite and folder.exists():
        move_aside(folder)
    if lines := changes(folder, description):
        listed = "\n".join(f"  {line}" for line in lines)
        raise ValueError(
            f"{folder} was made with other settings:\n{listed}\n"
            "use another run.name or run.dir, or --overwrite to start anew (the old attempt is kept aside)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SETTINGS, to_toml(description))


@contextmanager
def sole_user(folder: Path, world: World) -> Iterator[None]:
    """Holds the folder's lock for the length of the block. Raises ValueError, on every rank, where another one has it.

    The kernel lets go of it when the process ends, however it ends. A killed torchrun leaves its ranks running: without
    the lock they and the next command would write the same files.
    """
    lock = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as held:
        on_every_rank(lambda: take(lock, held) if world.is_main else None)
        yield


def take(lock: Path, held: ExitStack) -> None:
    """Locks the file until `held` is closed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = held.enter_context(lock.open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{lock}: another process is training in this folder; wait for it, or end it (ranks whose torchrun was "
            "killed live on)"
        ) from error
    except OSError:
        held.close()  # a file system without locks: then nobody is kept out


def move_aside(folder: Path) -> Path:
    """Renames the folder to the first free NAME.attempt-K, and returns that."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.attempt-{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def finish(folder: Path, counts: Mapping[str, int], world: World) -> None:
    """Writes the summary, whose presence says that the training is complete."""
    if not world.is_main:
        return
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    summary = {
        **counts,
        "steps": len(lines),
        "final_loss": json.loads(lines[-1])["loss"],
        "world_size": world.size,
        "device": str(world.device.type),
        **training_account(folder, world.device),
    }
    write_whole(folder / SUMMARY, json.dumps(summary, indent=1) + "\n")
