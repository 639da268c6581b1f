"""A training of two ranks, one of which runs out of memory, told as one JSON line.

python tests/engine_mishaps.py FOLDER STUDENT          FOLDER holds records.jsonl; see ranks.py for how ranks start
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mishaps
import torch

import engine.train


def main(folder: Path, student: Path) -> None:
    """Rank 1 lacks memory in its second step; rank 0 waits for it until it is ended."""
    training = mishaps.Training(folder, "lacking")
    real_step = engine.train.train_step

    def prepare(rank: int) -> None:
        steps: list[int] = []

        def lacking(*arguments: Any) -> Any:
            steps.append(1)
            if rank == 1 and len(steps) == 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. More")
            return real_step(*arguments)

        engine.train.train_step = lacking

    print(json.dumps(mishaps.run(training, training.config(str(student)), prepare)))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
