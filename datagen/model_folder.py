"""Where a model is, and what exactly it is: found before anything heavy is loaded.

    "runs/x/export" or "owner/name" -> find_model -> local folder -> fingerprint

The fingerprint tells one checkpoint from another that was put into the same folder. Weights are
hashed whole while they are small; of large files the header, the size and both ends are, which
tells trainings apart without reading hundreds of gigabytes.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from datagen.reasons import first_line

WHOLE_BELOW_BYTES = 64 * 2**20
END_BYTES = 2**20
HASHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""Weights, configuration, tokenizer and chat template."""


def find_model(name: str, revision: str | None, key: str = "model") -> Path:
    """The folder of a model: the folder that is named, or a hub model's, fetched where necessary."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"{key}: the folder {name} holds no config.json: it is no model folder"
            )
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise ValueError(f"{key}: there is no folder {name}, and it is no hub id (`owner/name`)")
    return _fetch(name, revision, key)


def _fetch(name: str, revision: str | None, key: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(HASHED)))
    except Exception as error:  # network, authorisation, spelling: the hub has an error for each
        raise ValueError(f"{key}: {hub_in_words(error, name, revision)}") from error


def hub_in_words(error: Exception, name: str, revision: str | None) -> str:
    """Why a model did not come from the hub, and the command that mends it."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    at = f" at revision {revision}" if revision else ""
    if "GatedRepoError" in kinds:
        page = f"https://huggingface.co/{name}"
        return f"{name} is gated on the hub: accept its conditions at {page}, then `hf auth login`"
    if "RevisionNotFoundError" in kinds:
        return f"the hub has no {name}{at}: see https://huggingface.co/{name}/tree/main"
    if "RepositoryNotFoundError" in kinds:
        return (
            f"there is no folder {name}, and the hub does not give {name}: it knows no such model; check the "
            "spelling; a private one needs `hf auth login`"
        )
    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
    offline = offline and not kinds.isdisjoint({"LocalEntryNotFoundError", "OfflineModeIsEnabled"})
    remedy = (
        f"HF_HUB_OFFLINE is set: `env -u HF_HUB_OFFLINE hf download {name}`"
        if offline
        else f"{first_line(error)}; `hf download {name}` where there is a connection, then name that folder"
    )
    return f"there is no folder {name}, and the hub does not give {name}{at}: {remedy}"


def fingerprint(folder: Path) -> str:
    """A hash of the model's files; equal for copies, different for another training."""
    whole = hashlib.sha256()
    files = sorted({file for pattern in HASHED for file in folder.glob(pattern)})
    for file in files:
        whole.update(f"{file.name} {file.stat().st_size} {_hash_of(file)}\n".encode())
    return f"sha256:{whole.hexdigest()[:32]}"


def _hash_of(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_BELOW_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        header_bytes = (
            int.from_bytes(file.read(8), "little") if path.suffix == ".safetensors" else 0
        )
        file.seek(0)
        start = file.read(min(8 + header_bytes, WHOLE_BELOW_BYTES) + END_BYTES)
        file.seek(size - END_BYTES)
        return hashlib.sha256(start + file.read()).hexdigest()
