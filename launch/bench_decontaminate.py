r"""`cgd bench decontaminate`: how fast benchmark problems are found among prompts, and how many of each kind.

    questions: the built-in world's held-out problems and formula problems, or real benchmarks (--benchmark-dir)
    prompts:   clean ones (drawn, or --clean FILES), and VARIANTS of questions → Index → time, memory, found

A clean prompt that is removed is a mistake, unless it really is in the benchmarks: with the user's own
files, --list prints every removed one to judge by eye. Precision is that of the removed prompts as they
were mixed here; the share of clean prompts that are removed carries over to other mixtures. The drawn
problems are made of few sentences and small numbers, which is the hardest case for both figures and speed.
"""

from __future__ import annotations

import resource
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from datagen.arithmetic import problems
from datagen.canonical_words import canonical_words
from datagen.decontamination import EvaluationSet, Finding, Index
from datagen.sources import DataConfig, select_prompts
from evals.benchmarks import TABLE, load_benchmark
from launch.bench_variants import VARIANTS
from launch.decontaminate import bare_problems

SAME_PROBLEM = tuple(kind for kind in VARIANTS if kind != "renumbered")
CLEAN = "clean"
FORMULAS = (
    r"Let $f(x) = {a}x^{{{b}}} - \frac{{{c}}}{{{d}}}x + {e}$. What is the value of $f({b})$?",
    r"Simplify $\frac{{{a}\sqrt{{{c}}}}}{{{b}}} + \sqrt{{{d}}}$ and express your answer as a common fraction.",
    r"Find the sum of all integers $n$ such that ${a} \leq n^2 - {b}n \leq {c} + {d}$.",
    r"In triangle $ABC$, $AB = {a}$, $BC = {b}$ and $\angle B = {c}^\circ$. Find the area of the triangle.",
    r"How many positive divisors of ${a} \cdot {b}^{{{d}}}$ are multiples of ${c}$?",
    r"Compute $\sum_{{k=1}}^{{{a}}} \left( {b}k^2 - {c}k \right)$ modulo ${e}$.",
    r"A bag holds {a} red, {b} green and {c} blue marbles. What is the probability that {d} drawn marbles are all red?",
    r"The line ${a}x + {b}y = {c}$ meets the parabola $y = {d}x^2$ in two points. What is the distance between them?",
    r"Solve ${a}x^2 - {b}x + {c} = {e}$ for $x$ and give the larger root, rounded to {d} decimals.",
)  # fmt: skip


@dataclass(frozen=True)
class Prompt:
    """A prompt, and what it was made of."""

    kind: str
    text: str


def formula_problem(rng: Random) -> str:
    """A problem in LaTeX with numbers of its own."""
    numbers = {name: rng.randrange(2, 10 ** rng.choice((1, 2, 3))) for name in "abcde"}
    return rng.choice(FORMULAS).format(**numbers)


