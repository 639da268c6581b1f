"""The models that a configuration names: which there are, where they lie, and whether a folder is whole.

    [student], [teacher], [judge] → NamedModel → a folder here, the hub's cache, or the hub

A folder is read as far as its headers: config.json, the index against the files, and of each safetensors file the
beginning, which also says how long the file must be. No weights are loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from engine.weights import names_in
from launch.config import Config
from launch.doctor_finding import Finding, error, ok, size
from launch.doctor_hub import cached_folder, model_on_hub

INDEX = "model.safetensors.index.json"
LFS_POINTER = b"version https://git-lfs"
BYTES_OF = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1}


@dataclass(frozen=True)
class NamedModel:
    """A model that runs on this machine, and where the configuration names it."""

    section: str
    """student, teacher or judge."""
    name: str
    revision: str | None = None
    chat_template: str | None = None
    work: frozenset[str] = frozenset({"data", "train", "base", "evaluate"})
    """The kinds of work ahead: what is asked of the model follows from them."""

    @property
    def key(self) -> str:
        """`student.model`."""
        return f"{self.section}.model"

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine, in the hub's cache at last; None where it is not here at all."""
        path = Path(self.name).expanduser()
        if path.is_dir():
            return path
        return cached_folder(self.name, self.revision) if self.can_be_on_hub else None

    @property
    def can_be_on_hub(self) -> bool:
        """Whether it has the form `owner/name`."""
        return self.name.count("/") == 1 and not self.name.startswith((".", "/", "~"))


@dataclass(frozen=True)
class Weights:
    """What the headers of a model's files say."""

    num_parameters: int
    num_bytes: int
    embedding_rows: int | None


def models_of(config: Config, kinds: frozenset[str]) -> list[NamedModel]:
    """The models that work of these kinds runs or trains here. A server's model is the server's affair, and so is an
    export that stages will have made by then."""
    models = []
    student, on_server = config.student, bool(config.inference.base_url)
    if student.model and (kinds & {"train", "base"} or ("data" in kinds and not on_server)):
        named = NamedModel("student", student.model, student.revision, student.chat_template, kinds)
        models.append(named)
    others = {"teacher": config.teacher} if "data" in kinds else {}
    others |= {"judge": config.judge} if "diagnose" in kinds and config.judge.named else {}
    for section, other in others.items():
        if other.runs_on in ("transformers", "vllm") and other.model:
            named = NamedModel(section, other.model, other.revision, other.chat_template, kinds)
            models.append(named)
    return models


def model_finding(model: NamedModel) -> Finding:
    """Whether it is here and whole, or can be fetched."""
    path = Path(model.name).expanduser()
    if path.is_dir():
        return folder_finding(model.key, path)
    if not model.can_be_on_hub:
        return no_folder(model.key, path)
    cached = model.folder
    if cached is not None:
        found = folder_finding(model.key, cached)
        if found.state == "ok":
            return ok(model.key, f"{model.name}, in the hub's cache: {size_of(weights_of(cached))}")
    return model_on_hub(model.key, model.name, model.revision)


def no_folder(key: str, path: Path) -> Finding:
    """There is nothing under that name, and it is no name of the hub."""
    beside = [str(p) for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    near = get_close_matches(str(path), beside, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    relative = "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
    return error(
        key,
        f"there is no folder {path}{relative}{hint}",
        f"name a folder, or a hub id: --set {key}=…",
    )


def folder_finding(key: str, folder: Path) -> Finding:
    """Whether a model folder is whole."""
    if not (folder / "config.json").is_file():
        return error(
            key, f"{folder} holds no config.json: it is no model folder", other_kind(folder)
        )
    try:
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as mistake:
        return error(key, f"{folder / 'config.json'} cannot be read: {mistake}", "fetch it again")
    files = sorted(folder.glob("*.safetensors"))
    missing = missing_files(folder)
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        return error(
            key,
            f"{folder} is not whole: {INDEX} names {named}, which {'is' if len(missing) == 1 else 'are'} missing",
            "fetch or copy these files again",
        )
    if not files:
        return error(key, f"{folder} holds no .safetensors file", other_kind(folder))
    for file in files:
        if is_pointer(file):
            return error(
                key, f"{file} is a pointer of Git LFS, not the weights", f"git -C {folder} lfs pull"
            )
        try:
            names_in(file)
        except ValueError as mistake:
            return error(key, str(mistake).removeprefix("student.model: "))
    family = shape.get("model_type", "of unknown kind") if isinstance(shape, dict) else "?"
    return ok(key, f"{folder}: {family}, {size_of(weights_of(folder))}")


def other_kind(folder: Path) -> str:
    """What to do with a folder that holds something else."""
    if (folder / "adapter_config.json").is_file():
        return "this is an adapter (LoRA): merge it into its model and name the merged folder"
    if any(folder.glob("*.gguf")):
        return "GGUF files cannot be trained: name the model they were made from"
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt*")):
        return "convert its weights: from_pretrained(…).save_pretrained(…) writes safetensors"
    if any(folder.glob("step-*")):
        return "this holds checkpoints: `cgd export CONFIG` makes a model folder of one"
    return "name the folder that has config.json and the weights in it"


def missing_files(folder: Path) -> list[str]:
    """Files that the index names and the folder lacks; a folder without an index lacks none."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        named = {str(file) for file in index["weight_map"].values()}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as mistake:
        raise ValueError(f"{folder / INDEX} cannot be read ({mistake}); fetch it again") from None
    return sorted(name for name in named if not (folder / name).is_file())


def is_pointer(file: Path) -> bool:
    """Whether Git has left its note in place of a large file."""
    with file.open("rb") as content:
        return content.read(len(LFS_POINTER)) == LFS_POINTER


@lru_cache(maxsize=8)
def weights_of(folder: Path) -> Weights:
    """Parameters, bytes, and the rows of the embedding, from the headers of all files."""
    count = num_bytes = 0
    rows = None
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118  (no mapping)
                    part: Any = tensors.get_slice(name)
                    shape = part.get_shape()
                    numbers = math.prod(shape)
                    count += numbers
                    num_bytes += numbers * BYTES_OF.get(part.get_dtype(), 4)
                    rows = shape[0] if name.endswith("embed_tokens.weight") else rows
        except SafetensorError as mistake:
            raise ValueError(f"{file} is damaged ({mistake}); fetch it again") from None
    return Weights(count, num_bytes, rows)


def size_of(weights: Weights) -> str:
    """`8,030 million parameters, 16.1 GB`."""
    return f"{weights.num_parameters / 1e6:,.1f} million parameters, {size(weights.num_bytes)}"


def here(models: list[NamedModel]) -> Iterator[tuple[NamedModel, Path]]:
    """Those that lie on this machine and are whole, with their folders."""
    for model in models:
        folder = model.folder
        if folder is not None and folder_finding(model.key, folder).state == "ok":
            yield model, folder
