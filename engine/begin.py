"""The beginning of an attempt at a training: everything that is noted about it, opened together.

    begin(…)  →  attempts.jsonl, environment.json, logs/attempt-K/rank-N.log, status.json  →  Attempt

All of it lies in the training's folder and tells of the attempt from outside; nothing of it is ever read back by the
training itself, except the attempt's number.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine.agreement import from_main, gather, on_every_rank
from engine.attempt_log import Attempt, AttemptLog, next_attempt
from engine.parallel import World
from engine.provenance import describe_environment, file_facts, model_facts, note_environment
from engine.rank_logs import rank_log
from engine.settings import StudentConfig
from engine.status_file import STATUS, StatusFile, Watch


@contextmanager
def begin(
    folder: Path,
    settings: Mapping[str, Any],
    source: Path,
    data: Path,
    world: World,
    watch: Watch | None = None,
) -> Iterator[Attempt]:
    """The attempt that begins now, for the length of the block. Collective.

    `source` and `data` are the files that are read. `watch` hears how far it is.
    """
    run, name = settings["run"], settings["train"].objective
    number = from_main(lambda: next_attempt(folder))
    hosts = Counter(gather(socket.gethostname()))
    status = StatusFile(folder / STATUS if world.is_main else None, number, watch)

    def note(held: ExitStack) -> None:
        inputs = {"seeds": {"run": run.seed}, "inputs": input_facts(settings, source, data)}
        facts = describe_environment(run.folder, inputs)
        environment = note_environment(folder, number, facts)
        started = {"ranks": dict(hosts), "git": facts["git_revision"], "environment": environment}
        held.enter_context(AttemptLog(folder, number, started))

    with ExitStack() as held:
        from_main(lambda: note(held))
        on_every_rank(lambda: held.enter_context(rank_log(folder, number, world.rank)))
        held.enter_context(status)
        status.stage(f"train {name}", 1, 1)
        yield Attempt(folder, f"{run.name}/{name}", number, settings, status)


def input_facts(settings: Mapping[str, Any], source: Path, data: Path) -> dict[str, Any]:
    """Every file that the training reads, with its hash."""
    student: StudentConfig = settings["student"]
    named = {"student": model_facts(source), "data": file_facts(data)}
    if student.chat_template is not None:
        named["chat_template"] = file_facts(Path(student.chat_template))
    return named
