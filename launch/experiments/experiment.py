"""An experiment: variants (the rows of a table) and measures (its columns), as its file says them.

    [experiment] [[variants]] [[asks]] [[measure]] [figure]  ->  Experiment (experiment_files.py reads it)

What the file says holds for every scale; `[scale.NAME]` changes it for one. Whether models, prompts and columns
exist at a scale is found out when the experiment is expanded there (grid.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.config import suggest

ScaleName = Literal["mini", "small", "paper"]
SCALES: tuple[ScaleName, ...] = ("mini", "small", "paper")
Unit = Literal["", "%", "number", "hours", "s"]
PLAIN_KINDS = ("accuracy", "average", "compliance", "words", "steps", "diagnostic", "account")
SHARES = ("accuracy", "average", "compliance")
RELATIONS = (">", "<", "=")
DEFAULT_ASK = "default"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A row: what is trained, on what, and how it is measured (`[[variants]]`)."""

    name: str
    """Names the row in claims and commands."""
    label: str = ""
    """What the table says; unset, the name."""
    objective: Literal["base", "teacher", "sft", "distilled_sft", "cft", "cgd", "cgd_no_critique"]
    """What is trained; `base` is the student before training, `teacher` the teacher itself."""
    student: str = "main"
    """One of the scale's [students]."""
    teacher: str = "main"
    """One of the scale's [teachers]."""
    prompts: str = "main"
    """One of the scale's [prompts]."""
    critiques: Literal["real", "unrelated", "generic"] = "real"
    """What stands in place of the teacher's critique."""
    correct_share: float | None = None
    """Share of records whose student answer is right; goes with `total`."""
    total: int | None = None
    """So many records are trained on; unset, all."""
    learning_rate_factor: float = 1.0
    """Times the learning rate that the scale and the experiment give."""
    epoch: int | None = None
    """Measured after this epoch; unset, after the last step."""
    round: int = 1
    """2: answers, critiques and refinements are made anew for the student that round 1 trained."""
    ask: str = DEFAULT_ASK
    """Which of [[asks]] its accuracies are measured with."""
    set: Mapping[str, Any] = field(default_factory=dict)
    """Further configuration keys, "section.key"."""
    paper: str = ""
    """Where the paper's row lies in paper.json; unset, the paper has none."""
    x: float | None = None
    """Place on the figure's x axis."""
    series: str = ""
    """Line of the figure that it belongs to."""
    scales: tuple[ScaleName, ...] = SCALES
    """Where it exists."""

    def __post_init__(self) -> None:
        trained = self.objective not in ("base", "teacher")
        chooses = self.correct_share is not None or self.total is not None
        if not trained and (chooses or self.epoch or self.round > 1 or self.critiques != "real"):
            raise ValueError(
                f"{self.name}: {self.objective} is not trained, so it has no epoch, round, total, correct_share or "
                "critiques"
            )
        if self.correct_share is not None and not 0 <= self.correct_share <= 1:
            raise ValueError(f"correct_share must lie in [0, 1], got {self.correct_share}")
        if self.correct_share is not None and self.total is None:
            raise ValueError(f"{self.name}: correct_share goes with total")
        for key in ("total", "epoch", "round", "learning_rate_factor"):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise ValueError(f"{key} must be positive, got {value}")

    @property
    def title(self) -> str:
        """What the table says."""
        return self.label or self.name

    @property
    def is_trained(self) -> bool:
        """Whether anything is trained for it."""
        return self.objective not in ("base", "teacher")

    @property
    def has_mixture(self) -> bool:
        """Whether it is trained on other records than those of the data stages."""
        return self.critiques != "real" or self.total is not None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column that is no plain benchmark accuracy (`[[measure]]`); those of `measures` become one, too."""

    name: str
    kind: str = "accuracy"
    """accuracy, average, compliance, words, steps, pass@K, diagnostic or account."""
    ask: str = ""
    """Which of [[asks]]; unset, the variant's own."""
    benchmark: str = ""
    """The paper's column whose problems are asked."""
    diagnostic: str = ""
    """kind diagnostic: the name of one."""
    figure: str = ""
    """kind diagnostic: the key among its figures; kind account: a key such as train.device_seconds."""
    paper: str = ""
    """Where the paper's number lies; `{row}` is the variant's `paper`. Unset, "{row}.NAME"."""
    unit: Unit = ""
    """% (0 to 1, shown as percent), number, hours or s; unset, % for accuracies and numbers for the rest."""

    def __post_init__(self) -> None:
        if self.kind not in PLAIN_KINDS and not re.fullmatch(r"pass@[1-9]\d*", self.kind):
            known = ", ".join(PLAIN_KINDS)
            hint = suggest(self.kind, PLAIN_KINDS)
            raise ValueError(f"kind: {self.kind!r} is none of {known}, pass@K{hint}")
        needs = {"diagnostic": ("diagnostic", "figure"), "account": ("figure",), "average": ()}
        for key in needs.get(self.kind, ("benchmark",)):
            if not getattr(self, key):
                raise ValueError(f"{key}: measure {self.name!r} of kind {self.kind} needs it")

    @property
    def asks_model(self) -> bool:
        """Whether it is read from an evaluation."""
        return self.kind not in ("diagnostic", "account")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A way to evaluate (`[[asks]]`): the scale's [evaluate], changed."""

    name: str
    set: Mapping[str, Any] = field(default_factory=dict)
    """Configuration keys, "evaluate.key"."""
    benchmarks: tuple[str, ...] = ()
    """The paper's columns; unset, all of the scale's."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What is drawn (`[figure]`)."""

    kind: Literal[
        "bars", "lines", "loss_curves", "attention_layers", "attention_steps", "attention_phases"
    ] = "bars"
    measure: str = ""
    """bars, lines: the measure; unset, the first."""
    x: str = ""
    """What the x axis says."""
    log: bool = False
    """A logarithmic x axis."""
    title: str = ""
    """Unset, the experiment's."""


