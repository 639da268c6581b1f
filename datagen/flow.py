"""The flow: all records through all stages, each exactly once, whatever happens.

    prompts -> replay what the journals hold -> two desks (student, teacher) -> journal -> publish

A text is journalled the moment it comes, and its chain moves on at once: on two servers a critique
begins while other answers are still being written. So there is no state but the journals: a run that
was killed replays them, and what is then still due is what it has to do.

Models that run here work one at a time: the student's stages first, then the teacher's. Generators that
write batches get them in waves, a stage at a time, with the texts that are there already in their places:
a resumed run forms the batches of an undisturbed one, and so writes the same, bit for bit.

A run stops early where its budget is spent, where a gate refuses too much, or where nothing but failures
comes back: it hands in nothing more, and what is in flight is still collected and journalled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from datagen.accounts import Account, Price, TextFlops
from datagen.budget import Budget
from datagen.chain import Course
from datagen.finished import SUMMARY, Published, already_published, left_by_finished_run
from datagen.gates import Judge
from datagen.generators import Generator
from datagen.journal import open_journals
from datagen.plan import plan_stages
from datagen.progress_bar import Say, Watch, say_line, unwatched
from datagen.publish import JOURNALS, publish, read_prompts
from datagen.stages import GenerateConfig
from datagen.workers import Worker
from datagen.writing import Writing

DEFAULT_STAGES = ("answer", "critique", "refine")


def run_flow(
    prompts: Path,
    folder: Path,
    student: Generator,
    teacher: Generator,
    config: GenerateConfig,
    seed: int,
    stages: Sequence[str] = DEFAULT_STAGES,
    judge: Judge | None = None,
    worker: tuple[int, int] = (0, 1),
    say: Say = say_line,
    prices: Mapping[str, Price] | None = None,
    devices: Mapping[str, int] | None = None,
    flops: Mapping[str, TextFlops] | None = None,
    retry_failed: bool = True,
    watch: Watch = unwatched,
) -> Published | None:
    """Takes the prompts through the stages, and writes the stages' files into `folder`.

    `prices`, `devices` that one copy of a model takes, and a text's `flops` go by stage. Returns None where
    other workers still have work to do: the last one writes the files. With `retry_failed = False` records
    that failed before, and that `generate.max_failed_share` lets go, stay as they are in a run that is finished.
    """
    folder = Path(folder)
    try:
        identities = {"student": student.identity, "teacher": teacher.identity}
    except ValueError as error:  # a server that would have to tell what it serves does not answer
        finished = left_by_finished_run(prompts, folder)
        if finished is None:
            raise
        say(f"{finished.sentence()} (the models could not be looked at: {error})")
        return finished
    plans = plan_stages(stages, config, identities, seed)
    course = Course(plans, config.gates, judge)
    done = already_published(prompts, folder, course, config)
    if done is not None and not (retry_failed and done.failed):
        say(done.sentence())
        return done
    me = Worker(*worker)
    records = read_prompts(prompts, course, config.samples_per_prompt)
    mine = [record for record in records if me.owns(record.id)]
    with open_journals(folder / JOURNALS, me.journal, say, me.owns) as (journals, append):
        budget = Budget.of(config, prices or {}, journals.spent, me.count)
        writing = Writing(course, config, journals, append, budget, say, watch)
        writing.look_around(mine)
        (folder / SUMMARY).unlink(missing_ok=True)  # what it speaks of is about to change
        writing.write(student, teacher)
    account, progress = Account(prices, devices, flops), writing.progress
    pace = (progress.seconds, progress.written_tokens) if me.count == 1 else None
    return publish(prompts, folder, records, course, config, account, me, say, pace)
