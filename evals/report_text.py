"""The report as plain text: the table a terminal shows, and report.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Results = Mapping[str, Any]

TOY_NOTE = (
    "The built-in world is a toy: small word problems and a very small student, made so that the whole "
    "pipeline can be watched on any machine. Its figures show that the pipeline works, not how the methods "
    "rank on real models."
)
SCORE_NOTE = "Shares in percent with 95 % intervals (Wilson)."
DIFFERENCE_NOTE = (
    "Differences are paired over the same problems: 95 % bootstrap interval over problems (10,000 draws, "
    "seeded), and McNemar's exact two-sided p, not corrected for several comparisons."
)


def summary_table(results: Results) -> str:
    """Method, accuracies with intervals, format compliance, mean length, training seconds."""
    rows = [summary_header(results), *summary_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def summary_header(results: Results) -> list[str]:
    """The columns that this run has something for."""
    return [
        "method",
        *(f"{name} accuracy (95 %)" for name in measured(results, "accuracy")),
        *(f"{name} compliance (95 %)" for name in measured(results, "compliance")),
        "mean words",
        "training s",
    ]


def summary_rows(results: Results) -> Iterator[list[str]]:
    """One row a method; a dash for what is not there."""
    lengths = (measured(results, "accuracy") or results["benchmarks"])[:1]
    for name, method in results["methods"].items():
        scores, training = method["scores"] or {}, method["training"] or {}
        yield [
            name,
            *(share_cell(scores.get(b), "accuracy") for b in measured(results, "accuracy")),
            *(share_cell(scores.get(b), "compliance") for b in measured(results, "compliance")),
            *(number(scores.get(b, {}).get("mean_words")) for b in lengths),
            *([] if lengths else ["-"]),
            number(training.get("train_seconds")),
        ]


def measured(results: Results, field: str) -> list[str]:
    """The benchmarks for which any method has this measure."""
    scores = [method["scores"] or {} for method in results["methods"].values()]
    return [
        name
        for name in results["benchmarks"]
        if any(s.get(name, {}).get(field) is not None for s in scores)
    ]


def share_cell(score: Mapping[str, Any] | None, field: str) -> str:
    """41.3 % [35.9, 47.0]"""
    if score is None or score.get(field) is None:
        return "-"
    low, high = score[f"{field}_interval"]
    return f"{100 * score[field]:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


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


def markdown(results: Results) -> str:
    """report.md."""
    sections = [
        f"# {plain(results['run']['name'])}",
        *(f"> {note}" for note in notes(results)),
        "## Results",
        table(summary_header(results), list(summary_rows(results))),
        SCORE_NOTE,
        *difference_section(results),
        *beside_section(results),
        *generation_section(results),
    ]
    return "\n\n".join(sections) + "\n"


def notes(results: Results) -> list[str]:
    """What a reader must know before the figures."""
    toy = [TOY_NOTE] if results["built_in_world"] else []
    missing = [f"Not there yet: {'; '.join(results['missing'])}."] if results["missing"] else []
    return toy + missing


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines)


def plain(text: str) -> str:
    """Text that cannot break a Markdown table or open a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def difference_section(results: Results) -> Iterator[str]:
    """Each method against the base student."""
    if not results["comparisons"]:
        return
    yield "## Against the base student, on the same problems"
    header = [
        "benchmark",
        "method",
        "difference (points)",
        "95 %",
        "p",
        "only method",
        "only base",
        "n",
    ]
    yield table(header, [difference_row(comparison) for comparison in results["comparisons"]])
    yield DIFFERENCE_NOTE
    left_out = sum(comparison["problems_left_out"] for comparison in results["comparisons"])
    if left_out:
        yield f"{left_out} answers had no counterpart with the same prompt and are left out of these pairs."