@dataclass(frozen=True, kw_only=True)
class AtScale:
    """`[scale.NAME]`: what differs at one scale."""

    seeds: tuple[int, ...] = ()
    measures: tuple[str, ...] = ()
    set: Mapping[str, Any] = field(default_factory=dict)
    total: int | None = None
    """In place of the `total` of all variants that have one; 0 takes all records."""


@dataclass(frozen=True, kw_only=True)
class Scales:
    """`[scale]`: one table a scale."""

    mini: AtScale = field(default_factory=AtScale)
    small: AtScale = field(default_factory=AtScale)
    paper: AtScale = field(default_factory=AtScale)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One table or figure of the paper (`[experiment]`, and the sections beside it)."""

    name: str
    paper: str = ""
    """Where it stands there."""
    title: str
    shows: str
    """One or two sentences: what is varied, what stays."""
    expects: str = ""
    """The paper's claim in words."""
    claims: tuple[tuple[str, ...], ...] = ()
    """Four texts each, [variant, relation, variant, measure]: tested paired, the verdict is printed."""
    reference: str = ""
    """The variant that differences are taken against; unset, none are."""
    measures: tuple[str, ...] = ()
    """Accuracies: the paper's columns, and averages by name."""
    scales: tuple[ScaleName, ...] = SCALES
    seeds: tuple[int, ...] = ()
    """Unset, the scale's."""
    set: Mapping[str, Any] = field(default_factory=dict)
    """Configuration keys over the scale's, for all variants."""
    scale: Scales = field(default_factory=Scales)
    variants: tuple[Variant, ...]
    asks: tuple[Ask, ...] = ()
    measure: tuple[Measure, ...] = ()
    """Further measures, after those of `measures`."""
    figure: Figure | None = None

    def at(self, scale: str) -> AtScale:
        """What differs at this scale."""
        found: AtScale = getattr(self.scale, scale)
        return found

    def variants_at(self, scale: str) -> tuple[Variant, ...]:
        """The rows that exist at this scale."""
        total = self.at(scale).total
        return tuple(
            replace(variant, total=total or None)
            if total is not None and variant.total
            else variant
            for variant in self.variants
            if scale in variant.scales
        )

    def measures_at(self, scale: str, averages: Collection[str]) -> tuple[Measure, ...]:
        """All columns in order, those of the shorthand as measures; `averages` are the scale's."""
        names = self.at(scale).measures or self.measures
        short = [shorthand(name, averages) for name in names]
        return (*short, *self.measure)

    def asks_of(self, variant: Variant, scale: str, averages: Collection[str]) -> tuple[str, ...]:
        """The ways in which a variant is asked, by name."""
        named = [m.ask or variant.ask for m in self.measures_at(scale, averages) if m.asks_model]
        return tuple(dict.fromkeys(named))

    def asked(self, name: str) -> Ask:
        """A way to evaluate, by name; the default one need not be written down."""
        return next((ask for ask in self.asks if ask.name == name), Ask(name=name))

    @property
    def diagnostics(self) -> tuple[str, ...]:
        """Those that measures or the figure read."""
        named = [measure.diagnostic for measure in self.measure if measure.diagnostic]
        if self.figure is not None and self.figure.kind.startswith("attention"):
            named.append("attention")
        return tuple(dict.fromkeys(named))


def shorthand(name: str, averages: Collection[str]) -> Measure:
    """The measure that a name in `measures` stands for."""
    if name in averages:
        return completed(Measure(name=name, kind="average"))
    return completed(Measure(name=name, benchmark=name))


def completed(measure: Measure) -> Measure:
    """The measure with its unit and its place in the paper written out."""
    is_share = measure.kind in SHARES or measure.kind.startswith("pass@")
    unit: Unit = measure.unit or ("%" if is_share else "number")
    return replace(measure, unit=unit, paper=measure.paper or f"{{row}}.{measure.name}")
