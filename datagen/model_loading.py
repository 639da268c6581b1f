"""A causal language model into memory: every tensor from its files, on a device that is there, or a message.

    folder → load_model → every tensor found, none made up → on its device          enough_memory: while it works

transformers fills what its files lack with random numbers and goes on; a text of such a model would be worth nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from datagen.reasons import first_line

SHOWN = 3
"""Names of tensors in a message."""


def device_of(name: str | None) -> torch.device:
    """The device of that name, or a GPU where there is one. Raises ValueError where it is not here."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name is None:
        return torch.device("cuda" if count else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device: {name!r} is none of cpu, cuda, cuda:0, cuda:1, …") from None
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(
            f"device: {name!r} is asked for, but torch sees {count} GPU(s) here; leave device unset to use what "
            "there is; `cgd doctor` says why a GPU is not seen"
        )
    return device


def load_model(folder: Path, device: torch.device) -> Any:
    """The model in evaluation mode: fp32 on a CPU, bf16 on a GPU. Raises ValueError where its files are not whole."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with quiet(), enough_memory("the model's weights", "a smaller model, or another GPU (device)"):
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
            )
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a torn file, an absent one, an unknown kind of model
            raise ValueError(
                f"the model in {folder} cannot be loaded ({first_line(error)}); fetch the folder again"
            ) from error
        require_all(folder, found)
        return model.to(device).eval()


def require_all(folder: Path, found: dict[str, Any]) -> None:
    """Raises ValueError where a tensor was not in the files, or had another shape."""
    others = [entry[0] if isinstance(entry, tuple) else entry for entry in found["mismatched_keys"]]
    bad = sorted({*found["missing_keys"], *others})
    if bad:
        more = " …" if len(bad) > SHOWN else ""
        raise ValueError(
            f"the model in {folder} is not whole: {len(bad)} tensor(s) of its config.json are not in its weight "
            f"files, or have another shape there ({', '.join(bad[:SHOWN])}{more}); fetch the folder again"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and reports: what matters of them is checked here."""
    had_bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()


@contextmanager
def enough_memory(what: str, remedy: str) -> Iterator[None]:
    """Turns a lack of memory inside the block into a ValueError that says what did not fit, and what would."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_lack = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_lack and "can't allocate memory" not in str(error):
            raise
        asked = ". ".join(str(error).partition("\n")[0].split(". ")[:2]).rstrip(".")
        raise ValueError(
            f"out of memory: {what} do not fit ({asked}); use {remedy}. Texts so far are safe: the same command goes on"
        ) from error
