"""Which records are looked at: the complete ones, and of these a seeded sample.

A sample of 50 is part of the sample of 500, and a record's place in the draw depends on its id alone: what was
measured of few is not measured again when more are asked for (unless a row depends on the others of its sample).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from datagen.plan import digest
from datagen.records import Record

NEEDED = ("student_answer", "critique", "refined_answer")


def complete_records(
    records: Sequence[Record], balanced_by: str | None = None
) -> tuple[list[Record], Counter[str]]:
    """Records that have every text, and the field that balances the sample; and how many lack what."""
    whole, left_out = [], Counter[str]()
    for record in records:
        missing = next((name for name in NEEDED if not (getattr(record, name) or "").strip()), None)
        if missing is None and balanced_by is not None and getattr(record, balanced_by) is None:
            missing = balanced_by
        if missing is None:
            whole.append(record)
        else:
            left_out[f"no {missing}"] += 1
    return whole, left_out


def sample(
    records: Sequence[Record], count: int, seed: int, balanced_by: str | None = None
) -> tuple[Record, ...]:
    """So many records, the same number of each class, or all where there are fewer; in their order in the file."""
    drawn = sorted(range(len(records)), key=lambda i: digest(["diagnose", seed, records[i].id]))
    classes: dict[object, list[int]] = defaultdict(list)
    for i in drawn:
        classes[balanced_by and getattr(records[i], balanced_by)].append(i)
    each = -(-count // len(classes))
    return tuple(records[i] for i in sorted(i for own in classes.values() for i in own[:each]))
