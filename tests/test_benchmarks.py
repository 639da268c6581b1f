"""The table of benchmarks: every line is read by its own fields, and what is missing is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evals.benchmark_problem import Benchmark
from evals.benchmarks import TABLE, load_benchmark
from evals.grading import grade

SHARED = Path(os.environ.get("CGD_SHARED", Path(__file__).parents[2] / "shared")) / "data"
FOUR = ["iron", "gold", "lead", "zinc"]

HUB_ROWS: dict[str, dict[str, Any]] = {
    "math500": {
        "problem": "1+1?",
        "solution": "so $\\boxed{2}$",
        "answer": "2",
        "unique_id": "x/1",
    },
    "minerva_math": {"question": "1+1?", "answer": "2"},
    "gsm8k": {"question": "1+1?", "answer": "it is <<1+1=2>>2\n#### 2"},
    "olympiadbench": {"id": 7, "question": "1+1?", "final_answer": ["2"], "error": None},
    "amc23": {"id": 0, "question": "1+1?", "answer": "2", "url": ""},
    "aime24": {"id": 60, "problem": "1+1?", "solution": "", "answer": "002", "year": "2024"},
    "aime25": {"id": "0", "problem": "1+1?", "answer": "2"},
    "theoremqa": {"Question": "1+1?", "Answer": "2", "Answer_type": "integer", "Picture": None},
    "gpqa": {
        "Record ID": "rec1",
        "Question": "Which is heaviest?",
        "Correct Answer": "gold",
        "Incorrect Answer 1": "iron",
        "Incorrect Answer 2": "lead",
        "Incorrect Answer 3": "zinc",
    },
    "mmlu_pro": {
        "question_id": 70,
        "question": "Which is heaviest?",
        "options": FOUR,
        "answer": "B",
        "answer_index": 1,
    },
    "humaneval": {
        "task_id": "HumanEval/0",
        "prompt": "def two():\n",
        "canonical_solution": "    return 2\n",
        "test": "def check(candidate):\n    assert candidate() == 2\n",
        "entry_point": "two",
    },
}
"""One made-up row with the fields of each hub data set."""


def write_rows(path: Path, *rows: object) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load_rows(name: str, folder: Path, *rows: object, **options: Any) -> Benchmark:
    """The rows, read as a benchmark of the table."""
    write_rows(folder / f"{name}.jsonl", *rows)
    return load_benchmark(name, folder=str(folder), **options)


def test_every_line_of_the_table_has_a_row_here() -> None:
    assert HUB_ROWS.keys() == TABLE.keys()


@pytest.mark.parametrize("name", TABLE)
def test_the_fields_of_the_hub_are_read(name: str, tmp_path: Path) -> None:
    benchmark = load_rows(name, tmp_path, HUB_ROWS[name])
    (problem,) = benchmark.problems
    assert benchmark.name == name
    assert benchmark.wording == TABLE[name].wording
    assert len(benchmark.wording_sha256) == 64
    asked = {"choice": "Which is heaviest?", "code": "def two():", "answer": "1+1?"}
    assert asked[TABLE[name].kind] in problem.prompt
    if TABLE[name].kind == "code":
        assert problem.program is not None
        assert problem.program.entry_point == "two"
    elif TABLE[name].kind == "choice":
        assert problem.gold is not None
        assert f"({problem.gold}) gold" in problem.prompt
        assert problem.policy.choices == 4
    else:
        assert problem.gold is not None
        assert problem.gold.endswith("2")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_hub_is_asked_for_the_id_the_table_names(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: asked.append((*a, k["split"])) or [HUB_ROWS[name]]
    )
    benchmark = load_benchmark(name)
    source = TABLE[name]
    assert asked == [(source.hub, source.subset, source.split)]
    assert len(benchmark.problems) == 1


def test_pictures_of_the_hub_are_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    picture = {"bytes": b"no picture at all", "path": ""}
    rows = datasets.Dataset.from_dict({"Question": ["1+1?"], "Answer": ["2"], "Picture": [picture]})
    rows = rows.cast_column("Picture", datasets.Image())
    with pytest.raises(Exception, match=r"Pillow|image"):
        next(iter(rows))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    assert [problem.gold for problem in load_benchmark("theoremqa").problems] == ["2"]


def test_another_number_of_problems_than_the_hubs_is_said(tmp_path: Path) -> None:
    assert (
        "problems here: 1; on the hub: 1319"
        in load_rows("gsm8k", tmp_path, HUB_ROWS["gsm8k"]).remarks
    )
    limited = load_rows("gsm8k", tmp_path, HUB_ROWS["gsm8k"], limit=1)
    assert limited.remarks == ()


@pytest.mark.parametrize(
    ("name", "gold", "near", "far"),
    [
        ("minerva_math", "0.5613", "0.561", "0.57"),
        ("minerva_math", "4.4e7", "4.44e7", "4.5e7"),
        ("theoremqa", "9.616", "9.62", "9.7"),
        ("theoremqa", "11760", "11760", "11761"),
        ("math500", "0.5613", "0.5613", "0.561"),
        ("olympiadbench", "4.25", "4.25", "4.26"),
    ],
)
def test_tolerance_is_the_benchmarks_own(
    name: str, gold: str, near: str, far: str, tmp_path: Path
) -> None:
    field = TABLE[name].gold[0]
    row = {"problem": "?", "question": "?", "Question": "?", field: gold}
    (problem,) = load_rows(name, tmp_path, row).problems
    assert grade(f"\\boxed{{{near}}}", gold, problem.policy).correct
    assert not grade(f"\\boxed{{{far}}}", gold, problem.policy).correct


def test_a_hub_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nmore")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(ValueError, match=r"'gsm8k'.*openai/gsm8k.*no route; name a local copy"):
        load_benchmark("gsm8k")


def test_a_local_file_may_stand_in_by_name(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "copy.jsonl", HUB_ROWS["gsm8k"])
    benchmark = load_benchmark(f"gsm8k={path}")
    assert (benchmark.name, benchmark.problems[0].id) == ("gsm8k", "copy-1")


def test_a_folder_without_the_file_says_which_are_there(tmp_path: Path) -> None:
    write_rows(tmp_path / "gsm8k_old.jsonl", HUB_ROWS["gsm8k"])
    with pytest.raises(ValueError, match=r"holds no gsm8k\.jsonl .*gsm8k_old\.jsonl.*gsm8k=PATH"):
        load_benchmark("gsm8k", folder=str(tmp_path))


def test_other_field_names_are_listed_with_their_kinds_and_without_their_content(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ValueError, match=r"gsm8k\.jsonl:1: needs one of .*found: text \(str\)"
    ) as e:
        load_rows("gsm8k", tmp_path, {"text": "a secret", "answer": "2"})
    assert "secret" not in str(e.value)


def test_the_wording_of_training_replaces_that_of_open_answers_only(tmp_path: Path) -> None:
    assert load_rows("gsm8k", tmp_path, HUB_ROWS["gsm8k"]).problems[0].prompt.endswith("\\boxed{}.")
    plain = load_rows("gsm8k", tmp_path, HUB_ROWS["gsm8k"], wording="plain")
    assert plain.problems[0].prompt == "1+1?"
    for name in ("mmlu_pro", "gpqa", "humaneval"):
        kept = load_rows(name, tmp_path, HUB_ROWS[name], wording="plain")
        assert kept.wording == TABLE[name].wording


def test_missing_golds_are_kept_counted_and_named(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "?", "answer": "1"},
        {"id": "b", "question": "?", "answer": None},
        {"id": "c", "question": "?", "answer": "one\nand two"},
    ]
    benchmark = load_rows("gsm8k", tmp_path, *rows)
    assert [problem.id for problem in benchmark.problems] == ["a", "b", "c"]
    assert "2 of 3 problems have no readable gold answer" in benchmark.remarks[-1]
    assert "(b, c)" in benchmark.remarks[-1]


def test_options_of_gpqa_are_shuffled_by_the_problem_alone(tmp_path: Path) -> None:
    rows = [HUB_ROWS["gpqa"] | {"Record ID": f"rec{number}"} for number in range(40)]
    whole = load_rows("gpqa", tmp_path, *rows)
    golds = [problem.gold for problem in whole.problems]
    assert set(golds) == set("ABCD"), "the right option is not always at the same place"
    assert load_rows("gpqa", tmp_path, *rows[::-1]).problems[::-1] == whole.problems
    assert load_rows("gpqa", tmp_path, *rows, limit=3, seed=5).problems == whole.problems[:3]
    for problem in whole.problems:
        assert f"({problem.gold}) gold" in problem.prompt
        assert sorted(line[4:] for line in problem.prompt.split("\n") if line[:1] == "(") == sorted(
            FOUR
        )


def test_gpqa_of_other_shape_is_read_and_still_shuffled(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "question": "Which is heaviest?", "choices": FOUR, "answer": "(B)"}
        for n in range(20)
    ]
    benchmark = load_rows("gpqa", tmp_path, *rows)
    assert len({problem.gold for problem in benchmark.problems}) > 1
    assert all(f"({p.gold}) gold" in p.prompt for p in benchmark.problems)


@pytest.mark.parametrize(
    ("answer", "letter"), [("J", "J"), (9, "J"), ("j", "J"), ("nine", "J"), ("(A)", "A")]
)
def test_mmlu_pro_has_up_to_ten_options(tmp_path: Path, answer: object, letter: str) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    row = {"question_id": 1, "question": "?", "options": [*words, "N/A"], "answer": answer}
    (problem,) = load_rows("mmlu_pro", tmp_path, row).problems
    assert problem.gold == letter
    assert problem.policy.choices == 10, "options that fill up the list are left out"
    assert "(J) nine" in problem.prompt
    assert "(K)" not in problem.prompt


def test_an_answer_that_is_no_option_is_not_guessed(tmp_path: Path) -> None:
    good = HUB_ROWS["mmlu_pro"]
    bad = good | {"question_id": 71, "answer": "E"}
    by_position = load_rows("mmlu_pro", tmp_path, good, bad)
    assert [problem.gold for problem in by_position.problems] == ["B", "B"]
    without = [{k: v for k, v in row.items() if k != "answer_index"} for row in (good, bad)]
    benchmark = load_rows("mmlu_pro", tmp_path, *without)
    assert [problem.gold for problem in benchmark.problems] == ["B", None]
    assert "1 of 2 problems have no readable gold answer" in benchmark.remarks[-1]


@pytest.mark.parametrize(
    ("error", "tolerance"), [("1e-1", 0.1), (0.5, 0.5), (None, None), ("", None), ("1e-1,2", None)]
)
def test_olympiadbench_states_an_error_for_a_problem(
    tmp_path: Path, error: object, tolerance: float | None
) -> None:
    row = {"id": 1, "question": "?", "final_answer": ["4.2"], "error": error}
    (problem,) = load_rows("olympiadbench", tmp_path, row).problems
    assert problem.policy.absolute_tolerance == tolerance


def test_several_final_answers_are_one_list(tmp_path: Path) -> None:
    row = {"id": 1, "question": "?", "final_answer": ["1", "3"], "error": None}
    assert load_rows("olympiadbench", tmp_path, row).problems[0].gold == "1, 3"


@pytest.mark.skipif(not SHARED.is_dir(), reason="no local copies of the public benchmarks")
@pytest.mark.parametrize("name", sorted(TABLE.keys() - {"gpqa"}))
def test_local_copies_are_read_whole(name: str) -> None:
    found = next(iter(sorted(SHARED.glob(f"{name}*.jsonl"), key=lambda path: len(path.name))), None)
    if found is None:
        pytest.skip(f"no {name} here")
    benchmark = load_benchmark(f"{name}={found}")
    sizes = {"olympiadbench": 675, "mmlu_pro": 1000}
    assert len(benchmark.problems) == sizes.get(name, TABLE[name].size)
    assert not [remark for remark in benchmark.remarks if "no readable gold" in remark]
