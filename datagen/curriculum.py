"""What the base student learns before any distillation, easy things first.

    foundations: sums, copying, instructions  ->  short problems  ->  full problems and long messages
    ->  wider: more kinds of stories and longer ones
    ->  dialogues: attempts, what somebody says about them, and the solution that takes it to heart

Each text is a prompt with a completion, drawn from the train splits only and from series of their
own (`SALT`), so the problems a run draws later are new to the student. The order matters: a small
model that meets full problems first learns hardly anything (the sums inside the steps stay noise).
Problems are solved now in the words of the gold solutions, now in the teacher's, so that neither
way of telling is foreign to the student later. The last phase is to a student of this size what instruction
tuning is to a large one. In it the student meets criticism before it is trained on any: the teacher's own, in
messages whose wording is not the method's, and in dialogues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from datagen.attempts import attempt
from datagen.instructions import WORDS, instructions, made_up_word
from datagen.stories.families import FAMILIES, PEOPLE, THINGS, Family
from datagen.tutor import critique, refine, teach
from datagen.word_problems import Problem, draw_problem
from datagen.wordings import load_template
from datagen.worlds import DEEP, HARD, NEW, OTHER

SALT = "curriculum"
LATER_FAMILIES = (*OTHER[:1], *NEW[:3], *OTHER[1:], *NEW[3:])
MANY_TRIES = 20
"""How often the numbers of a sentence are drawn where stories are long or their numbers seldom work out."""
NUM_PROBLEMS = 10**9
"""Indices are drawn below this, so that a problem hardly ever comes twice."""
SHARE_OF_TEACHER_WORDS = 0.5
SHARE_OF_BOXED_WORDING = 0.15
"""Problems that carry the usual request to reason step by step and to box the answer."""


@dataclass(frozen=True)
class Text:
    """A turn of a user and what the student should say to it."""

    prompt: str
    completion: str
    before: tuple[str, ...] = ()
    """Earlier turns, of the user and the student in turn; what the student said there is not learnt."""

    def row(self) -> dict[str, object]:
        """The text as a row of training data."""
        if not self.before:
            return {"prompt": self.prompt, "completion": self.completion}
        turns = (*self.before, self.prompt, self.completion)
        roles = ("user", "assistant")
        return {
            "messages": [
                {"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)
            ]
        }


Maker = Callable[[Random], Text]


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum: how many texts, and which kinds in which proportion."""

    name: str
    num_texts: int
    shares: dict[Maker, int]

    def texts(self, seed: int, scale: float = 1.0) -> Iterator[Text]:
        """The phase's texts; `scale` makes it shorter or longer."""
        rng = Random(f"{SALT}/{self.name}/{seed}")
        makers, weights = list(self.shares), list(self.shares.values())
        for _ in range(max(1, round(self.num_texts * scale))):
            yield rng.choices(makers, weights)[0](rng)


def some_problem(
    rng: Random, num_steps: range, families: Sequence[Family] = FAMILIES, tries: int = 1
) -> Problem:
    """A problem of the train split with so many steps."""
    seed, index = rng.randrange(1000), rng.randrange(NUM_PROBLEMS)
    return draw_problem("train", seed, index, num_steps, SALT, families=families, tries=tries)


def solution(problem: Problem, rng: Random) -> str:
    """The problem solved in the gold words or the teacher's."""
    if rng.random() < SHARE_OF_TEACHER_WORDS:
        return teach(problem, rng.randrange(1000))
    return problem.answer


def sums(rng: Random) -> Text:
    """The arithmetic of one problem without its story."""
    steps = some_problem(rng, range(2, 6)).steps
    asked = ", ".join(step.equation.split(" =")[0] for step in steps)
    ask = rng.choice(("What is {}?", "Work out {}.", "How much is {}?"))
    done = ", ".join(step.equation for step in steps)
    return Text(ask.format(asked), f"It is {done}.")


