"""A process that grades: lines of JSON in, one line of JSON a case out.

    [{"prediction", "gold", "policy", "compat"}, …] per line → one line of verdict fields for each case

A line is read whole before the first answer is written, so neither side can block the other, and
every answer is flushed, so that whoever feeds the process knows which case it died on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from evals.grading import grade, grade_leniently, verdict_fields
from evals.policy import Policy

READY = b"ready\n"
"""The first line: the imports worked."""


def grade_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict's fields; with `compat` also what the lenient policy says."""
    policy = Policy(**case["policy"])
    verdict = grade(case["prediction"], case["gold"], policy)
    fields = verdict_fields(verdict)
    if verdict.status == "unparsable gold":
        fields |= {"correct": None}
    if case["compat"]:
        lenient = grade_leniently(case["prediction"], case["gold"], verdict, policy)
        fields |= {"correct_compat": lenient}
    return fields


def main() -> None:
    """Grades until its input ends."""
    sys.stdout.write(READY.decode())
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        for case in json.loads(line):
            sys.stdout.write(json.dumps(grade_case(case)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
