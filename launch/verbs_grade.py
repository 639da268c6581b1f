"""The verb `grade`: answer matching on a file, without a run.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import Verbs, add

ROWS = """\
A row has `pred` (an answer, or all that the model wrote) and `gold` (an answer, or a reference solution),
and may say how they are compared:
  choices     the options of a multiple-choice problem, their number or a list of them
  tolerance   the share of the gold answer by which a number with a decimal point may be off, such as 0.005
  error       the absolute error that the problem allows
Other fields pass through. A row gains `correct`, `extracted`, `rule`, `reason` and `status`; with --compat
also `correct_compat`, by the rules of the grader behind published tables (null without a gold answer).
"""


def add_grade_verb(verbs: Verbs) -> None:
    """Which file, and where the graded one goes."""
    graded = add(verbs, "grade", grade, "match answers in a JSONL file with `pred` and `gold`")
    graded.epilog = ROWS
    graded.formatter_class = argparse.RawDescriptionHelpFormatter
    graded.add_argument("file", type=Path, metavar="FILE", help="JSONL; other fields pass through")
    graded.add_argument("--out", type=Path, required=True, metavar="FILE", help="the graded JSONL")
    compat = "grade a second time by the rules of the grader behind published tables"
    graded.add_argument("--compat", action="store_true", help=compat)


def grade(options: argparse.Namespace) -> None:
    """Answer matching on a file."""
    from evals.grading_files import grade_file

    print(grade_file(options.file, options.out, options.compat))
