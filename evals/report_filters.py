"""The filters of the sample browser: radio buttons and style rules, no script.

    set × verdict before × method × verdict after × verdict of the refinement → one selector of what is shown

    #samples:has(#before-yes:checked) .b-yes      a sample of this class, while that button is chosen

Each filter is a list of such selectors in one `:is(…)`; a sample is shown where all lists hold. "Show the first N" is
`:nth-child(n+N+1 of SHOWN)`, so N counts what the other filters leave. Without a method "after" asks whether any
method's answer is right, or wrong. Of training records, which no method answers, "after" asks nothing.

A browser that does not know `:has()` shows every sample and no filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.report_samples import SampleSet, methods_of

NUMBERS = (5, 10, 25)
"""How many samples may be shown at a time, beside all of them."""
FIRST_NUMBER = 10
VERDICTS = (("any", "any"), ("yes", "right"), ("no", "wrong"))


@dataclass(frozen=True)
class Button:
    """One radio button."""

    id: str
    label: str
    is_first: bool
    aside: str = ""
    """Small print: of a set, how many samples it has."""
    hue: str = ""
    """Style class of a method."""


@dataclass(frozen=True)
class Filter:
    """A group of radio buttons, of which one is chosen."""

    name: str
    legend: str
    buttons: tuple[Button, ...]


def filters(sets: Sequence[SampleSet]) -> list[Filter]:
    """The groups that this run's samples can be told apart by."""
    methods = methods_of(sets)
    found = [group("set", "From", [(str(n), one.title, said(one)) for n, one in enumerate(sets)])]
    if methods:
        names = [("any", "all", ""), *((str(n), name, "") for n, name in enumerate(methods))]
        found.append(group("method", "Method", names))
    found.append(verdicts("before", "Before training"))
    if methods:
        found.append(verdicts("after", "After training"))
    if any(one.is_records for one in sets):
        found.append(verdicts("refined", "Refinement"))
    numbers = [*((str(n), str(n), "") for n in NUMBERS), ("all", "all", "")]
    first = next(place for place, n in enumerate(NUMBERS) if n == FIRST_NUMBER)
    found.append(group("show", "Show", numbers, first))
    found.append(group("texts", "Texts", [("folded", "folded", ""), ("open", "open", "")]))
    return found


def verdicts(name: str, legend: str) -> Filter:
    """Any, right or wrong."""
    return group(name, legend, [(key, word, "") for key, word in VERDICTS])


def group(
    name: str, legend: str, choices: Sequence[tuple[str, str, str]], first: int = 0
) -> Filter:
    """Buttons with ids `name-key`."""
    buttons = tuple(
        Button(f"{name}-{key}", label, place == first, aside, label if name == "method" else "")
        for place, (key, label, aside) in enumerate(choices)
    )
    return Filter(name, legend, buttons)


def said(one: SampleSet) -> str:
    """40 of 300."""
    shown = len(one.samples)
    return f"{shown}" if shown == one.total else f"{shown} of {one.total:,}"


def rules(sets: Sequence[SampleSet]) -> str:
    """The style rules that make the buttons work."""
    methods = methods_of(sets)
    shown = selector(len(sets), methods, any(one.is_records for one in sets))
    lines = [
        f"#samples .s:not({shown}) {{ display: none; }}",
        f"{shown} ~ .nothing {{ display: none; }}",
    ]
    for number in NUMBERS:
        beyond = f"{chosen(f'show-{number}')} .s:nth-child(n+{number + 1} of {shown})"
        lines.append(f"{beyond} {{ display: none; }}")
    for number in range(len(methods)):
        others = f"{chosen(f'method-{number}')} .a:not(.a{number})"
        lines.append(f"{others} {{ display: none; }}")
    for place, one in enumerate(sets):
        hidden = (".f-method", ".f-after") if one.is_records else (".f-refined",)
        lines += [f"{chosen(f'set-{place}')} {name} {{ display: none; }}" for name in hidden]
    inside = "\n".join(f"  {line}" for line in lines)
    return f"@supports selector(:has(a)) {{\n{inside}\n}}"


def chosen(button: str) -> str:
    """The browser while this button is chosen."""
    return f"#samples:has(#{button}:checked)"


def selector(sets: int, methods: Sequence[str], has_records: bool) -> str:
    """What all filters together let through."""
    parts = [
        [f"{chosen(f'set-{place}')} .set-{place}" for place in range(sets)],
        list(by_verdict("before", "b")),
    ]
    if methods:
        parts.append([".rec", *by_method(len(methods))])
    if has_records:
        parts.append([".s:not(.rec)", *by_verdict("refined", "r")])
    return ".s" + "".join(f":is({', '.join(part)})" for part in parts)


def by_verdict(name: str, kind: str) -> Iterator[str]:
    """Any verdict, right or wrong."""
    yield f"{chosen(f'{name}-any')} .s"
    for verdict in ("yes", "no"):
        yield f"{chosen(f'{name}-{verdict}')} .{kind}-{verdict}"


def by_method(methods: int) -> Iterator[str]:
    """Right or wrong after training: by the chosen method, or by any."""
    yield f"{chosen('after-any')} .s"
    for verdict in ("yes", "no"):
        after = chosen(f"after-{verdict}")
        yield f"{after}:has(#method-any:checked) .any-{verdict}"
        for number in range(methods):
            yield f"{after}:has(#method-{number}:checked) .m{number}-{verdict}"
