"""What answers cost: device-seconds and FLOPs of texts that a model here has written.

    back end, model → text_flops → FLOPs of one text (prompt, completion, cached tokens)
    rows of a benchmark + text_flops → rows_account → the entry in scores.json

Device-seconds are each text's share of its batch's time, times the devices that hold one copy of the model; loading is
not in them. Of a server nobody knows either, and a script has none: None stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from datagen.accounts import LOCAL, TextFlops
from datagen.model_folder import find_model

if TYPE_CHECKING:
    from engine.flops import Arithmetic


def text_flops(backend: str, model: str | None, revision: str | None) -> TextFlops | None:
    """A function of token counts; None where the model does not run here. Its shape is read with the first text."""
    if backend not in LOCAL or model is None:
        return None
    shape = cache(lambda: arithmetic_or_none(model, revision or None))

    def of_text(prompt: int, completion: int, cached: int) -> float | None:
        found = shape()
        return None if found is None else found.generation(prompt, completion, cached)

    return of_text


def arithmetic_or_none(model: str, revision: str | None) -> Arithmetic | None:
    """The model's arithmetic; None where its configuration is of a kind that only its back end knows."""
    from engine.flops import arithmetic_in  # loads torch, for which reading a config does not wait

    try:
        return arithmetic_in(find_model(model, revision))
    except Exception:  # whatever an unknown architecture brings about
        return None  # no figure is worth a run's end


def rows_account(
    rows: Sequence[Mapping[str, Any]], identity: Mapping[str, str], devices: int
) -> dict[str, float | None]:
    """`prompt_tokens`, `completion_tokens`, `device_seconds` and `flops` of all answers to a benchmark.

    Rows do not say what of a prompt the back end had cached: all of it counts as read.
    """
    account: dict[str, float | None] = {
        "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
        "completion_tokens": sum(row["tokens"] for row in rows),
        "device_seconds": None,
        "flops": None,
    }
    of_text = text_flops(identity["backend"], identity.get("model"), identity.get("revision"))
    if of_text is not None:
        account["device_seconds"] = devices * sum(row["seconds"] for row in rows)
        found = [of_text(row["prompt_tokens"], row["tokens"], 0) for row in rows]
        known = [flops for flops in found if flops is not None]
        account["flops"] = sum(known) if len(known) == len(found) else None
    return account
