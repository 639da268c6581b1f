"""Benchmarks: named lists of problems, built in, of the table below, or read from a local JSONL file.

    `arithmetic`          the built-in world's test problems: answers are compared
    `arithmetic-new`, `-other`, `-unseen`, `-hard`, `-deep`, `-deep-2`   other families and lengths (datagen.worlds)
    `arithmetic-format`   instructions that a program can check: does the model still do as told?
    `gsm8k`               a line of TABLE, from `[evaluate] benchmark_dir`/gsm8k.jsonl or the hub
    `gsm8k=PATH.jsonl`    the same fields, wording and policy on rows from that file
    PATH.jsonl            rows with problem | question | prompt and final_answer | answer | solution

A problem's `prompt` is byte for byte the user message the model gets: the wording template has been
applied. `[evaluate] wording` replaces the table's own for open answers; multiple choice, code and
instructions keep theirs, since a letter or a function has to be asked for. With a limit, the first
N problems are taken, in the source's order: the same N for every model and every run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from datagen.arithmetic import problems as arithmetic_problems
from datagen.instructions import instructions
from datagen.wordings import load_template
from datagen.worlds import BENCHMARKS
from evals.benchmark_problem import Benchmark, Problem, Source
from evals.benchmark_rows import Rows, read_problems, rows_of_file, rows_of_hub
from evals.policy import Policy

BUILT_IN = (*BENCHMARKS, "arithmetic-format")
BUILT_IN_SIZE = 300
"""Problems of a built-in benchmark without a limit."""

MEASURED = Policy(relative_tolerance=0.005)
"""For gold answers that are measured or rounded. Half a percent is what rounding to three digits may
change, so a right answer given to three digits is right; a gold answer of fewer digits says less, and
half a unit of its last digit counts, up to 5 %. Integers and fractions stay exact. All others in the table are
exact, but for the few problems that state an error bound of their own."""
TOLERANCE = "decimals count within 0.5 %, or half a unit of the gold's last digit (5 % at most)"
COMPETITION = "Mathematical Association of America; for evaluation only"

TABLE: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="math500",
            hub="HuggingFaceH4/MATH-500",
            size=500,
            gold=("answer",),
            id=("unique_id", "id"),
            licence="MIT",
        ),
        Source(
            name="minerva_math",
            hub="math-ai/minervamath",
            size=272,
            problem=("question", "problem"),
            policy=replace(MEASURED, compat_units=True),
            licence="MIT OpenCourseWare, CC BY-NC-SA",
            remark=f"golds are computed from data of few digits: {TOLERANCE}",
        ),
        Source(
            name="gsm8k",
            hub="openai/gsm8k",
            subset="main",
            size=1319,
            problem=("question", "problem"),
            licence="MIT",
        ),
        Source(
            name="olympiadbench",
            hub="Hothan/OlympiadBench",
            subset="OE_TO_maths_en_COMP",
            split="train",
            size=674,
            problem=("question", "problem"),
            gold=("final_answer", "answers", "answer"),
            absolute_tolerance="error",
            licence="Apache-2.0",
            remark="open-ended, text-only, English mathematics; exact, but for a problem's own error bound",
        ),
        Source(
            name="amc23",
            hub="math-ai/amc23",
            size=40,
            problem=("question", "problem"),
            gold=("answer",),
            licence=COMPETITION,
            remark="40 problems: one is 2.5 points",
        ),
        Source(
            name="aime24",
            hub="HuggingFaceH4/aime_2024",
            split="train",
            size=30,
            gold=("answer",),
            licence=COMPETITION,
        ),
        Source(
            name="aime25",
            hub="math-ai/aime25",
            size=30,
            gold=("answer",),
            licence=COMPETITION,
        ),
        Source(
            name="theoremqa",
            hub="TIGER-Lab/TheoremQA",
            size=800,
            problem=("Question", "problem"),
            gold=("Answer", "answer"),
            policy=MEASURED,
            licence="MIT",
            remark=f"golds are rounded: {TOLERANCE} (its authors' script takes 4 %); 53 of the 800 "
            "problems refer to a picture, which a language model does not see",
        ),
        Source(
            name="gpqa",
            hub="Idavidrein/gpqa",
            subset="gpqa_diamond",
            split="train",
            size=198,
            kind="choice",
            problem=("Question", "question", "problem"),
            gold=("Correct Answer", "correct_answer", "answer"),
            id=("Record ID", "id"),
            choices=("choices", "options"),
            wrong_choices=("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
            shuffled=True,
            wording="choices",
            private=True,
            licence="CC BY 4.0, gated",
            remark="problems and outputs are withheld from result files, as its authors ask",
        ),
        Source(
            name="mmlu_pro",
            hub="TIGER-Lab/MMLU-Pro",
            size=12032,
            kind="choice",
            problem=("question", "problem"),
            gold=("answer", "answer_index"),
            id=("question_id", "id"),
            choices=("options", "choices"),
            wording="choices",
            licence="MIT",
        ),
        Source(
            name="humaneval",
            hub="openai/openai_humaneval",
            size=164,
            kind="code",
            problem=("prompt", "problem"),
            gold=("test", "tests"),
            id=("task_id", "id"),
            wording="code",
            licence="MIT",
        ),
    )
}

LOCAL_FILE = Source(
    name="",
    hub="",
    problem=("problem", "question", "prompt"),
    gold=("final_answer", "answer", "solution"),
    wording="plain",
    licence="the user's own",
)
"""How a file is read that is named by its path alone."""


def load_benchmark(
    name_or_path: str,
    limit: int | None = None,
    seed: int = 0,
    wording: str | None = None,
    folder: str | None = None,
) -> Benchmark:
    """One benchmark, in any of the spellings above. `seed` varies the built-in ones only."""
    if name_or_path in BUILT_IN:
        count = BUILT_IN_SIZE if limit is None else limit
        return built_in(name_or_path, count, seed, wording or "plain")
    source, rows, name = find_source(name_or_path, folder)
    own = wording is None or source.kind != "answer"
    template = load_template(source.wording if own or wording is None else wording)
    problems, remarks = read_problems(source, rows, limit, template)
    if not problems:
        raise ValueError(f"{rows.where}: a benchmark needs at least one problem")
    if limit is None and source.size not in (0, len(problems)):
        remarks = [f"problems here: {len(problems)}; on the hub: {source.size}", *remarks]
    return Benchmark(name, problems, template.name, template.sha256, source.private, tuple(remarks))


def load_benchmarks(
    names: Iterable[str],
    limit: int | None,
    seed: int,
    wording: str | None,
    folder: str | None = None,
) -> list[Benchmark]:
    """Several benchmarks; two of one name would share a result file, so that is an error."""
    benchmarks: dict[str, Benchmark] = {}
    for name in names:
        benchmark = load_benchmark(name, limit, seed, wording, folder)
        if benchmark.name in benchmarks:
            raise ValueError(
                f"two benchmarks are called {benchmark.name!r}; rename one of the files"
            )
        benchmarks[benchmark.name] = benchmark
    return list(benchmarks.values())


def find_source(name: str, folder: str | None) -> tuple[Source, Rows, str]:
    """How the rows are to be read, the rows, and what the benchmark is called."""
    known, _, given = name.partition("=")
    if known in TABLE:
        source = TABLE[known]
        if given:
            return source, rows_of_file(existing(name, Path(given))), known
        if folder is not None:
            return source, rows_of_file(file_of(known, Path(folder))), known
        return source, rows_of_hub(source), known
    path = existing(name, Path(name))
    return LOCAL_FILE, rows_of_file(path), path.stem


def existing(name: str, path: Path) -> Path:
    """The path, if there is such a file."""
    if not path.expanduser().is_file():
        raise ValueError(f"benchmark {name!r}: {unknown_benchmark(name)}")
    return path.expanduser()


def file_of(name: str, folder: Path) -> Path:
    """The file of a benchmark in the user's own folder."""
    path = folder.expanduser() / f"{name}.jsonl"
    if path.is_file():
        return path
    found = ", ".join(sorted(file.name for file in path.parent.glob("*.jsonl"))) or "none"
    raise ValueError(
        f"benchmark {name!r}: evaluate.benchmark_dir holds no {name}.jsonl (JSONL files found: "
        f"{found}); add it, name another file with {name}=PATH, or unset benchmark_dir to load "
        f"{TABLE[name].hub} from the hub"
    )


def unknown_benchmark(name: str) -> str:
    """What to do about a name that is neither known nor a file."""
    if name.endswith((".jsonl", ".json")) or "/" in name:
        return "there is no such file"
    known = (*BUILT_IN, *TABLE)
    nearest = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}it is neither known ({', '.join(known)}) nor a local .jsonl file"


def built_in(name: str, count: int, seed: int, wording: str) -> Benchmark:
    """The held-out side of a built-in world. Instructions bring their own wording."""
    if name == "arithmetic-format":
        tasks = instructions("test", count, seed)
        return Benchmark(name, tuple(Problem(t.id, t.prompt, None, t.check) for t in tasks), "")
    template = load_template(wording)
    records = [problem.record() for problem in arithmetic_problems("test", count, seed, name)]
    problems = tuple(
        Problem(r.id, template.render(problem=r.prompt), r.final_answer or r.answer)
        for r in records
    )
    return Benchmark(name, problems, template.name, template.sha256)
