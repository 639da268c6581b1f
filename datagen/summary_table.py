"""The summary for people: aligned plain text of at most 100 columns.

Summary -> table -> what came through, what the gates found, tokens and time, what the answers are worth
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datagen.summary import StageSummary, Summary

MAX_COLUMNS = 100
GATES = ("truncated", "empty", "refusal", "echo", "right", "leak", "contradiction")


def table(summary: Summary) -> str:
    """The whole summary, without a line break at its end."""
    blocks = [
        "\n".join([aligned(came_through(summary)), *losses(summary)]),
        "\n".join([*findings(summary), *lines_of(nothing_found(summary))]),
        aligned(effort(summary)),
        "\n".join(worth(summary)),
        "\n".join(verdict_lines(summary)),
        "\n".join(closing(summary)),
    ]
    return "\n\n".join(block for block in blocks if block)


Rows = list[list[str]]


def came_through(summary: Summary) -> Rows:
    """Records in and out of each stage."""
    rows = [["records", "in", "out", "dropped", "failed", "retries"]]
    for stage in summary.stages:
        dropped, failed = sum(stage.dropped.values()), sum(stage.failed.values())
        counts = (stage.into, stage.out, dropped, failed, stage.retried)
        rows.append([stage.stage, *map(number, counts)])
    return rows


def losses(summary: Summary) -> list[str]:
    """What was dropped and what failed, by reason: `lost in refine: truncated 3, timeout 1`."""
    return [
        line
        for stage in summary.stages
        if stage.dropped or stage.failed
        for line in lines_of([f"lost in {stage.stage}:", *counted(stage.dropped | stage.failed)])
    ]


def findings(summary: Summary) -> list[str]:
    """In how many of the texts each gate found something, as counts and shares."""
    gates = [gate for gate in GATES if has_found(summary, gate)]
    if not gates:
        return []
    rows = [["found in", "texts", *gates]]
    for stage in summary.stages:
        found = [share(stage.found.get(gate, 0), stage.texts) for gate in gates]
        rows.append([stage.stage, number(stage.texts), *found])
    return [aligned(rows)]


def has_found(summary: Summary, gate: str) -> bool:
    """Whether a gate found anything at all."""
    return any(stage.found.get(gate) for stage in summary.stages)


def nothing_found(summary: Summary) -> list[str]:
    """The gates that every text got through: `found in none: empty, leak`."""
    silent = [gate for gate in GATES if not has_found(summary, gate)]
    return ["found in none:", *with_commas(silent)] if silent else []


def share(count: int, total: int) -> str:
    """`12 (3.4 %)`; a dash for nothing."""
    return f"{count:,} ({100 * count / total:.1f} %)" if count else "-"


def effort(summary: Summary) -> Rows:
    """Lengths of what was kept; tokens, time and money of all that was written."""
    head = ["tokens", "mean", "p50", "p95", "read", "cached", "written", "seconds"]
    has_hours = any(stage.device_hours is not None for stage in summary.stages)
    has_price = any(stage.usd for stage in summary.stages)
    rows = [[*head, *["device-h"] * has_hours, *["USD"] * has_price]]
    rows += [effort_of(stage, has_hours, has_price) for stage in summary.stages]
    return rows


def effort_of(stage: StageSummary, has_hours: bool, has_price: bool) -> list[str]:
    """One row of it."""
    mean = "-" if stage.tokens_mean is None else f"{stage.tokens_mean:,.0f}"
    lengths = (stage.tokens_p50, stage.tokens_p95)
    tokens = (stage.prompt_tokens, stage.cached_tokens, stage.completion_tokens)
    row = [stage.stage, mean, *map(number, (*lengths, *tokens)), f"{stage.seconds:,.0f}"]
    if has_hours:
        row.append("-" if stage.device_hours is None else hours(stage.device_hours))
    if has_price:
        row.append(f"{stage.usd:,.2f}")
    return row


def worth(summary: Summary) -> list[str]:
    """How many answers are right, and what refinement changed."""
    judged = (
        ("student answers", summary.student_correct, summary.student_judged),
        ("refined answers", summary.refined_correct, summary.refined_judged),
        ("teacher answers", summary.teacher_correct, summary.teacher_judged),
    )
    lines = [
        f"{name} right  {100 * right / total:5.1f} %  ({right:,} of {total:,})"
        for name, right, total in judged
        if total
    ]
    if summary.both_judged:
        lines.append(
            f"rescued (wrong → right) {summary.rescued:,}, broken (right → wrong) {summary.broken:,}, "
            f"of {summary.both_judged:,}"
        )
    return lines


def verdict_lines(summary: Summary) -> list[str]:
    """The confusion table, where any critique concludes something."""
    said = summary.verdicts
    if not any(said[word][matched] for word in ("right", "wrong") for matched in said[word]):
        return []
    heads = {"right": "student right", "wrong": "student wrong", "unknown": "unknown"}
    rows = [["critique concludes", *heads.values()]]
    rows += [
        [word, *(number(counts[matched]) for matched in heads)] for word, counts in said.items()
    ]
    return [aligned(rows)]


def closing(summary: Summary) -> list[str]:
    """The whole in a few words."""
    parts = [f"records: {summary.records:,} of {summary.prompts:,} prompts"]
    parts.append(f"{summary.completion_tokens:,} tokens written")
    if summary.wall_seconds is not None:
        parts.append(f"{summary.wall_seconds:,.0f} s for this run")
    if summary.tokens_per_second is not None:
        parts.append(f"{summary.tokens_per_second:,.0f} tokens/s")
    if summary.device_hours is not None:
        parts.append(f"{hours(summary.device_hours)} device-hours of local models")
    if summary.flops is not None:
        parts.append(f"{summary.flops:.3g} FLOPs")
    if summary.usd:
        parts.append(f"${summary.usd:,.2f}")
    return lines_of(with_commas(parts))


def hours(value: float) -> str:
    """Two decimals, more of a small value."""
    return f"{value:,.2f}" if value >= 0.1 else f"{value:.2g}"


def counted(counts: Mapping[str, int]) -> list[str]:
    """`timeout 3,` and so on."""
    return with_commas([f"{name} {count:,}" for name, count in counts.items()])


def with_commas(parts: Sequence[str]) -> list[str]:
    """Each part but the last with a comma behind it."""
    return [f"{part}," for part in parts[:-1]] + list(parts[-1:])


def lines_of(parts: Sequence[str]) -> list[str]:
    """The parts in as few lines as they fit into."""
    lines = list(parts[:1])
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) <= MAX_COLUMNS:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return lines


def number(value: int | None) -> str:
    """With thousands separated; a dash for what is not known."""
    return "-" if value is None else f"{value:,}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join(lines)
