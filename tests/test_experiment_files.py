"""Experiments and scales as files: what is wrong with one is said at once, what is left out has its default."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiment_samples import HEAD, SCALE, experiment, scale, variant, variants

from engine.config import ConfigError
from launch.experiments.experiment import SCALES
from launch.experiments.experiment_files import ALIASES, experiment_names, load_experiment
from launch.experiments.grid import expand
from launch.experiments.scale import load_scale

WRONG = (
    HEAD.replace(
        "shows", 'reference = "bse"\nclaims = [["cgd", ">", "cft", "GSM8K"], ["cgd"]]\nshows'
    )
    + """
[figur]
kind = "bars"
[scale.tiny]
seeds = [0]
[[measure]]
name = "nine"
kind = "pass@9x"
"""
    + variants(
        variant("base", "base", "epoch = 1"),
        variant("cgd", "cdg"),
        variant("cgd2", "cgd", "correct_share = 1.5\nlabl = 1"),
    )
)


def test_everything_wrong_with_an_experiment_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment(tmp_path, WRONG)
    text = str(caught.value)
    for part in (
        "figur: unknown section; did you mean [figure]?",
        "scale.tiny: unknown key",
        "kind: 'pass@9x' is none of",
        "base is not trained, so it has no epoch",
        'variants[1].objective: expected one of "base"',
        'did you mean "cgd"?',
        "variants[2].labl: unknown key",
    ):
        assert part in text


def test_names_that_mean_nothing_are_told_with_the_nearest_that_does(tmp_path: Path) -> None:
    text = HEAD.replace(
        "shows", 'reference = "bse"\nclaims = [["cgd", ">", "base", "GSM8k"], ["cgd"]]\nshows'
    )
    rows = variants(variant("base", "base"), variant("cgd", more='ask = "many"'), variant("cgd"))
    with pytest.raises(ConfigError) as caught:
        experiment(tmp_path, text + rows)
    said = str(caught.value)
    for part in (
        "experiment.reference: 'bse' is none of base, cgd, cgd; did you mean base?",
        "experiment.claims[0]: 'GSM8k' is none of GSM8K; did you mean GSM8K?",
        "experiment.claims[1]: expected [variant, relation, variant, measure], got ['cgd']",
        "variants[1].ask: 'many' is none of default",
        "variants: 'cgd' is there twice",
    ):
        assert part in said


def test_short_measures_become_accuracies_and_averages(tmp_path: Path) -> None:
    text = HEAD.replace('["GSM8K"]', '["GSM8K", "Both"]') + variants(variant("cgd"))
    text += (
        '\n[[measure]]\nname = "words"\nkind = "words"\nbenchmark = "GSM8K"\npaper = "x.{row}"\n'
    )
    short, average, own = experiment(tmp_path, text).measures_at("mini", scale(tmp_path).averages)
    assert (short.kind, short.benchmark, short.unit, short.paper) == (
        "accuracy",
        "GSM8K",
        "%",
        "{row}.GSM8K",
    )
    assert (average.kind, average.unit) == ("average", "%")
    assert (own.unit, own.paper) == ("number", "x.{row}")


def test_everything_wrong_with_a_scale_is_said_at_once(tmp_path: Path) -> None:
    text = SCALE.replace('"mini"', '"mni"').replace('["GSM8K", "IFEval"]', '["GSM8k"]')
    with pytest.raises(ConfigError) as caught:
        scale(tmp_path, text.replace("[teachers.main]", "[teachers.other]\nfoo = 1"))
    said = str(caught.value)
    assert 'did you mean "mini"?' in said
    assert "teachers.other.foo: unknown key" in said
    with pytest.raises(ConfigError) as caught:
        scale(tmp_path, SCALE.replace('["GSM8K", "IFEval"]', '["GSM8k"]'))
    assert "averages.Both: there is no column 'GSM8k'; did you mean GSM8K?" in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean table1"):
        load_experiment("tabel1")
    with pytest.raises(ConfigError, match="did you mean mini"):
        load_scale("minni")


def test_tables_that_say_the_same_again_have_their_own_name() -> None:
    assert {load_experiment(alias).name for alias in ALIASES} == {*ALIASES.values()}


@pytest.mark.parametrize("name", SCALES)
def test_every_packaged_experiment_expands_wherever_it_exists(name: str, tmp_path: Path) -> None:
    there = [e for e in map(load_experiment, experiment_names()) if name in e.scales]
    assert len(there) >= 25
    for one in there:
        grid = expand(one, load_scale(name), tmp_path)
        assert grid.jobs
        assert len(grid.seeds) >= 3
