"""What a failure of the machine says to a user: what happened, to which file, and what to do next.

    OSError         →  "No space left on device: PATH; make room and run the same command to continue"
    out of memory   →  OutOfMemory, which lists what to change, the cheapest for the result first

Errors of the configuration and of data are worded where they are found. These are found anywhere, so they are worded
here. Nothing heavy is imported: `cgd --help` reads this file, too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from engine.settings import TrainConfig

RIGHTS = "change its rights, or name a folder of your own with run.dir"
REMEDIES = {
    errno.ENOSPC: "make room and run the same command to continue",
    errno.EDQUOT: "make room and run the same command to continue",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) and run the same command to continue",
    errno.EROFS: RIGHTS,
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EEXIST: "a file stands where a folder is to be; name another folder with run.dir",
    errno.ENOTDIR: "a file stands where a folder is to be; name another folder with run.dir",
    errno.EMFILE: "raise the limit on open files (ulimit -n 65536)",
}
"""By the number of the error; others speak for themselves."""

NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What allocators say that have no error class of their own."""


class OutOfMemory(ValueError):
    """A device, or the host, had too little memory: a setting to change, not a fault of the program."""


def in_words(error: BaseException) -> str:
    """The error as a user should read it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    remedy = f"; {REMEDIES[error.errno]}" if error.errno in REMEDIES else ""
    return f"{error.strerror}{where}{remedy}"


def why(error: Exception) -> str:
    """Why a file cannot be read; of the wrong encoding it says how to change that."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return (
            f"byte {byte:#04x} is no UTF-8: save the file as UTF-8, such as by "
            "iconv -f LATIN1 -t UTF-8 OLD > NEW"
        )
    return str(error)


def hub_in_words(error: Exception, name: str) -> str:
    """Why a model did not come from the hub, and the command that mends it. `name`: owner/name."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in kinds:
        return (
            f"{name} is gated on the hub: accept its conditions at https://huggingface.co/{name}, then "
            "`hf auth login`"
        )
    if "RevisionNotFoundError" in kinds:
        return (
            f"{name} has no such revision on the hub: see https://huggingface.co/{name}/tree/main"
        )
    if "RepositoryNotFoundError" in kinds:
        return (
            f"there is no folder {name}, and the hub knows no such model: check the spelling; a private one "
            "needs `hf auth login`"
        )
    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
    if offline and not kinds.isdisjoint({"LocalEntryNotFoundError", "OfflineModeIsEnabled"}):
        return (
            f"{name} is neither a folder here nor in the hub's cache, and HF_HUB_OFFLINE is set: "
            f"`env -u HF_HUB_OFFLINE hf download {name}`"
        )
    return (
        f"{name} is no local folder and could not be fetched from the hub: {first_line(error)}; "
        f"`hf download {name}` where there is a connection, then name that folder"
    )


def first_line(error: Exception) -> str:
    """The beginning of what a library says."""
    return in_words(error).strip().partition("\n")[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was asked for in vain, on a GPU or on the host."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in NO_MEMORY)


def first_sentence(error: BaseException) -> str:
    """What was asked for; the allocator's lecture behind it is left out."""
    text = str(error).strip().partition("\n")[0]
    sentences = text.split(". ")
    return ". ".join(sentences[:2]).rstrip(".") or "no memory is left"


@contextmanager
def memory_explained(config: TrainConfig, num_ranks: int) -> Iterator[None]:
    """Turns a lack of memory inside the block into OutOfMemory, with what to change in these settings."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        steps = "\n".join(f"  {step}" for step in what_saves_memory(config, num_ranks))
        raise OutOfMemory(
            f"out of memory in training: {first_sentence(error)}. In this order, one at a time:\n{steps}\n"
            "`cgd plan CONFIG` says beforehand what fits. Where nothing is said of the result it stays the same, and "
            "the same command continues after the newest checkpoint"
        ) from error


def what_saves_memory(config: TrainConfig, num_ranks: int) -> Iterator[str]:
    """Settings that would help, the cheapest in time first; what is set already is left out."""
    if config.row_tokens > config.max_length:
        yield f"train.pack_tokens = {config.max_length}   (now {config.row_tokens}: shorter rows, more of them)"
    if config.activation_checkpointing == "none":
        yield 'train.activation_checkpointing = "selective"   (a little slower)'
    if config.activation_checkpointing != "full":
        yield 'train.activation_checkpointing = "full"   (a quarter more arithmetic)'
    if config.shard_size is not None and config.shard_size < num_ranks:
        yield f"train.shard_size = {num_ranks}   (now {config.shard_size}: one copy of the weights over all ranks)"
    elif config.replicate_size not in (None, 1):
        yield "train.replicate_size = 1   (one copy of the weights over all ranks)"
    more = 2 * num_ranks
    yield f"torchrun --nproc-per-node {more} …   (now {num_ranks}: weights and moments are split over all ranks)"
    if not config.cpu_offload:
        yield "train.cpu_offload = true   (weights and moments in host memory; much slower)"
    yield f"train.max_length = {config.max_length // 2}   (changes the result: longer examples are left out)"
