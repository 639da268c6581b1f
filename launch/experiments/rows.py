"""The lines of an experiment's table and its claims, in the printed unit: shares in percent, differences in points.

    readings of every (variant, measure) → estimate                → row
    a variant and the reference, paired  → difference, Holm        → row["difference"], row["paper_difference"]
    two variants of a claim, paired      → difference, Holm        → claim, with its verdict

The differences of a table are one family of tests and the claims are another: claims were written down before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evals.intervals import Interval
from evals.statistics import holm
from launch.experiments.estimates import Difference, compare, estimate, verdict
from launch.experiments.experiment import Measure, Variant
from launch.experiments.measures import NOT_RUN, Gap, Reading
from launch.experiments.paper_numbers import PaperNumber, number_for

Json = dict[str, Any]
Key = tuple[str, str]
"""(variant, measure)."""
Readings = Mapping[Key, Mapping[int, Reading]]
"""By seed."""
Gaps = Mapping[Key, Sequence[Gap]]
Differences = Mapping[Key, tuple[Difference, float]]
"""With the corrected p."""
AS_IN_PAPER, UNLIKE_PAPER = ", as in the paper", ", unlike the paper"


def reference_of(variant: Variant, reference: str, variants: Sequence[Variant]) -> Variant | None:
    """What a variant is compared with: the table's reference, or its counterpart for another student, where there
    is one. None for the reference itself."""
    named = next((one for one in variants if one.name == reference), None)
    if named is None or variant.name == reference:
        return None
    of_student = [
        one
        for one in variants
        if (one.objective, one.student) == (named.objective, variant.student)
    ]
    own = named if variant.student == named.student else next(iter(of_student), named)
    return None if own.name == variant.name else own


def differences_of(
    reference: str,
    variants: Sequence[Variant],
    measures: Sequence[Measure],
    read: Readings,
) -> Differences:
    """Every variant's difference from its reference with its p, corrected for all of them (Holm)."""
    found = {}
    for variant in variants:
        against = reference_of(variant, reference, variants)
        for measure in measures if against else ():
            base = read.get((against.name, measure.name)) if against else None
            own = read.get((variant.name, measure.name))
            if base and own:
                difference = compare(own, base, is_share(measure))
                if difference is not None:
                    found[variant.name, measure.name] = difference
    return corrected(found)


def corrected(found: Mapping[Any, Difference]) -> dict[Any, tuple[Difference, float]]:
    """Each with Holm's p among those that were tested; an untested one has 1."""
    p_values = {key: d.p_value for key, d in found.items() if d.p_value is not None}
    after = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return {key: (difference, after.get(key, 1.0)) for key, difference in found.items()}


def row_of(
    variant: Variant,
    measure: Measure,
    reference: Variant | None,
    read: Readings,
    gaps: Gaps,
    differences: Differences,
) -> Json:
    """One line of the full table."""
    key = (variant.name, measure.name)
    printed = number_for(variant.paper, measure.paper, measure.name)
    row: Json = {"variant": variant.name, "measure": measure.name, "paper": paper_json(printed)}
    row["reference"] = reference.name if reference else None
    row["paper_difference"] = paper_difference(printed, measure, reference)
    readings = read.get(key)
    if not readings:
        states = {gap.state for gap in gaps.get(key, ())}
        state = NOT_RUN if NOT_RUN in states else next(iter(states), NOT_RUN)
        return row | {"state": state, "value": None}
    found = estimate(readings, is_share(measure))
    factor = factor_of(measure)
    row |= {
        "state": "measured",
        "value": found.value * factor,
        "interval": interval_json(found.interval, factor),
        "interval_over": found.by,
        "per_seed": {str(seed): value * factor for seed, value in found.per_seed.items()},
        "problems": found.problems,
        "seeds": len(found.per_seed),
        "seeds_missing": len(gaps.get(key, ())),
    }
    if key in differences:
        difference, p_holm = differences[key]
        told = difference_json(difference, p_holm, len(differences), factor)
        said = direction(told["verdict"], told["value"], row["paper_difference"])
        row["difference"] = told | {"verdict": said}
    return row


