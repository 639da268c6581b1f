"""The records a variant is trained on: `python -m launch.mixture SOURCE OUT --seed S [what is asked for]`.

    records with a critique -> share of right student answers, number -> content of the critique -> OUT

The share is taken first and the critiques are replaced after, so that the same source and seed give the same
records under every content (`datagen.critique_content`). OUT appears whole or not at all, and a command that
has done its work before does nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from datagen.critique_content import CONTENTS, Content, has_critique, with_critiques
from datagen.mixtures import MixtureConfig, choose
from datagen.progress_bar import say_line
from datagen.records import json_line, read_records, write_whole


def write_mixture(
    source: Path, out: Path, wanted: MixtureConfig, critiques: Content, seed: int
) -> None:
    """Writes the mixture and says what is in it; the source stays as it is."""
    if out.resolve() == source.resolve():
        raise ValueError(f"mixture: {out} is the source itself; name another file to write")
    records = read_records(source)
    complete = [record for record in records if has_critique(record)]
    if not complete:
        raise ValueError(f"{source}: none of {len(records):,} records has a critique")
    chosen = choose(complete, wanted.correct_share, wanted.total, seed)
    replaced = with_critiques(chosen, critiques, seed)
    content = b"".join(json_line(record.to_json()) for record in replaced.records)
    if out.is_file() and out.read_bytes() == content:
        say_line(f"{out}: {len(chosen):,} records, complete, nothing to do")
        return
    write_whole(out, content)
    right = sum(record.student_correct is True for record in chosen)
    say_line(
        f"{out}: {len(chosen):,} of {len(records):,} records, {right:,} with a right student answer; "
        f"critiques: {critiques}"
    )
    if without := len(records) - len(complete):
        say_line(f"left out: {without:,} records without a critique")
    if replaced.num_same:
        say_line(f"{replaced.num_same:,} {critiques} critiques read exactly like the record's own")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m launch.mixture", description=__doc__)
    made.add_argument(
        "source", type=Path, help="JSON Lines of records with critique and refinement"
    )
    made.add_argument("out", type=Path, help="the file to write")
    made.add_argument(
        "--seed", type=int, required=True, help="chooses records, and whose critique goes where"
    )
    made.add_argument("--correct-share", type=float, help="share of right student answers, 0 to 1")
    made.add_argument("--total", type=int, help="so many records (as many as the share allows)")
    made.add_argument(
        "--critiques", choices=CONTENTS, default="real", help="what stands as the critique"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 done, 2 something the user can mend."""
    options = parser().parse_args(arguments)
    try:
        wanted = MixtureConfig(correct_share=options.correct_share, total=options.total)
        write_mixture(options.source, options.out, wanted, options.critiques, options.seed)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
