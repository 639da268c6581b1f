"""The report as plain text: the table a terminal shows, and report.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evals.report_cells import percent, plain, table
from evals.report_compute import COMPUTE_NOTE, compute_header, compute_rows
from evals.report_diagnostics import diagnostic_header, diagnostic_rows
from evals.report_flow import flow_header, flow_rows
from evals.report_headline import headline_lines
from evals.report_lengths import length_header, length_rows
from evals.report_paper import PAPER_NOTE, Paper, paper_header, paper_rows
from evals.report_tables import (
    Results,
    beside_header,
    beside_rows,
    difference_header,
    difference_rows,
    graders_differ,
    group_header,
    group_rows,
    sample_header,
    sample_rows,
    score_remarks,
    summary_header,
    summary_rows,
)
from evals.report_training import training_header, training_rows

TOY_NOTE = (
    "The built-in world is a toy: small word problems and a very small student, made so that the whole "
    "pipeline can be watched on any machine. Its figures show that the pipeline works, not how the methods "
    "rank on real models."
)
ROUNDS_NOTE = "Of several rounds, the records, their lengths and what they are worth are those of the last one."
SCORE_NOTE = (
    "Shares in percent with 95 % intervals over problems (Wilson's; where a problem is solved by a share of its "
    "samples, for the effective number of problems)."
)
SAMPLE_NOTE = (
    "Over all ways to choose k of a problem's samples: pass@k that any is right, maj@k that the most frequent answer "
    "is (equal answers are one, a tie is drawn by lot). pass@1 is the share of right answers, avg@n. ± is the standard "
    "deviation over seeds (divisor: seeds − 1), in brackets the 95 % interval over problems."
)
GROUP_NOTE = (
    "The mean over the evaluated benchmarks of a group, each weighing the same, recomputed from their rows; Δ is "
    "the mean of the paired differences. Averages over different benchmarks do not compare."
)
LENIENT_NOTE = (
    "The lenient grader repeats the rules of the one behind published tables; its figures are for comparing with "
    "those, and everything else here is strict."
)


def difference_note(results: Results) -> str:
    """How the differences were tested."""
    count = len(results["comparisons"])
    corrected = f", also corrected for all {count} comparisons (Holm)" if count > 1 else ""
    return (
        "Differences are paired over the same problems: 95 % bootstrap interval over problems (10,000 draws, seeded) "
        "and an exact two-sided p, McNemar's for one answer a problem and of sign flips over problems for several"
        f"{corrected}. “Not resolved” says nothing against a difference: so many problems do not show it."
    )


def difference_remarks(results: Results) -> Iterator[str]:
    """Problems that could not be paired."""
    left_out = sum(comparison["problems_left_out"] for comparison in results["comparisons"])
    if left_out:
        yield f"{left_out} answers had no counterpart with the same prompt and are left out of these pairs."


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


def markdown(results: Results, paper: Paper | None = None) -> str:
    """report.md."""
    remarks = [LENIENT_NOTE] * graders_differ(results) + list(score_remarks(results))
    told = paper or {}
    sections = [
        f"# {plain(results['run']['name'])}",
        *(f"> {plain(note)}" for note in notes(results)),
        *(f"- {plain(line)}" for line in headline_lines(results["headline"])),
        "## Results",
        table(summary_header(results), list(summary_rows(results))),
        SCORE_NOTE,
        *section(
            "Several answers a problem", sample_header(results), sample_rows(results), [SAMPLE_NOTE]
        ),
        *section("Averages of groups", group_header(), group_rows(results), [GROUP_NOTE]),
        *section("Beside the paper", paper_header(told), paper_rows(results, told), [PAPER_NOTE]),
        *section(
            "Differences, on the same problems",
            difference_header(results),
            difference_rows(results),
            [difference_note(results), *difference_remarks(results)],
        ),
        *section("Beside accuracy", beside_header(results), beside_rows(results), remarks),
        *section("Training", training_header(), training_rows(results["trainings"]), []),
        *section("Data", flow_header(), flow_rows(results["flow"]), facts_list(results)),
        *section("Lengths", length_header(), length_rows(results["lengths"]), []),
        *diagnostic_sections(results),
        *section("Compute", compute_header(), compute_rows(results), [COMPUTE_NOTE]),
    ]
    return "\n\n".join(sections) + "\n"


def section(
    title: str, header: Sequence[str], rows: Iterator[list[str]], remarks: Sequence[str]
) -> list[str]:
    """A titled table and what is to be said of it; nothing without rows."""
    lines = list(rows)
    return [f"## {title}", table(header, lines), *remarks] if lines else []


def notes(results: Results) -> list[str]:
    """What a reader must know before the figures."""
    toy = [TOY_NOTE] if results["built_in_world"] else []
    missing = [f"Not there yet: {'; '.join(results['missing'])}."] if results["missing"] else []
    rounds = results["run"]["rounds"]
    last = [ROUNDS_NOTE] if rounds > 1 else []
    return toy + last + missing


def facts_list(results: Results) -> list[str]:
    """The quality of the texts, as a list."""
    generation = results["generation"]
    facts = list(generation_facts(generation)) if generation else []
    return ["\n".join(f"- {label}: {value}" for label, value in facts)] if facts else []


def diagnostic_sections(results: Results) -> Iterator[str]:
    """A table for each diagnostic."""
    for name, entry in results["diagnostics"].items():
        said = [note for told in entry["models"].values() for note in told["notes"]]
        remarks = [plain(text) for text in (entry["definition"], *dict.fromkeys(said))]
        title = f"Diagnostic: {name.replace('_', ' ')}"
        yield from section(title, diagnostic_header(entry), diagnostic_rows(entry), remarks)


def generation_facts(generation: Results) -> Iterator[tuple[str, str]]:
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
