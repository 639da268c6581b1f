"""How figures are printed: shares in percent, differences in points, p, and tables that nothing can break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def share_cell(score: Mapping[str, Any] | None, field: str) -> str:
    """41.3 % [35.9, 47.0]"""
    if score is None or score.get(field) is None:
        return "-"
    low, high = score[f"{field}_interval"]
    return f"{100 * score[field]:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def mean_cell(figure: Mapping[str, Any]) -> str:
    """41.3 ± 1.2 % [35.9, 47.0]: mean and standard deviation over seeds, interval over problems."""
    low, high = figure["interval"]
    spread = "" if figure["std"] is None else f" ± {100 * figure['std']:.1f}"
    return f"{100 * figure['mean']:.1f}{spread} % [{100 * low:.1f}, {100 * high:.1f}]"


def difference_cell(difference: float, low: float, high: float) -> str:
    """+4.2 [−1.0, +9.4]. Where all problems differ alike, most often not at all, there is nothing to draw from."""
    return f"{points(difference)} {interval_cell(low, high)}"


def interval_cell(low: float, high: float) -> str:
    """[−1.0, +9.4] of a difference."""
    return "[no spread]" if low == high else f"[{points(low)}, {points(high)}]"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def number(value: float | None) -> str:
    """A figure of moderate size."""
    return "-" if value is None else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def p_value(value: float | None) -> str:
    """p as it is printed in tables."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines)


def plain(text: str) -> str:
    """Text that cannot break a Markdown table or open a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
