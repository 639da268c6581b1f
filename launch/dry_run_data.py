"""The data stages in a dry run: prompts that are here are found and counted, those of the hub are not fetched.

    [data] on this machine -> estimate.py -> tokens, hours, money of each stage
    [data] of the hub      -> how many records there would be, as far as settings and data cards say

What the hub's cache holds counts as being on this machine.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from datagen.known_sources import KNOWN
from datagen.row_files import find_files
from datagen.sources import BUILT_IN, BUILT_IN_LIMIT, DataConfig, looks_like_hub
from launch.config import Config
from launch.estimate import estimate_lines, estimate_of


def generation(config: Config, options: argparse.Namespace) -> dict[str, Any]:
    """What the data stages would take, or why that is not known here."""
    said: list[str] = []
    expect, rate = getattr(options, "expect", []), getattr(options, "tokens_per_second", None)
    try:
        made, num_prompts = estimate_of(config, expect, rate, said.append)
    except ValueError as error:
        if not is_on_hub(config.data):
            raise ValueError("\n".join([*said, str(error)])) from error
        unknown = f"{config.data.prompts} is not on this machine; the first stage fetches it"
        return {"prompts": most_prompts(config.data), "unknown": unknown}
    return {
        "prompts": num_prompts,
        "remarks": said,
        "stages": [asdict(stage) for stage in made.stages],
        "counted_with": made.counted_with,
        "tokens": made.tokens,
        "usd": made.usd,
        "table": list(estimate_lines(made, config.generate)),
    }


def expected_records(config: Config) -> int | None:
    """How many there will be at most; None where only the hub knows."""
    if config.generate.mixture.total is not None:
        return config.generate.mixture.total
    prompts = most_prompts(config.data)
    return prompts and prompts * config.generate.samples_per_prompt


def most_prompts(data: DataConfig) -> int | None:
    """As many as settings allow, and the source has."""
    if data.prompts in BUILT_IN:
        return data.limit or BUILT_IN_LIMIT
    size = KNOWN[data.prompts].size if data.prompts in KNOWN else None
    if not is_on_hub(data) and (files := find_files(data.prompts)):
        size = files.count()
    return data.limit if size is None else min(data.limit or size, size)


def is_on_hub(data: DataConfig) -> bool:
    """Whether the prompts would be fetched."""
    name = data.prompts
    is_known = name in KNOWN or (name not in BUILT_IN and looks_like_hub(name))
    return is_known and (name in KNOWN or find_files(name) is None)