def one_sum(rng: Random) -> Text:
    """A single calculation in plain words."""
    step = rng.choice(some_problem(rng, range(2, 6)).steps)
    expression = step.equation.split(" =")[0]
    ask = rng.choice(("What is {}?", "How much is {}?", "Work out {}."))
    return Text(ask.format(expression), f"It is {step.equation}.")


def copying(rng: Random) -> Text:
    """Numbers, words and strings of letters to say again."""
    items = [_item(rng) for _ in range(rng.randrange(1, 8))]
    line = " ".join(items)
    ask = rng.choice(("Repeat: {}", "Copy this: {}", "Say this again: {}"))
    return Text(ask.format(line), line)


def _item(rng: Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return made_up_word(rng)
    if kind == 1:
        return rng.choice(PEOPLE)[0]
    if kind < 4:
        return rng.choice((*THINGS, *WORDS))
    return str(rng.randrange(1, 121))


def looking_up(rng: Random) -> Text:
    """Several facts, and the one that is asked for to say again."""
    people = [name for name, _ in rng.sample(PEOPLE, rng.randrange(2, 5))]
    facts = [f"{name} has {rng.randrange(1, 100)} {rng.choice(THINGS)}." for name in people]
    asked = rng.randrange(len(facts))
    return Text(f"{' '.join(facts)} What does {people[asked]} have?", facts[asked])


def spelling(rng: Random) -> Text:
    """A word in another shape: capitals, quotes, said several times."""
    word = _item(rng)
    ask, answer = rng.choice(
        (
            ("Write {} in capital letters.", word.upper()),
            ("Write {} in small letters.", word.lower()),
            ("Put {} in quotes.", f'"{word}"'),
            ("Write {} three times.", f"{word} {word} {word}"),
        )
    )
    return Text(ask.format(word), answer)


def instruction(rng: Random) -> Text:
    """A task of `datagen.instructions`; the kinds take turns there, so a random one of many."""
    tasks = instructions("train", 1, seed=0, first=rng.randrange(NUM_PROBLEMS))
    return Text(tasks[0].prompt, tasks[0].answer)


def short_problem(rng: Random) -> Text:
    """A story with one or two steps."""
    problem = some_problem(rng, range(1, 3))
    return Text(problem.prompt, solution(problem, rng))


def short_new_problem(rng: Random) -> Text:
    """A story of one of the new families, as short as they come."""
    problem = some_problem(rng, range(1, 4), LATER_FAMILIES, MANY_TRIES)
    return Text(problem.prompt, solution(problem, rng))


def new_problem(rng: Random) -> Text:
    """A story of one of the new families."""
    return _asked(some_problem(rng, range(2, 6), LATER_FAMILIES, MANY_TRIES), rng)


def long_problem(rng: Random) -> Text:
    """A story with more steps than the others."""
    families = rng.choice((HARD, DEEP))
    return _asked(some_problem(rng, range(5, 10), families, MANY_TRIES), rng)


def full_problem(rng: Random) -> Text:
    """A story with two to five steps, sometimes with the request for a boxed answer."""
    return _asked(some_problem(rng, range(2, 6)), rng)


def _asked(problem: Problem, rng: Random) -> Text:
    """The problem in one of the wordings that ask for a solution."""
    wording = "boxed" if rng.random() < SHARE_OF_BOXED_WORDING else "plain"
    prompt = load_template(wording).render(problem=problem.prompt).rstrip("\n")
    return Text(prompt, solution(problem, rng))


LONG_MESSAGES = (
    "Read the text, then answer the question.\n\nText: {other}\n\nQuestion: {problem}",
    "Question: {problem}\n\nNote: {other}\n\nAnswer the question.",
    "Here is a solved question.\n\nQuestion: {solved}\n\nAnswer: {solution}\n\nNow solve this: {problem}",
    "Question: {problem}\n\nExample of another question: {solved}\n\nIts answer: {solution}",
)


def long_message(rng: Random) -> Text:
    """A problem inside a message of several parts, of which only one is to be solved."""
    problem, solved = (some_problem(rng, range(2, 5)) for _ in range(2))
    other = " ".join(copying(rng).completion for _ in range(2))
    prompt = rng.choice(LONG_MESSAGES).format(
        problem=problem.prompt, solved=solved.prompt, solution=solution(solved, rng), other=other
    )
    return Text(prompt, solution(problem, rng))


SHARE_OF_WRONG_ATTEMPTS = 0.7
REVISIONS = (
    "{problem}\n\nMy attempt:\n{attempt}\n\nA reader says: {critique}\n\nWrite the solution again.",
    "Problem: {problem}\n\nAttempt: {attempt}\n\nFeedback: {critique}",
    "{critique}\n\nThat was said about this solution:\n{attempt}\n\nThe problem was: {problem}\n\nSolve it.",
    "Here is a problem: {problem}\n\nSomebody wrote: {attempt}\n\nThe teacher's remarks: {critique}\n\n"
    "Give a right solution.",
    "Question: {problem}\n\nFirst answer: {attempt}\n\nComment: {critique}",
)
SECOND_TRIES = (
    "{problem}\n\nMy attempt:\n{attempt}\n\nWrite the solution again.",
    "Problem: {problem}\n\nAttempt: {attempt}\n\nCheck it and solve the problem.",
)
REPLIES = ("{critique}", "{critique}\n\nTry again.", "A reader says: {critique}")


def revision(rng: Random) -> Text:
    """An attempt and what somebody says about it, in one message."""
    problem, tried, said, better = _criticised(rng)
    prompt = rng.choice(REVISIONS).format(problem=problem.prompt, attempt=tried, critique=said)
    return Text(prompt, better)


def correction(rng: Random) -> Text:
    """The same as a dialogue: the student's own attempt, then what the user says about it."""
    problem, tried, said, better = _criticised(rng)
    return Text(rng.choice(REPLIES).format(critique=said), better, (problem.prompt, tried))


def second_try(rng: Random) -> Text:
    """An attempt that nobody says anything about."""
    problem, tried, _, better = _criticised(rng)
    return Text(rng.choice(SECOND_TRIES).format(problem=problem.prompt, attempt=tried), better)


def next_problem(rng: Random) -> Text:
    """A second problem in the same dialogue."""
    first, second = (some_problem(rng, range(2, 5)) for _ in range(2))
    return Text(second.prompt, solution(second, rng), (first.prompt, solution(first, rng)))


def _criticised(rng: Random) -> tuple[Problem, str, str, str]:
    """Problem, attempt, critique, refinement."""
    families, tries = rng.choice(((FAMILIES, 1), (FAMILIES, 1), (LATER_FAMILIES, MANY_TRIES)))
    problem = some_problem(rng, range(2, 6), families, tries)
    tried = attempt(problem, rng, wrong=rng.random() < SHARE_OF_WRONG_ATTEMPTS)
    said, better = (tell(problem, tried, rng.randrange(1000)) for tell in (critique, refine))
    return problem, tried, said, better


PHASES = (
    Phase(
        "foundations",
        12_000,
        {sums: 4, one_sum: 3, copying: 3, looking_up: 3, spelling: 1, instruction: 3},
    ),
    Phase("short", 16_000, {short_problem: 14, sums: 2, copying: 1, looking_up: 1, instruction: 4}),
    Phase("full", 30_000, {full_problem: 15, long_message: 1, sums: 1, instruction: 3}),
    Phase(
        "wider",
        24_000,
        {
            new_problem: 8,
            short_new_problem: 3,
            long_problem: 4,
            full_problem: 5,
            instruction: 3,
            sums: 1,
        },
    ),
    Phase(
        "dialogues",
        16_000,
        {
            revision: 6,
            correction: 3,
            full_problem: 4,
            new_problem: 3,
            long_problem: 1,
            second_try: 1,
            next_problem: 1,
            instruction: 3,
        },
    ),
)
