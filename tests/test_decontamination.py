"""Decontamination: benchmark problems are found however they are spelled, and other problems stay."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.arithmetic import problems
from datagen.canonical_words import canonical_words
from datagen.decontamination import EvaluationSet, Finding, Index
from datagen.prompt_files import write_prompts
from datagen.records import read_jsonl
from datagen.sources import DataConfig, load_prompts
from launch.bench_variants import VARIANTS

PROBLEMS = (
    r"Let $f(x) = \frac{3x-2}{x-2}$. What is the value of $f(-2) + f(-1) + f(0)$?",
    r"Compute $\sin 60^\circ$.",
    r"Find all real $x$ with $x^2 - 17x + 72 = 0$ and $x \leq 8.5$.",
    "Mira sells 23 jars of honey for $7 each and spends 40 percent of the money on 12 new boxes. "
    "How much does she have left for each of her four bees?",
    "A cyclist rides 84 miles in 6 hours, rests for 45 minutes and rides back at twice the speed. "
    "How many minutes does the whole trip take?",
    r"How many subsets of $\{1, 2, 3, 4, 5, 6, 7\}$ contain at least 3 odd numbers?",
    "What is the name of the largest moon of Saturn?",
)
BENCHMARK = EvaluationSet("quiz", tuple((f"q{i}", text) for i, text in enumerate(PROBLEMS)))


def found(
    prompts: Sequence[str], sets: Sequence[EvaluationSet] = (BENCHMARK,)
) -> dict[int, Finding]:
    return {one.prompt: one for one in Index(sets).find(prompts)}


def removed(prompts: Sequence[str], sets: Sequence[EvaluationSet] = (BENCHMARK,)) -> set[int]:
    return {place for place, one in found(prompts, sets).items() if one.is_contaminated}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{1}{2}", "½"),
        (r"\tfrac12", "1/2"),
        (r"\dfrac{\sqrt{3}}{2}", "√3 / 2"),
        (r"x^{2} \cdot y", "x²y".replace("²y", "² y")),
        ("x squared", "$x^2$"),
        (r"2\pi r \le 7", "2πr ≤ 7".replace("πr", "π r")),
        ("twenty-five dollars", r"\$25"),
        ("1{,}000 + 3", "1,000 plus three"),
        (r"\sin 60^\circ", "sin 60 degrees"),
        (r"\left( 3, \frac{\pi}{2} \right)", "(3, π/2)"),
        (r"3\%", "3 percent"),
        ("３ 平方", "3平方"),
    ],
)
def test_notation_does_not_count(one: str, other: str) -> None:
    assert canonical_words(one) == canonical_words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7 - 3", "7 + 3"),
        ("2 3", "23"),
        ("f(x) < 2", "f(x) <= 2"),
        ("x in [asy]draw((0,0)--(1,1));[/asy]", "x in [asy]draw((0,0)--(1,2));[/asy]"),
        ("how many red", "how many blue"),
    ],
)
def test_other_problems_have_other_words(one: str, other: str) -> None:
    assert canonical_words(one) != canonical_words(other)


def test_each_problem_is_found_in_every_notation_and_wrapping() -> None:
    for kind in ("verbatim", "wrapped", "notation", "spelled out"):
        rng = Random(kind)
        prompts = [VARIANTS[kind](text, rng) for text in PROBLEMS]
        hits = found(prompts)
        assert {place: f"q{place}" for place in range(len(prompts))} == {
            place: one.problem_id for place, one in hits.items() if one.is_contaminated
        }, kind


@pytest.mark.parametrize(
    "text",
    [
        "Compute $f(-2)+f(-1)+f(0)$ for the function $f(x) = \\frac{3x-2}{x-2}$.",
        "For $7 each, Mira sold 23 jars of honey. She bought 12 new boxes with 40 percent of what she "
        "got. How much money is left for each of her four bees?",
        "How long in minutes is the trip of a cyclist who rides 84 miles in 6 hours, then takes a rest of "
        "45 minutes and rides back twice as fast?",
    ],
)
def test_a_free_paraphrase_with_the_same_numbers_is_found(text: str) -> None:
    assert found([text])[0].rule == "reworded"


@pytest.mark.parametrize(
    "text",
    [
        r"Let $f(x) = \frac{4x-2}{x-2}$. What is the value of $f(-2) + f(-1) + f(0)$?",
        r"Compute $\cos 60^\circ$.",
        r"Find all real $x$ with $x^2 + 17x + 72 = 0$.",
        "Mira sells 29 jars of honey for $7 each and spends 40 percent of the money on 12 new boxes. "
        "How much does she have left for each of her four bees?",
        r"How many subsets of $\{1, 2, 3, 4, 5, 6, 8\}$ contain at least 3 odd numbers?",
        "What is the name of the largest moon of Jupiter?",
        "A cyclist rides 84 miles.",
        "A cyclist rides 45 miles in 84 minutes, rests for six hours and rides back at twice the speed. "
        "How many minutes does the trip take?",
        r"Compute $\sin 60^\circ + \cos 30^\circ$.",
    ],
)
def test_another_problem_of_the_same_kind_stays(text: str) -> None:
    assert removed([text]) == set()


def test_a_problem_with_other_numbers_is_reported_and_kept() -> None:
    hit = found([PROBLEMS[3].replace("23", "29")])[0]
    assert (hit.rule, hit.problem_id, hit.is_contaminated) == ("renumbered", "q3", False)


def test_a_formula_that_goes_on_is_another_problem() -> None:
    asked = EvaluationSet("quiz", (("q", "What is the exact value of 3 + 14 - 5"),))
    assert removed(["What is the exact value of 3 + 14 - 5?"], [asked]) == {0}
    assert removed(["What is the exact value of 3 + 14 - 5 + 92, and why?"], [asked]) == set()


def test_a_piece_of_a_long_problem_is_found() -> None:
    long = " ".join(PROBLEMS[3:5])
    asked = EvaluationSet("quiz", (("long", long),))
    assert found([PROBLEMS[3]], [asked])[0].rule == "part"


def test_texts_without_words_and_empty_benchmarks_find_nothing() -> None:
    assert found(["", "...", "$$", "\ud800"]) == {}
    assert found(["anything"], []) == {}
    assert found(["anything", "...", "$$"], [EvaluationSet("empty", (("e", "?!"),))]) == {}


def test_hostile_texts_take_no_time_and_raise_nothing() -> None:
    """Numbers of many digits, deep braces, and what could make a regular expression go back and forth."""
    size = 20_000
    hostile = (
        "9" * size, "1," * size, r"\frac{" * size, r"\frac{1}{" * size, "x^{" * size + "}" * size,
        r"\begin{" * size, "[asy]" * size, " " * size, "a-" * size, "\\" * size, "^" * size,
    )  # fmt: skip
    started = time.process_time()
    found([*hostile, *(f"What is {text}?" for text in hostile)])
    assert time.process_time() - started < 5
    found(hostile, [EvaluationSet("hostile", tuple(enumerate_as_text(hostile)))])


def enumerate_as_text(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(place), text) for place, text in enumerate(texts)]


def test_the_verdict_on_a_prompt_does_not_depend_on_the_others() -> None:
    rng = Random(1)
    prompts = [VARIANTS[kind](text, rng) for kind in VARIANTS for text in PROBLEMS]
    together = found(prompts)
    for place in range(0, len(prompts), 5):
        alone = found([prompts[place]]).get(0)
        assert (alone and alone.rule) == (together[place].rule if place in together else None)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(PROBLEMS), max_size=3), st.text(max_size=60))
def test_nothing_that_is_asked_raises(parts: list[str], noise: str) -> None:
    found([noise.join(parts) + noise])


def test_recall_and_precision_on_constructed_variants() -> None:
    """The levels that README states, on the built-in world: it repeats itself more than real problems do."""
    questions = [one.prompt for one in problems("test", 300)]
    asked = EvaluationSet("world", tuple((str(i), text) for i, text in enumerate(questions)))
    index, least = Index([asked]), {"reworded": 0.85, "shortened": 0.45}
    for kind, change in VARIANTS.items():
        rng = Random(kind)
        prompts = [change(text, rng) for text in questions]
        hits = {one.prompt for one in index.find(prompts) if one.is_contaminated}
        if kind == "renumbered":
            assert len(hits) <= 0.03 * len(prompts)
        else:
            assert len(hits) >= least.get(kind, 0.99) * len(prompts), kind
    clean = [one.prompt for one in problems("train", 1500)]
    assert len([one for one in index.find(clean) if one.is_contaminated]) <= 3


def test_the_built_in_world_keeps_its_held_out_problems_out() -> None:
    held_out = [one.prompt for one in problems("test", 40, seed=3)]
    asked = EvaluationSet("arithmetic", tuple((str(i), text) for i, text in enumerate(held_out)))
    said: list[str] = []
    config = DataConfig(prompts="arithmetic", split="test", limit=30)
    kept = load_prompts(config, 3, said.append, [asked])
    assert not {one.prompt for one in kept} & set(held_out)
    assert len(kept) == 30
    assert "arithmetic 4" in said[1]
    assert "exact" in said[1]


def write_problems(path: Path) -> Path:
    rows = [{"id": f"r{i}", "problem": text} for i, text in enumerate((*PROBLEMS, "Is 9 prime?"))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_what_was_removed_is_listed_with_its_reason(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "rows.jsonl")
    target = tmp_path / "data" / "prompts.jsonl"
    config = DataConfig(prompts=str(source))
    write_prompts(config, target, 0, lambda line: None, [BENCHMARK])
    listed = [values for _, values in read_jsonl(target.parent / "contaminated.jsonl")]
    assert [one["id"] for one in listed] == [f"r{i}" for i in range(len(PROBLEMS))]
    assert listed[0] == {
        "id": "r0",
        "removed": True,
        "rule": "exact",
        "coverage": 1.0,
        "benchmark": "quiz",
        "problem_id": "q0",
        "prompt": PROBLEMS[0],
        "problem": PROBLEMS[0],
    }
    assert json.loads((target.parent / "selection.json").read_text())["contaminated"] == 7
    assert [values["id"] for _, values in read_jsonl(target)] == ["r7"]


def test_nothing_of_a_private_benchmark_is_written_in_clear(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "rows.jsonl")
    target = tmp_path / "data" / "prompts.jsonl"
    private = EvaluationSet("secret", BENCHMARK.problems, private=True)
    write_prompts(DataConfig(prompts=str(source)), target, 0, lambda line: None, [private])
    written = "".join(file.read_text() for file in target.parent.iterdir())
    assert '"problem_id": "q4"' in written
    assert not [text for text in PROBLEMS if text[:20] in written]


def test_other_benchmarks_make_the_prompts_anew(tmp_path: Path) -> None:
    source = write_problems(tmp_path / "rows.jsonl")
    target, said = tmp_path / "data" / "prompts.jsonl", []
    config = DataConfig(prompts=str(source))
    write_prompts(config, target, 0, said.append)
    write_prompts(config, target, 0, said.append)
    assert said[-1] == "prompts: 8 records, complete, nothing to do"
    write_prompts(config, target, 0, said.append, [BENCHMARK])
    assert len(target.read_text().splitlines()) == 1


def test_a_source_that_is_wholly_a_benchmark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"problem": PROBLEMS[0]}))
    said: list[str] = []
    with pytest.raises(ValueError, match=r"no row is left"):
        load_prompts(DataConfig(prompts=str(tmp_path / "rows.jsonl")), 0, said.append, [BENCHMARK])
    assert "1 of 1 rows (100.00 %) removed: quiz 1; exact 1" in said[1]


def shared_file(name: str) -> Path:
    folder = Path(os.environ.get("CGD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    path = folder / "data" / name
    if not path.is_file():
        pytest.skip("needs benchmark files")
    return path


def test_real_training_problems_are_hardly_touched() -> None:
    """Of 1,500 GSM8K training problems none is in the test set; of MATH's a handful share a figure."""

    def texts(name: str) -> list[str]:
        return [values["problem"] for _, values in read_jsonl(shared_file(name))]

    sets = [
        EvaluationSet(name, tuple((str(i), text) for i, text in enumerate(texts(f"{name}.jsonl"))))
        for name in ("gsm8k", "math500")
    ]
    index = Index(sets)
    train = [*texts("gsm8k_train.jsonl")[:1500], *texts("math_train_no_solution.jsonl")[:1500]]
    hits = [one for one in index.find(train) if one.is_contaminated]
    assert len(hits) <= 4
    again = index.find([text for one in sets for _, text in one.problems[:200]])
    assert [one.rule for one in again] == ["exact"] * 400
