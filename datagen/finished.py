"""Finished: what a generation has left, and whether it is still what these prompts and settings make.

summary.json (written last) -> Published, if prompts, settings and all files are as they were
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from datagen.chain import Course
from datagen.output_files import file_sha256, is_file_with
from datagen.plan import digest
from datagen.stages import GenerateConfig

SUMMARY = "summary.json"
COUNTS = ("prompts", "records", "dropped", "failed")
"""What of `Published` stands in the summary."""


@dataclass(frozen=True)
class Published:
    """What the files hold."""

    folder: Path
    prompts: int
    """Records at the start, samples counted."""
    records: int
    """Records in the last stage's file."""
    dropped: int
    failed: int
    made_of: dict[str, str]
    """Hashes of what the files are a function of."""

    def sentence(self) -> str:
        """For a run that has nothing to do."""
        left_out = [f"{self.dropped:,} dropped by gates" if self.dropped else ""]
        left_out += [f"{self.failed:,} failed" if self.failed else ""]
        missing = ", ".join(part for part in left_out if part)
        counts = f"{self.records:,} records" + (f" ({missing})" if missing else "")
        return f"records: {counts}, complete, nothing to do"


def made_of(prompts: Path, course: Course, config: GenerateConfig) -> dict[str, str]:
    """What the files are a function of, as hashes, beside the models' moods."""
    plans = [
        [plan.name, plan.settings_sha256, asdict(plan.sampling), plan.thinking, plan.seed]
        for plan in course.stages
    ]
    judged = course.judge is not None
    settings = [plans, asdict(course.gates), config.samples_per_prompt, judged]
    return {"prompts_sha256": file_sha256(prompts), "settings_sha256": digest(settings)}


def already_published(
    prompts: Path, folder: Path, course: Course, config: GenerateConfig
) -> Published | None:
    """What a finished run has left, if it was of these prompts and settings and its files are as they were."""
    published = left_by_finished_run(prompts, folder)
    if published is None or published.made_of != made_of(prompts, course, config):
        return None
    too_many = published.failed > config.max_failed_share * published.prompts
    return None if too_many else published


def left_by_finished_run(prompts: Path, folder: Path) -> Published | None:
    """What a finished run of these prompts has left, whatever the settings are now."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        counts = {name: int(summary["counts"][name]) for name in COUNTS}
        published = Published(folder, **counts, made_of=summary["made_of"])
        if published.made_of["prompts_sha256"] != file_sha256(prompts):
            return None
        same = all(is_file_with(folder / name, sha) for name, sha in summary["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return published if same else None