def paper_difference(
    printed: PaperNumber | None, measure: Measure, reference: Variant | None
) -> float | None:
    """The paper's number less that of the reference."""
    if printed is None or reference is None:
        return None
    base = number_for(reference.paper, measure.paper, measure.name)
    return None if base is None else round(printed.value - base.value, 6)


def direction(said: str, value: float, paper: float | None) -> str:
    """Which way a difference goes, where it is resolved, and whether the paper's goes there too."""
    if said != "resolved":
        return said
    way = "higher" if value > 0 else "lower"
    if not paper:
        return way
    return way + (AS_IN_PAPER if (paper > 0) == (value > 0) else UNLIKE_PAPER)


def difference_json(difference: Difference, p_holm: float, family: int, factor: float) -> Json:
    """A paired difference in the printed unit."""
    return {
        "value": difference.value * factor,
        "interval": interval_json(difference.interval, factor),
        "interval_over": difference.by,
        "per_seed": {str(seed): value * factor for seed, value in difference.per_seed.items()},
        "problems": difference.problems,
        "seeds": len(difference.per_seed),
        "left_out": difference.left_out,
        "p_seeds": difference.p_seeds,
        "p_problems": difference.p_problems,
        "p": difference.p_value,
        "p_holm": p_holm,
        "seeds_needed": difference.seeds_needed,
        "problems_needed": difference.problems_needed,
        "verdict": verdict(difference, p_holm, family, 1 if difference.value > 0 else -1),
    }


def claims_of(
    claims: Sequence[Sequence[str]],
    read: Readings,
    gaps: Gaps,
    measures: Mapping[str, Measure],
) -> list[Json]:
    """Each claim of the experiment, tested paired and corrected for their number."""
    found: dict[int, Difference] = {}
    for place, (first, _, second, name) in enumerate(claims):
        one, other = read.get((first, name)), read.get((second, name))
        if name in measures and one and other:
            difference = compare(one, other, is_share(measures[name]))
            if difference is not None:
                found[place] = difference
    tested = corrected(found)
    lines = []
    for place, (first, relation, second, name) in enumerate(claims):
        line: Json = {"first": first, "relation": relation, "second": second, "measure": name}
        if place not in tested:
            line["verdict"] = why_untested((first, name), (second, name), read, gaps)
        else:
            difference, p_holm = tested[place]
            sign = {">": 1, "<": -1, "=": 0}[relation]
            said = difference_json(difference, p_holm, len(tested), factor_of(measures[name]))
            line["difference"] = said
            line["verdict"] = verdict(difference, p_holm, len(tested), sign)
        lines.append(line)
    return lines


def why_untested(first: Key, second: Key, read: Readings, gaps: Gaps) -> str:
    """Why a claim could not be tested: what it is about does not exist here, was not run, or cannot be paired."""
    for key in (first, second):
        states = {gap.state for gap in gaps.get(key, ())}
        if key in read or NOT_RUN in states:
            continue
        exists = any(key[0] == variant for variant, _ in (*read, *gaps))
        return f"no such {'measure' if exists else 'variant'} at this scale"
    if first in read and second in read:
        return "not tested: they have no seed and problem in common"
    return NOT_RUN


def is_share(measure: Measure) -> bool:
    """Whether it is a share of problems, each between 0 and 1; a diagnostic in percent may be anything."""
    return measure.unit == "%" and measure.asks_model


def factor_of(measure: Measure) -> float:
    """From a share to percent."""
    return 100.0 if measure.unit == "%" else 1.0


def paper_json(number: PaperNumber | None) -> Json | None:
    """The paper's number and where it stands."""
    return None if number is None else asdict(number)


def interval_json(interval: Interval | None, factor: float) -> list[float] | None:
    """Both ends."""
    return None if interval is None else [interval.low * factor, interval.high * factor]
