"""Writing: one worker's part of the flow, from what the journals hold to the last text.

    replay -> announce -> phase: { desks take what is due -> journal -> chain moves on } -> next phase

Two servers are one phase, and so is one generator that is student and teacher in one: everything that is
due is handed in as soon as there is room. Models that run here are a phase each. A generator of batches
gets its work in waves: all texts of one stage and attempt, in the order of the prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from datagen.announcement import Standing
from datagen.budget import Budget, BudgetSpent
from datagen.chain import Course, Due, Position, begin, fail, follow, replay
from datagen.desk import Desk
from datagen.flow_progress import FlowProgress
from datagen.gates import GateCounts, check_share
from datagen.generators import Failure, Generator, Outcome
from datagen.journal import Entry, FailedEntry, Journals, Line
from datagen.progress_bar import Say, Watch, unwatched
from datagen.records import Record
from datagen.sessions import BatchSession
from datagen.stages import GenerateConfig

Dues = list[Due | None]
"""By record, in the order of the prompts: what it waits for; None where nothing is due any more."""
POLL_SECONDS = 0.02
"""How long one session is waited for while another one is at work, too."""
WAIT_SECONDS = 0.5
"""How long the only one is waited for."""
FAILURES_IN_A_ROW = 100
"""So many without a text between them: the server is gone, and the rest would only fail, too."""


class Writing:
    """One worker's part of the flow, from replay to the last text."""

    def __init__(
        self,
        course: Course,
        config: GenerateConfig,
        journals: Journals,
        append: Callable[[Line], None],
        budget: Budget,
        say: Say,
        watch: Watch = unwatched,
    ) -> None:
        self._course, self._config = course, config
        self._journals, self._append = journals, append
        self._budget, self._say, self._watch = budget, say, watch
        self._counts = GateCounts()
        self._failures_in_a_row: Counter[str] = Counter()
        self._gone: set[Desk] = set()
        self._stop: ValueError | None = None

    def look_around(self, records: Sequence[Record]) -> None:
        """Finds what every record waits for; says what is there, and objects to what cannot go well."""
        self._records = records
        standing = Standing(self._course, self._journals)
        self._dues: Dues = []
        for record in records:
            position = self._replay(begin(record, self._course))
            standing.add(position)
            for ruled in position.ruled:
                self._counts.add(ruled.entry.stage, record.id, ruled.ruling)
            self._dues.append(as_due(position))
        standing.refuse_other_prompts()
        for sentence in standing.sentences():
            self._say(sentence)
        check_share(self._counts, self._config.gates)
        names = [plan.name for plan in self._course.stages]
        self.progress = FlowProgress(names, len(records), standing.kept, self._say, self._watch)

    def write(self, student: Generator, teacher: Generator) -> None:
        """Writes what is due; raises ValueError where the run had to stop before the end."""
        positions = self._dues
        desks = {"student": Desk(student), "teacher": Desk(teacher)}
        if student is teacher:
            desks["teacher"] = desks["student"]
        try:
            open_servers(desks, positions)
            for writers in phases(student, teacher):
                self._work_through(positions, {name: desks[name] for name in writers})
                for name in writers:
                    desks[name].close()  # a model that runs here makes room for the next
        finally:
            self.progress.close()
            for desk in desks.values():
                desk.close()
        if self._stop is not None:
            raise self._stop

    def _replay(self, position: Position) -> Position:
        return replay(position, self._journals.text, self._course)

    def _work_through(self, positions: Dues, desks: Mapping[str, Desk]) -> None:
        """All that these desks can do; `positions` is brought up to date."""
        needed = [d for n, d in desks.items() if any(is_for(p, {n: d}) for p in positions)]
        if self._stop is not None or not needed:
            return
        if isinstance(needed[0].session, BatchSession):
            self._in_waves(positions, desks)
        else:
            self._streaming(positions, desks)

    def _take(self, due: Due, outcome: Outcome, desks: Mapping[str, Desk]) -> Position:
        """Journals what came, and says where its record stands now."""
        work, writer = due.work, due.work.plan.stage.writer
        if isinstance(outcome, Failure):
            self._append(FailedEntry(work.plan.name, work.request.id, work.key, outcome))
            self._failures_in_a_row[writer] += outcome.kind != "too long"
            if self._failures_in_a_row[writer] >= FAILURES_IN_A_ROW:
                self._give_up(desks[writer], nothing_works(due, outcome))
            return fail(due, outcome, self._course)
        self._failures_in_a_row[writer] = 0
        measured = {name: value for name, value in vars(outcome).items() if name != "text"}
        provenance = work.provenance | measured
        entry = Entry(work.plan.name, work.request.id, outcome.text, provenance)
        self._append(entry)
        position = follow(due, entry, self._course)
        ruling = position.ruled[-1].ruling
        self._counts.add(entry.stage, entry.id, ruling)
        self.progress.add(entry.stage, outcome.completion_tokens, ruling.action == "keep")
        try:
            check_share(self._counts, self._config.gates)
        except ValueError as error:
            self._stop_because(error)
        return position

    def _stop_because(self, reason: ValueError) -> None:
        """The first reason counts."""
        self._stop = self._stop or reason

    # ---- streams: servers, and engines that take requests while they write ----------------------------

    def _streaming(self, positions: Dues, desks: Mapping[str, Desk]) -> None:
        """Whatever is due is handed in as soon as there is room."""
        number_of = {record.id: number for number, record in enumerate(self._records)}
        for position in positions:
            put(position, desks)
        at_work = list(dict.fromkeys(desks.values()))
        while True:
            for desk in at_work:
                if self._stop is None:
                    desk.fill(self._budget.admits, self._budget.reserve)
            busy = [desk for desk in at_work if desk.num_in_flight and desk not in self._gone]
            if not busy:
                break
            finished = self._collect(busy)
            self.progress.tick()
            for due, outcome in finished:
                self._budget.release(due.work)
                position = as_due(self._replay(self._take(due, outcome, desks)))
                positions[number_of[due.record.id]] = position
                put(position, desks)
        if any(desk.num_waiting for desk in at_work):
            self._stop_because(BudgetSpent(self._budget.sentence()))

    def _collect(self, busy: Sequence[Desk]) -> list[tuple[Due, Outcome]]:
        """What has finished at any of the desks; waits a moment where nothing has."""
        for timeout in (0.0, POLL_SECONDS) if len(busy) > 1 else (WAIT_SECONDS,):
            finished = []
            for desk in busy:
                try:
                    finished += desk.collect(timeout)
                except (
                    ValueError
                ) as error:  # it cannot go on; what the others write is still wanted
                    self._give_up(desk, error)
            if finished:
                break
        return finished

    def _give_up(self, desk: Desk, reason: ValueError) -> None:
        """What is in flight there is not waited for."""
        self._gone.add(desk)
        self._stop_because(reason)

    # ---- waves: generators of batches -------------------------------------------------------------------

    def _in_waves(self, positions: Dues, desks: Mapping[str, Desk]) -> None:
        """Every stage in turn, and in it every attempt: what a batch holds depends on nothing else."""
        others = {"student", "teacher"} - desks.keys()
        for number, record in enumerate(self._records):
            position = begin(record, self._course)
            position = replay(position, self._journals.text, self._course, others)
            positions[number] = as_due(position)
        while self._stop is None:
            waiting = [due for due in positions if due is not None and is_for(due, desks)]
            if not waiting:
                break
            place, attempt = min((due.place, due.work.attempt) for due in waiting)
            level = {
                number: due
                for number, due in enumerate(positions)
                if due is not None and (due.place, due.work.attempt) == (place, attempt)
            }
            for sampling in dict.fromkeys(due.work.sampling for due in level.values()):
                alike = {n: due for n, due in level.items() if due.work.sampling == sampling}
                self._wave(alike, positions, desks)

    def _wave(self, level: Mapping[int, Due], positions: Dues, desks: Mapping[str, Desk]) -> None:
        """The texts of one stage, attempt and sampling. Those that are there keep their places."""
        desk = desks[next(iter(level.values())).work.plan.stage.writer]
        number_of = {due.record.id: number for number, due in level.items()}
        there = {n: self._journals.text(due.work.key) for n, due in level.items()}
        for number, entry in there.items():
            if entry is not None:
                positions[number] = as_due(follow(level[number], entry, self._course))
        if all(there.values()) or self._stop is not None:
            return
        for number, due in level.items():
            desk.submit(due, done=there[number] is not None)
        while desk.num_in_flight and self._stop is None:
            if self._budget.is_spent():
                self._stop_because(BudgetSpent(self._budget.sentence()))
                break
            finished = desk.collect(WAIT_SECONDS)
            self.progress.tick()
            for due, outcome in finished:
                position = self._take(due, outcome, desks)
                positions[number_of[due.record.id]] = as_due(position)