def drawn(split: str, count: int, seed: int) -> list[str]:
    """Half word problems of the built-in world, half formula problems; splits share no text."""
    stories = problems("train" if split == "train" else "test", count - count // 2, seed)
    rng = Random(f"{split}/{seed}")
    return [story.prompt for story in stories] + [formula_problem(rng) for _ in range(count // 2)]


def questions(options: Namespace) -> list[EvaluationSet]:
    """Real benchmarks where there are some, filled up with drawn problems."""
    sets: list[EvaluationSet] = []
    if options.benchmark_dir:
        folder = Path(options.benchmark_dir)
        names = [name for name in TABLE if (folder / f"{name}.jsonl").is_file()]
        if not names:
            raise ValueError(f"--benchmark-dir: {folder} holds no NAME.jsonl of {', '.join(TABLE)}")
        loaded = [load_benchmark(name, folder=options.benchmark_dir) for name in names]
        sets += [EvaluationSet(one.name, bare_problems(one), one.private) for one in loaded]
    missing = options.questions - sum(len(one.problems) for one in sets)
    texts = drawn("test", max(missing, 0), options.seed)
    problems_ = tuple((f"drawn-{number}", text) for number, text in enumerate(texts))
    return [*sets, EvaluationSet("drawn", problems_)] if texts else sets


def prompts(options: Namespace, sets: Sequence[EvaluationSet]) -> list[Prompt]:
    """`--variants` of each kind, and clean prompts to make up the number."""
    pool = [
        text for one in sets if one.name != "drawn" or len(sets) == 1 for _, text in one.problems
    ]
    made: list[Prompt] = []
    for kind, change in VARIANTS.items():
        rng = Random(f"{kind}/{options.seed}")
        for text in rng.sample(pool, min(options.variants, len(pool))):
            variant = change(text, rng)
            if kind == "renumbered" and canonical_words(variant) == canonical_words(text):
                continue  # it has no number
            made.append(Prompt(kind, variant))
    clean = list(own_prompts(options.clean))
    missing = options.prompts - len(made) - len(clean)
    clean += [
        Prompt(CLEAN + ", drawn", text) for text in drawn("train", max(missing, 0), options.seed)
    ]
    return made + clean


def own_prompts(files: Sequence[str]) -> Iterator[Prompt]:
    """The user's own prompts, all taken as clean."""
    for name in files:
        selection = select_prompts(DataConfig(prompts=name), 0, lambda line: None, ())
        yield from (Prompt(f"{CLEAN}, {name}", one.record.prompt) for one in selection.kept)


def run_bench(options: Namespace) -> str:
    """Makes the texts, looks them all up, and counts."""
    sets = questions(options)
    asked = prompts(options, sets)
    began, worked = time.perf_counter(), time.process_time()
    index = Index(sets)
    indexed = time.perf_counter()
    findings = {one.prompt: one for one in index.find([one.text for one in asked])}
    ended, processor = time.perf_counter(), time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    head = [
        f"{len(asked):,} prompts against {len(index):,} questions ({', '.join(one.name for one in sets)})",
        f"index {indexed - began:.1f} s, look-up {ended - indexed:.1f} s; processor time {processor:.1f} s, "
        f"one process, at most {peak:.2f} GiB in all",
    ]
    listed = listing(asked, findings) if options.list else []
    return "\n".join([*head, "", *table(asked, findings), *listed])


def table(asked: Sequence[Prompt], findings: dict[int, Finding]) -> list[str]:
    """A line for each kind of prompt, and precision and recall."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for place, prompt in enumerate(asked):
        found = findings.get(place)
        counts[prompt.kind][0] += 1
        counts[prompt.kind][1] += found is not None and found.is_contaminated
        counts[prompt.kind][2] += found is not None and not found.is_contaminated
    lines = [f"{'':44}{'prompts':>9}{'removed':>9}{'':10}{'renumbered, kept':>18}"]
    for kind, (total, removed, kept) in counts.items():
        share = f"{100 * removed / total:.2f} %"
        lines.append(f"{kind[-43:]:44}{total:9,}{removed:9,}{share:>10}{kept:18,}")
    same = [counts[kind] for kind in SAME_PROBLEM if kind in counts]
    right, wanted = sum(c[1] for c in same), sum(c[0] for c in same)
    removed = sum(c[1] for c in counts.values())
    lines.append(
        f"recall {100 * right / max(wanted, 1):.1f} % of {wanted:,} variants of the same problem, "
        f"precision {100 * right / max(removed, 1):.1f} % of {removed:,} removed"
    )
    return lines


def listing(asked: Sequence[Prompt], findings: dict[int, Finding]) -> list[str]:
    """Every clean prompt that was removed, beside the problem."""
    lines = []
    for place, found in findings.items():
        if asked[place].kind.startswith(CLEAN) and found.is_contaminated:
            lines.append(f"\n{found.rule} {found.coverage}: {found.benchmark} {found.problem_id}")
            lines.append(f"  prompt:  {' '.join(asked[place].text.split())}")
            if found.problem is not None:
                lines.append(f"  problem: {' '.join(found.problem.split())}")
    return lines
