"""`cgd list` and `cgd copy`: all that there is, said in a line, and copies that really work where they are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run

from datagen.scripted import BUILT_IN as SCRIPTS
from datagen.scripted import BY_PERCENT
from datagen.wordings import FOLDER, load_template
from datagen.worlds import WORLDS
from engine.config import ConfigError
from evals import benchmarks
from evals.benchmarks import TABLE, load_benchmark
from evals.diagnostics.settings import NAMES
from evals.lm_eval_bridge import HARNESS
from launch import catalogue
from launch.catalogue import as_lines, items
from launch.config import BUILTIN, BUILTIN_STUDENTS, CONFIGS, load_config
from launch.copies import COPIED, WORDING_KEYS, known_names
from launch.experiments.experiment_files import experiment_names, load_experiment
from launch.verbs_catalogue import KINDS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(kind: str) -> set[str]:
    return {item.name for item in items(kind)}


# ---- list -------------------------------------------------------------------------------------------


def test_everything_of_a_kind_is_listed() -> None:
    assert named("recipes") == {path.stem for path in CONFIGS.glob("*.toml")}
    assert named("students") == {f"{BUILTIN}{name}" for name in BUILTIN_STUDENTS}
    assert named("wordings") == {path.stem for path in FOLDER.glob("*.txt")}
    assert named("benchmarks") == {*benchmarks.BUILT_IN, *TABLE, *HARNESS}
    assert named("worlds") == {*WORLDS, "arithmetic-format"}
    assert named("scripts") == {*SCRIPTS, *(f"{name}-NN" for name in BY_PERCENT)}
    assert named("experiments") == {*experiment_names()}
    assert named("diagnostics") == {*NAMES}


def test_each_line_says_what_and_where() -> None:
    for kind in KINDS:
        for item in items(kind):
            assert item.about, item
            assert "\n" not in item.about, item
            assert Path(item.where).exists(), item
            assert item.used, item


def test_the_verb_prints_lines_or_one_json_object(cgd: Run) -> None:
    code, printed = cgd("list", "recipes", "objectives")
    assert code == 0
    assert "quickstart  " in printed
    assert "  cgd " in printed
    assert "cgd_no_critique" in printed
    code, printed = cgd("list", "--json")
    found = json.loads(printed)
    assert code == 0
    assert list(found) == list(KINDS) == list(catalogue.READERS)
    assert found["objectives"][0] == {
        "name": "sft",
        "about": "learns to write answer, given prompt",
        "where": str(catalogue.ROOT / "engine" / "objectives.py"),
        "used": "train.objective, pipeline.objectives",
    }


def test_a_kind_that_does_not_exist_names_the_nearest(cgd: Run) -> None:
    code, printed = cgd("list", "recipe")
    assert code == 2
    assert "did you mean recipes?" in printed


def test_places_are_short_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(catalogue.ROOT)
    assert "  in datagen/templates/NAME.txt" in list(as_lines(["wordings"]))


# ---- copy -------------------------------------------------------------------------------------------


def test_names_that_are_copied_mean_one_thing() -> None:
    names = [item.name for kind in COPIED for item in items(kind)]
    assert len(set(names)) == len(names)
    assert {*known_names()} >= {*named("recipes"), *named("experiments"), *WORDING_KEYS}


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS.glob("*.toml")])
def test_a_copied_recipe_is_the_same_run_under_another_name(cgd: Run, name: str) -> None:
    code, printed = cgd("copy", name, "mine.toml")
    assert code == 0
    assert "  cgd run mine.toml\n" in printed
    ours, theirs = load_config(CONFIGS / f"{name}.toml"), load_config(Path("mine.toml"))
    assert (theirs.run.name, theirs.run.dir) == ("mine", "runs/mine")
    assert theirs.__class__(**{**vars(theirs), "run": ours.run}) == ours
    assert "launch/configs" not in Path("mine.toml").read_text()


def test_a_copy_goes_into_a_folder_under_its_own_name(cgd: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    assert cgd("copy", "quickstart", "kept")[0] == 0
    assert load_config(tmp_path / "kept" / "quickstart.toml").run.name == "quickstart"
    assert cgd("copy", "critique", "new/folder/c.txt")[0] == 0
    assert Path("new/folder/c.txt").is_file()


@pytest.mark.parametrize("name", ["quickstart", "critique", "arithmetic", "table1"])
def test_nothing_is_overwritten(cgd: Run, name: str) -> None:
    Path("precious").write_text("mine")
    code, printed = cgd("copy", name, "precious")
    assert code == 2
    assert "precious is there already" in printed
    assert Path("precious").read_text() == "mine"


@pytest.mark.parametrize("name", WORDING_KEYS)
def test_the_printed_lines_use_the_copied_wording(cgd: Run, name: str) -> None:
    code, printed = cgd("copy", name, "my.txt")
    assert code == 0
    Path("mine.toml").write_text(
        '[student]\nmodel = "builtin:student"\n' + printed.split("\n", 1)[1]
    )
    config = load_config(Path("mine.toml"))
    used = {config.data.wording, config.evaluate.wording}
    used |= {getattr(config.generate, stage).template for stage in ("critique", "refine", "teach")}
    assert "my.txt" in used
    alone = name != "refine_continue"
    assert load_template("my.txt", alone).sha256 == load_template(name, alone).sha256


def test_a_wording_that_no_key_names_is_not_copied(cgd: Run) -> None:
    for name in named("wordings") - {*WORDING_KEYS}:
        code, printed = cgd("copy", name)
        assert code == 2
        assert "is fixed" in printed
    assert not list(Path().iterdir())


def test_an_edited_wording_is_what_the_teacher_is_asked(cgd: Run) -> None:
    assert cgd("copy", "plain", "asked.txt")[0] == 0
    Path("asked.txt").write_text("Think first.\n{problem}\n")
    Path("mine.toml").write_text(
        '[student]\nmodel = "builtin:student"\n[data]\nlimit = 2\nwording = "asked.txt"\n'
        '[generate.answer]\nmax_tokens = 160\n[evaluate]\nbenchmarks = ["arithmetic"]\nlimit = 1\nmax_tokens = 64\n'
    )
    assert cgd("generate", "mine.toml")[0] == 0
    lines = Path("runs/mine/data/prompts.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["prompt"].split("\n")[0] for row in rows] == ["Think first."] * 2


def test_a_copied_benchmark_asks_the_same(cgd: Run) -> None:
    code, printed = cgd("copy", "arithmetic-new", "--limit", "5", "--seed", "3")
    assert code == 0
    assert printed.endswith('[evaluate]\nbenchmarks = ["arithmetic-new.jsonl"]\n')
    ours, theirs = load_benchmark("arithmetic-new", 5, 3), load_benchmark("arithmetic-new.jsonl")
    asked = [(one.id, one.prompt, one.gold) for one in theirs.problems]
    assert asked == [(one.id, one.prompt, one.gold) for one in ours.problems]


def test_a_benchmark_of_the_hub_is_copied_row_by_row(
    cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(4)]
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: rows)
    code, printed = cgd("copy", "gsm8k", "--limit", "3")
    assert code == 0
    assert 'benchmarks = ["gsm8k=gsm8k.jsonl"]' in printed
    assert len(load_benchmark("gsm8k=gsm8k.jsonl").problems) == 3


def test_without_a_hub_the_way_to_bring_ones_own_is_said(
    cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    code, printed = cgd("copy", "math500")
    assert code == 2
    assert "no route" in printed
    assert 'benchmarks = ["math500=PATH.jsonl"]' in printed
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arithmetic-format", "checked by a program"),
        ("ifeval", "lm-evaluation-harness"),
        ("critik", "did you mean critique?"),
    ],
)
def test_what_cannot_be_copied_is_said(cgd: Run, name: str, said: str) -> None:
    code, printed = cgd("copy", name)
    assert code == 2
    assert said in printed


def test_a_copied_experiment_is_reproduced_by_its_path(cgd: Run) -> None:
    code, printed = cgd("copy", "table14")
    assert code == 0
    assert "cgd reproduce my-table14.toml --dry-run" in printed
    mine, theirs = load_experiment("my-table14.toml"), load_experiment("table14")
    assert mine.name == "my-table14"
    assert (mine.variants, mine.measure) == (theirs.variants, theirs.measure)
    code, printed = cgd("reproduce", "my-table14.toml", "--dry-run", "--json")
    found = json.loads(printed)
    assert code == 0
    assert found["left"] == len(found["jobs"]) > 0
    assert not Path("runs").exists()


def test_an_experiment_of_ones_own_must_not_be_called_like_a_packaged_one(cgd: Run) -> None:
    code, printed = cgd("copy", "table14", "table1.toml")
    assert code == 2
    assert "name another file" in printed
    Path("table2.toml").write_text((catalogue.EXPERIMENTS / "table2.toml").read_text())
    with pytest.raises(ConfigError, match="is an experiment of the package"):
        load_experiment("table2.toml")
    code, printed = cgd("reproduce", "my.toml", "--keep")
    assert code == 2
    assert "--keep is for experiments of the package" in printed
