"""How far a student's equations have come towards the solution, in whatever legitimate order.

The gold steps are gathered into runs. In a run of additions and subtractions (or of products) the
order is free: `12 + 8 = 20, 20 - 5 = 15` may as well be `12 - 5 = 7, 7 + 8 = 15`. So a run is
a set of signed terms, and the student's work a partition of it into blocks that are already put
together; an equation is a legitimate step if it joins two blocks. A stale number (12, after it went
into 20) is in no block of its own any more, so using it is recognised as the mistake it is.

`Progress` is the one object here that changes: it lives while one text is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from datagen.student_text import Equation
from datagen.word_problems import Operand, Step, compute

KIND_OF = {"+": "sum", "-": "sum", "*": "product", "/": "quotient"}


@dataclass(frozen=True)
class Run:
    """Steps whose order is free: n terms take n - 1 steps, term i is joined by gold step i - 1."""

    kind: str
    terms: tuple[Operand, ...]
    signs: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Join:
    """A step that is still to do: two blocks of a run, and how to write it down."""

    run: int
    first: frozenset[int]
    second: frozenset[int]
    left: int
    operation: str
    right: int
    value: int
    gold_step: int
    """The gold step whose words tell this join."""

    @property
    def expression(self) -> str:
        """The left side of the equation."""
        return f"{self.left} {self.operation} {self.right}"

    @property
    def equation(self) -> str:
        """The whole equation."""
        return f"{self.expression} = {self.value}"


def runs_of(steps: tuple[Step, ...]) -> tuple[Run, ...]:
    """The steps gathered into runs, in the order of their last steps."""
    uses = [0] * len(steps)
    for step in steps:
        for operand in (step.left, step.right):
            if operand.source is not None:
                uses[operand.source] += 1
    ending_at: dict[int, Run] = {}
    for index, step in enumerate(steps):
        before = _run_to_extend(step, ending_at, uses)
        if before is None:
            ending_at[index] = _new_run(step, index)
        else:
            ending_at[index] = _extended(ending_at.pop(before), step, index, before)
    return tuple(ending_at[index] for index in sorted(ending_at))


def _run_to_extend(step: Step, ending_at: dict[int, Run], uses: list[int]) -> int | None:
    """The earlier result that this step merely continues: same kind, used nowhere else."""
    for operand in (step.left, step.right):
        run = ending_at.get(operand.source) if operand.source is not None else None
        if run and run.kind == KIND_OF[step.operation] != "quotient" and uses[run.steps[-1]] == 1:
            return operand.source
    return None


def _new_run(step: Step, index: int) -> Run:
    second_sign = -1 if step.operation == "-" else 1
    return Run(KIND_OF[step.operation], (step.left, step.right), (1, second_sign), (index,))


def _extended(run: Run, step: Step, index: int, before: int) -> Run:
    continues_left = step.left.source == before
    other = step.right if continues_left else step.left
    sign_of_right = -1 if step.operation == "-" else 1
    flip = 1 if continues_left else sign_of_right
    sign = sign_of_right if continues_left else 1
    signs = (*(flip * s for s in run.signs), sign)
    return Run(run.kind, (*run.terms, other), signs, (*run.steps, index))


class Progress:
    """What of the solution a student has done so far."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.runs = runs_of(steps)
        self.run_of_step = {
            step: place for place, run in enumerate(self.runs) for step in run.steps
        }
        self.blocks = [[frozenset([i]) for i in range(len(run.terms))] for run in self.runs]
        self.accepted: list[Equation] = []
        self.unshown = False
        """Whether an accepted equation used a result that the text never worked out."""

    def pending(self) -> list[Join]:
        """What is still to do, in the gold order."""
        joins = [join for place in range(len(self.runs)) for join in self._pending_in(place)]
        return sorted(joins, key=lambda join: join.gold_step)

    def next_join(self) -> Join | None:
        """The next thing to do: the first pending step whose numbers are known."""
        return next((join for join in self.pending() if self._is_ready(join)), None)

    def match(self, equation: Equation) -> Join | None:
        """The step that this equation does or tries to do; known numbers before foreseen ones."""
        joins = [
            join
            for place in range(len(self.runs))
            for join in self._joins_in(place)
            if same_step(equation, join)
        ]
        joins.sort(key=lambda join: (not self._is_ready(join), join.gold_step))
        return joins[0] if joins else None

    def accept(self, join: Join, equation: Equation | None = None) -> None:
        """Does the step; results that it takes for granted count as done, but not as shown."""
        for term in join.first | join.second:
            source = self.runs[join.run].terms[term].source
            if source is not None and not self._is_done(self.run_of_step[source]):
                self.unshown = True
                self._finish(self.run_of_step[source])
        blocks = self.blocks[join.run]
        blocks.remove(join.first)
        blocks.remove(join.second)
        blocks.append(join.first | join.second)
        blocks.sort(key=min)
        if equation is not None:
            self.accepted.append(equation)

    def _finish(self, place: int) -> None:
        for operand in self.runs[place].terms:
            if operand.source is not None and not self._is_done(self.run_of_step[operand.source]):
                self._finish(self.run_of_step[operand.source])
        self.blocks[place] = [frozenset(range(len(self.runs[place].terms)))]

    def _is_done(self, place: int) -> bool:
        return len(self.blocks[place]) == 1

    def _is_ready(self, join: Join) -> bool:
        sources = [self.runs[join.run].terms[term].source for term in join.first | join.second]
        return all(s is None or self._is_done(self.run_of_step[s]) for s in sources)

    def _pending_in(self, place: int) -> list[Join]:
        first, *others = self.blocks[place]
        return [self._join(place, first, other) for other in others]

    def _joins_in(self, place: int) -> list[Join]:
        blocks = self.blocks[place]
        return [self._join(place, a, b) for i, a in enumerate(blocks) for b in blocks[i + 1 :]]

    def _join(self, place: int, first: frozenset[int], second: frozenset[int]) -> Join:
        run = self.runs[place]
        gold_step = run.steps[min(second) - 1]
        left, operation, right = self._written(run, first, second, self.steps[gold_step])
        value = compute(left, operation, right)
        assert value is not None, "blocks of the gold solution always join to whole numbers"
        return Join(place, first, second, left, operation, right, value, gold_step)

    def _written(
        self, run: Run, first: frozenset[int], second: frozenset[int], gold: Step
    ) -> tuple[int, str, int]:
        """The join as left, operation, right, turned the way the gold step turns it."""
        if run.kind == "quotient":
            return gold.left.value, "/", gold.right.value
        if run.kind == "product":
            left, right = _product(run, first), _product(run, second)
            return (right, "*", left) if gold.right.value == left else (left, "*", right)
        left, right = _signed_sum(run, first), _signed_sum(run, second)
        opposed = (left < 0) != (right < 0)
        left, right = abs(left), abs(right)
        if opposed:
            return max(left, right), "-", min(left, right)
        return (right, "+", left) if gold.right.value == left else (left, "+", right)


def _signed_sum(run: Run, block: frozenset[int]) -> int:
    return sum(run.signs[i] * run.terms[i].value for i in block)


def _product(run: Run, block: frozenset[int]) -> int:
    value = 1
    for i in block:
        value *= run.terms[i].value
    return value


def same_step(equation: Equation, join: Join) -> bool:
    """Whether the equation's left side is the join's; sums and products may be turned round."""
    if equation.operation != join.operation:
        return False
    return same_numbers(equation, join) and (
        equation.operation in "+*" or equation.left == join.left
    )


def same_numbers(equation: Equation, join: Join) -> bool:
    """Whether both work on the same two numbers, in either order."""
    return sorted((equation.left, equation.right)) == sorted(
        (Fraction(join.left), Fraction(join.right))
    )
