"""The verb `grade`: answer matching on a file, without a run.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import Verbs, add


def add_grade_verb(verbs: Verbs) -> None:
    """Which file, and where the graded one goes."""
    graded = add(verbs, "grade", grade, "match answers in a JSONL file with `pred` and `gold`")
    graded.add_argument("file", type=Path, metavar="FILE", help="JSONL; other fields pass through")
    graded.add_argument("--out", type=Path, required=True, metavar="FILE", help="the graded JSONL")


def grade(options: argparse.Namespace) -> None:
    """Answer matching on a file."""
    from evals.grading import grade_file

    print(grade_file(options.file, options.out))