def as_due(position: Position) -> Due | None:
    """What a record waits for; one that has come to its end need not be held."""
    return position if isinstance(position, Due) else None


def is_for(due: Due | None, desks: Mapping[str, Desk]) -> bool:
    """Whether the record waits for one of these."""
    return due is not None and due.work.plan.stage.writer in desks


def put(due: Due | None, desks: Mapping[str, Desk]) -> None:
    """Work for the desk that it is for, if it is here."""
    if due is not None and is_for(due, desks):
        desks[due.work.plan.stage.writer].put(due)


def nothing_works(due: Due, failure: Failure) -> ValueError:
    """Why the run stops: nothing but failures."""
    return ValueError(
        f"the last {FAILURES_IN_A_ROW} requests to the {due.work.plan.stage.writer} have all failed, the "
        f"last with: {failure.kind}: {failure.message}. What was written is safe: when the server is "
        "well again, the same command goes on"
    )


def phases(student: Generator, teacher: Generator) -> list[tuple[str, ...]]:
    """Who works at the same time: servers do; of models that run here one is in memory at a time."""
    if student is teacher or (is_server(student) and is_server(teacher)):
        return [("student", "teacher")]
    return [("student",), ("teacher",)]


def is_server(generator: Generator) -> bool:
    """Whether the model runs elsewhere."""
    return generator.identity["backend"] == "openai"


def open_servers(desks: Mapping[str, Desk], positions: Sequence[Due | None]) -> None:
    """Servers that will be needed are tried before anything is paid for; what cannot work says so."""
    dues = [due for due in positions if due is not None]
    for name, desk in desks.items():
        needed = bool(dues) if name == "teacher" else any(is_for(due, {name: desk}) for due in dues)
        if needed and is_server(desk.generator):
            assert desk.session
