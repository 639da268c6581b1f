"""The benchmarks' problems as decontamination compares them: all of them, without wording.

    [data] decontaminate, else [evaluate] benchmarks → evals.benchmarks → EvaluationSet(name, (id, text))

Whole benchmarks are taken, whatever `evaluate.limit` says: a later evaluation may ask more of them. The
built-in ones have no end, so they are taken as the evaluation asks them. A multiple-choice question is
compared with its options and without, since training sets hold it in either form.
"""

from __future__ import annotations

from datagen.decontamination import EvaluationSet
from datagen.wordings import load_template
from evals.benchmark_problem import Benchmark
from evals.benchmarks import BUILT_IN, load_benchmarks
from launch.config import Config

PLACE = "\0"
"""Stands for the problem in a wording: no wording contains it."""
OPTIONS = "\n\n(A) "
"""Where the options of a multiple-choice question begin."""


def evaluation_sets(config: Config) -> list[EvaluationSet]:
    """What no prompt may resemble. ValueError where a benchmark cannot be loaded: none is skipped."""
    asked = config.evaluate
    own = config.data.decontaminate
    names = asked.benchmarks if own is None else own
    loaded: list[Benchmark] = []
    for name in names:
        limit = asked.limit if name in BUILT_IN else None
        try:
            loaded += load_benchmarks([name], limit, config.run.seed, None, asked.benchmark_dir)
        except ValueError as error:
            raise ValueError(
                f"decontamination: {error}; to leave benchmarks out of it, list the others in "
                "data.decontaminate ([] for none)"
            ) from error
    return [EvaluationSet(one.name, bare_problems(one), one.private) for one in loaded]


def bare_problems(benchmark: Benchmark) -> tuple[tuple[str, str], ...]:
    """(id, text) of each problem without the benchmark's wording, with and without its options."""
    before = after = ""
    if benchmark.wording:
        template = load_template(benchmark.wording)
        before, _, after = template.render(problem=PLACE).partition(PLACE)
    texts: list[tuple[str, str]] = []
    for problem in benchmark.problems:
        text = problem.prompt.removeprefix(before).removesuffix(after)
        texts.append((problem.id, text))
        question, options, _ = text.partition(OPTIONS)
        if options:
            texts.append((problem.id, question))
    return tuple(texts)
