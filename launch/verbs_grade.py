"""The verb `grade`: answer matching on a file, without a run.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from launch.verb import Verbs, add, add_json

ROWS = """\
A row has `pred` (an answer, or all that the model wrote) and `gold` (an answer, or a reference solution),
and may say how they are compared:
  choices     the options of a multiple-choice problem, their number or a list of them
  tolerance   the share of the gold answer by which a number with a decimal point may be off, such as 0.005
  error       the absolute error that the problem allows
Other fields pass through. A row gains `correct`, `extracted`, `rule`, `reason` and `status`; with --compat
also `correct_compat`, by the rules of the grader behind published tables (null without a gold answer).

examples:
  echo '{"pred": "The answer is 1/2.", "gold": "0.5"}' > rows.jsonl
  cgd grade rows.jsonl --out graded.jsonl              prints the accuracy
  cgd grade rows.jsonl --out graded.jsonl --compat     also as leniently as published tables were graded
  cgd grade rows.jsonl --out graded.jsonl --json       the accuracy for programs
"""


def add_grade_verb(verbs: Verbs) -> None:
    """Which file, and where the graded one goes."""
    graded = add(verbs, "grade", grade, "match answers in a JSONL file with `pred` and `gold`")
    graded.epilog = ROWS
    graded.add_argument("file", type=Path, metavar="FILE", help="JSONL; other fields pass through")
    graded.add_argument("--out", type=Path, required=True, metavar="FILE", help="the graded JSONL")
    compat = "grade a second time by the rules of the grader behind published tables"
    graded.add_argument("--compat", action="store_true", help=compat)
    add_json(graded)


def grade(options: argparse.Namespace) -> None:
    """Answer matching on a file, and the accuracy."""
    from evals.grading_files import grade_file

    summary = grade_file(options.file, options.out, options.compat)
    if not options.json:
        print(summary)
        return
    facts = {"out": str(options.out), "graded": summary.graded, "accuracy": summary.accuracy}
    if summary.lenient is not None:
        correct, of = summary.lenient
        facts["compat"] = {
            "graded": of,
            "correct": correct,
            "accuracy": correct / of if of else None,
        }
    facts |= {"rows": summary.rows, "correct": summary.correct, "statuses": summary.statuses}
    print(json.dumps(facts, indent=2))
