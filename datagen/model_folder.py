"""Where a model is, and what exactly it is: found before anything heavy is loaded.

    "runs/x/export" or "owner/name" -> find_model -> local folder -> fingerprint

The fingerprint tells one checkpoint from another that was put into the same folder. Weights are
hashed whole while they are small; of large files the header, the size and both ends are, which
tells trainings apart without reading hundreds of gigabytes.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

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
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        at = f" at revision {revision}" if revision else ""
        raise ValueError(
            f"{key}: there is no folder {name}, and the hub does not give {name}{at}: {reason}"
        ) from error


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
