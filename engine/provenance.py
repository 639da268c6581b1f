"""Provenance: what an attempt ran on and with, enough to explain a difference between two machines or two days.

    machine, packages, git, command, inputs  →  environment.json        of the first attempt
                                             →  environment-K.json      of attempt K, where something is different

Hashes of inputs are whole up to HASHED_WHOLE bytes; of a larger file size and both ends are hashed. No value of an
environment variable is written, and what looks like a secret in a command line is hidden (redaction.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.compute import hardware_name
from engine.git_state import git_facts, git_state
from engine.redaction import redacted_command
from engine.whole_files import write_whole

HASHED_WHOLE = 64 * 1024 * 1024
EDGE_BYTES = 1024 * 1024
MODEL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors", "*.bin")
SNAPSHOT = re.compile(r"[0-9a-f]{40}")
"""The name of a downloaded model's folder: its commit."""

LIBRARIES = ("torch", "transformers", "safetensors", "datasets", "numpy", "jinja2", "vllm")
PER_CALL = ("command", "ranks")
"""Differ from attempt to attempt without anything else being different; attempts.jsonl has them."""


def describe_environment(run: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, as JSON. `run` is the folder that keeps the uncommitted difference."""
    state = git_state()
    installed = packages()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        **hardware(),
        "libraries": {name: installed.get(name) for name in LIBRARIES},
        "project_version": version("critique-guided-distillation"),
        "git_revision": state.name if state else None,
        "git": git_facts(run, state),
        "packages": installed,
        "command": redacted_command(sys.argv[1:]),
        **inputs,
    }


def note_environment(folder: Path, attempt: int, facts: Mapping[str, Any]) -> str:
    """The name of the file in the folder that says all this: one that is there already, or a new one."""
    wanted = comparable(facts)
    for path in sorted(folder.glob("environment*.json")):
        try:
            if comparable(json.loads(path.read_text(encoding="utf-8"))) == wanted:
                return path.name
        except (OSError, ValueError):
            continue
    first = not (folder / "environment.json").exists()
    name = "environment.json" if first else f"environment-{attempt}.json"
    write_whole(folder / name, json.dumps(facts, indent=2) + "\n")
    return name


def comparable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What tells two environments apart, as it reads back from JSON."""
    kept = {key: value for key, value in facts.items() if key not in PER_CALL}
    return dict(json.loads(json.dumps(kept)))


# ---- the machine ------------------------------------------------------------------------------------


@cache
def hardware() -> dict[str, Any]:
    """Processor, memory, GPUs and their driver."""
    import torch  # heavy, and only here

    cuda = torch.cuda.is_available()
    devices = range(torch.cuda.device_count()) if cuda else ()
    return {
        "cpu": hardware_name(torch.device("cpu")),
        "cpu_count": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [torch.cuda.get_device_name(i) for i in devices],
        "gpu_memory_bytes": [torch.cuda.get_device_properties(i).total_memory for i in devices],
        "gpu_driver": gpu_driver(),
        "cuda": torch.version.cuda,
    }


def gpu_driver() -> str | None:
    """The version of NVIDIA's driver, as the kernel tells it."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"\b\d{3}\.[\d.]+\b", text)
    return found[0] if found else text.partition("\n")[0].strip()


@cache
def packages() -> dict[str, str]:
    """Every installed distribution and its version, from the names of their folders: reading each takes long."""
    found: dict[str, str] = {}
    for folder in map(Path, sys.path):
        for path in folder.glob("*.dist-info") if folder.is_dir() else ():
            name, _, number = path.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(name.lower().replace("_", "-"), number)
    return dict(sorted(found.items()))


def version(distribution: str) -> str | None:
    """The installed version, without importing the package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


# ---- inputs -----------------------------------------------------------------------------------------


def file_facts(path: Path) -> dict[str, Any]:
    """Path, size and hash of a file; what is wrong with it where it cannot be read."""
    try:
        size = path.stat().st_size
        kind = "sha256" if size <= HASHED_WHOLE else "sha256_of_size_and_ends"
        return {"path": str(path), "bytes": size, kind: hash_of_file(path, size)}
    except OSError as error:
        return {"path": str(path), "error": str(error)}


def hash_of_file(path: Path, size: int) -> str:
    """The file's sha256; of a large one that of its size and both ends."""
    with path.open("rb") as file:
        if size <= HASHED_WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(f"{size}\n".encode() + file.read(EDGE_BYTES))
        file.seek(size - EDGE_BYTES)
        digest.update(file.read())
        return digest.hexdigest()


def model_facts(folder: Path) -> dict[str, Any]:
    """A model folder: every file that is read from it; the commit too, where the folder is a downloaded one."""
    found: dict[str, Any] = {"path": str(folder)}
    if SNAPSHOT.fullmatch(folder.name):
        found["commit"] = folder.name
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    return {**found, "files": files_facts(files)}


def files_facts(paths: Iterable[Path]) -> dict[str, Any]:
    """Size and hash by file name."""
    facts = {path.name: file_facts(path) for path in paths}
    return {name: {k: v for k, v in fact.items() if k != "path"} for name, fact in facts.items()}