def difference_row(comparison: Mapping[str, Any]) -> list[str]:
    """One line of the table of differences."""
    interval = comparison["interval"]
    only = [comparison["only_first"], comparison["only_second"]]
    return [
        comparison["benchmark"],
        comparison["method"],
        points(comparison["difference"]),
        f"[{points(interval['low'])}, {points(interval['high'])}]",
        p_value(comparison["p_value"]),
        *("-" if count is None else str(count) for count in only),
        str(comparison["problems"]),
    ]


def beside_section(results: Results) -> Iterator[str]:
    """What stands beside accuracy: without it a score cannot be read."""
    rows = list(beside_rows(results))
    if rows:
        yield "## Beside accuracy"
        header = [
            "benchmark",
            "method",
            "no answer found",
            "cut at max_tokens",
            "boxed",
            "last number",
        ]
        yield table([*header, "mean words", "mean tokens", "problems"], rows)
        yield from score_remarks(results)


def beside_rows(results: Results) -> Iterator[list[str]]:
    """Failure rates, the rules that found the answers, and lengths."""
    for benchmark in results["benchmarks"]:
        for name, method in results["methods"].items():
            score = (method["scores"] or {}).get(benchmark)
            if score is None:
                continue
            graded = score["accuracy"] is not None
            rules = [score["rules"].get(rule, 0) for rule in ("boxed", "last number")]
            yield [
                benchmark,
                name,
                percent(score["no_answer_rate"]),
                percent(score["truncation_rate"]),
                *(str(count) if graded else "-" for count in rules),
                number(score["mean_words"]),
                number(score["mean_tokens"]),
                str(score["problems"]),
            ]


def score_remarks(results: Results) -> Iterator[str]:
    """What happened seldom enough to have no column: it is said where it did."""
    for benchmark in results["benchmarks"]:
        for name, method in results["methods"].items():
            score = (method["scores"] or {}).get(benchmark) or {}
            if score.get("limit_reached"):
                yield (
                    f"{benchmark}, {name}: {score['limit_reached']} answers were too long or too large to be "
                    "compared and count as not right."
                )
            if score.get("grader_failures"):
                yield (
                    f"{benchmark}, {name}: the grader did not survive {score['grader_failures']} answers, which "
                    f"count as not right (problems {', '.join(score['grader_failed_on'])})."
                )
            if score.get("accuracy_compat", score.get("accuracy")) != score.get("accuracy"):
                yield (
                    f"{benchmark}, {name}: a grader as lenient as the one behind published tables gives "
                    f"{percent(score['accuracy_compat'])}, this one {percent(score['accuracy'])}."
                )
            if score.get("unparsable_gold"):
                yield (
                    f"{benchmark}, {name}: {score['unparsable_gold']} gold answers could not be read; these "
                    "problems are not in the accuracy."
                )


def generation_section(results: Results) -> Iterator[str]:
    """How many records reached each stage, and the quality of the texts."""
    generation = results["generation"]
    if generation is None:
        return
    yield "## Data generation"
    rows = [
        [
            s["stage"],
            str(s["records"]),
            "-" if s["cut"] is None else str(s["cut"]),
            number(s["mean_words"]),
        ]
        for s in generation["stages"]
    ]
    yield table(["file", "records", "cut at max_tokens", "mean words"], rows)
    facts = list(generation_facts(generation))
    if facts:
        yield "\n".join(f"- {label}: {value}" for label, value in facts)


def generation_facts(generation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Shares of right answers, where something was judged."""
    labels = {
        "student_right": "student answers that are right",
        "conclusion_right": "critiques that conclude “right”",
        "refined_right": "refinements that reach the gold answer",
        "teacher_right": "teacher's own answers that reach the gold answer",
    }
    for key, label in labels.items():
        yes, no, unknown = (generation[key][mark] for mark in ("yes", "no", "unknown"))
        if yes + no:
            rest = f" ({unknown} not judged)" if unknown else ""
            yield label, f"{yes} of {yes + no}, {percent(yes / (yes + no))}{rest}"
