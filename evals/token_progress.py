"""How far an evaluation is, in tokens: answers differ in length more than in number.

    evaluate base/gsm8k: 240 of 1,319 answers, 1,850 tokens/s, 2:10 min left

The rate is over tokens written in this attempt; what is left is estimated from the mean length of all
answers so far. A bar on a terminal, a line now and then in a log file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

from datagen.progress_bar import BAR, LINE_EVERY_SECONDS, Say, Watch, clock, unwatched

Made = tuple[str, dict[str, Any]]
"""(key, row with its `tokens`)."""


def watched(
    made: Iterable[Made],
    label: str,
    total: int,
    kept_tokens: list[int],
    say: Say,
    watch: Watch = unwatched,
) -> Iterator[Made]:
    """The answers as they come; `kept_tokens` are the lengths of those that were there already."""
    done, tokens, written, new = len(kept_tokens), sum(kept_tokens), 0, 0
    started = said = arrived = time.monotonic()
    on_terminal = sys.stderr.isatty()
    look = {"bar_format": BAR, "dynamic_ncols": True, "disable": not on_terminal}
    with tqdm(desc=label, total=total, initial=done, **look) as bar:
        for key, row in made:
            now = time.monotonic()
            # Answers come in batches. A rate taken in the middle of one would be wrong by the batch's
            # size, so it is taken when an answer was waited for, over those before it.
            if new and now - arrived >= 0.5 * (arrived - started) / new:
                place = f"{done:,} of {total:,} answers"
                about = f"{place}, {pace(written, arrived - started, done, total, tokens)}"
                bar.set_description_str(f"{label}: {about}", refresh=False)
                watch(
                    tokens,
                    tokens / done * total,
                    written / (arrived - started),
                    f"{label}: {place}",
                )
                if not on_terminal and now - said >= LINE_EVERY_SECONDS:
                    said = now
                    say(f"{label}: {about}")
            new, done = new + 1, done + 1
            tokens, written = tokens + row["tokens"], written + row["tokens"]
            bar.update()
            yield key, row
            arrived = time.monotonic()


def pace(written: int, seconds: float, done: int, total: int, tokens: int) -> str:
    """`1,850 tokens/s, 2:10 min left`."""
    rate = written / seconds if seconds > 0 else 0.0
    if rate == 0:
        return "no tokens yet"
    left = (total - done) * (tokens / done) / rate
    return f"{rate:,.0f} tokens/s, {clock(left)} left"
