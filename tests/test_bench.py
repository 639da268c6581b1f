"""Claims: every variant of the loss bench computes the same loss, and the bench measures what it says."""

from __future__ import annotations

import pytest

from launch.bench_loss import errors, make_inputs, table, variants
from launch.bench_process import in_own_process
from launch.cli import parser

MEASURE = "launch.bench_loss:measure"
SMALL = [
    "bench",
    "loss",
    "--tokens",
    "64",
    "--width",
    "16",
    "--vocabulary",
    "300",
    "--repeats",
    "1",
]


def test_all_variants_compute_the_same_loss_and_gradient() -> None:
    options = parser().parse_args(SMALL)
    found = errors(options)
    assert set(found) == set(variants("cpu")) >= {"ours", "transformers", "select, cross_entropy"}
    for name, (loss_error, grad_error) in found.items():
        assert loss_error < 1e-5, name
        assert grad_error < 1e-5, name


def test_a_variant_is_measured_in_a_process_of_its_own() -> None:
    options = parser().parse_args([*SMALL, "--vocabulary", "60000", "--tokens", "512"])
    full, ours = (in_own_process(name, MEASURE, options) for name in ("transformers", "ours"))
    assert full["seconds"] > 0
    # fp32 logits of all positions and their gradient are 2 × 117 MiB; ours holds a third of the positions
    assert full["peak_mib"] > 200
    assert ours["peak_mib"] < full["peak_mib"]
    assert "ours" in table({"ours": [ours]}, {"ours": (0.0, 0.0)}, options)


def test_supervised_share_is_as_asked() -> None:
    options = parser().parse_args([*SMALL, "--supervised", "0.25"])
    labels_T = make_inputs(options)[2]
    assert (labels_T >= 0).sum() == 16


def test_failing_variant_is_named() -> None:
    options = parser().parse_args(SMALL)
    with pytest.raises(ValueError, match="'no such'"):
        in_own_process("no such", MEASURE, options)
