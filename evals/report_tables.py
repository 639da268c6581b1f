"""The tables of a report as rows of text, for report.md and report.html alike.

    results → summary · several answers a problem · groups · differences · beside accuracy

Each table has a function for its header and one for its rows; a dash stands for what is not there. Columns that
nothing fills are left out, so a small run has a small table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evals.report_cells import difference_cell, mean_cell, number, p_value, percent, share_cell

Results = Mapping[str, Any]


def scored(results: Results) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(benchmark, method, its score) of all that was evaluated."""
    for benchmark in results["benchmarks"]:
        for name, method in results["methods"].items():
            score = (method["scores"] or {}).get(benchmark)
            if score is not None:
                yield benchmark, name, score


def measured(results: Results, field: str) -> list[str]:
    """The benchmarks for which any method has this measure."""
    scores = [method["scores"] or {} for method in results["methods"].values()]
    return [
        name
        for name in results["benchmarks"]
        if any(s.get(name, {}).get(field) is not None for s in scores)
    ]


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


def sample_header(results: Results) -> list[str]:
    """Of the table of several answers a problem."""
    return ["benchmark", "samples × seeds", "figure", *sampled_methods(results)]


def sample_rows(results: Results) -> Iterator[list[str]]:
    """One row for each figure, models side by side."""
    methods = sampled_methods(results)
    for benchmark in results["benchmarks"]:
        scores = {name: score for where, name, score in scored(results) if where == benchmark}
        drawn = {(s["samples"], len(s["seeds"])) for s in scores.values() if "pass_at" in s}
        for field, label in (("pass_at", "pass"), ("majority_at", "maj")):
            sizes = {k for score in scores.values() for k in score.get(field, {})}
            for k in sorted(sizes, key=int):
                figures = [scores.get(name, {}).get(field, {}).get(k) for name in methods]
                cells = ["-" if figure is None else mean_cell(figure) for figure in figures]
                times = " or ".join(f"{samples} × {seeds}" for samples, seeds in sorted(drawn))
                yield [benchmark, times, f"{label}@{k}", *cells]


def sampled_methods(results: Results) -> list[str]:
    """Methods that answered any problem several times."""
    names = [name for _, name, score in scored(results) if "pass_at" in score]
    return list(dict.fromkeys(names))


def group_header() -> list[str]:
    """Of the table of group averages."""
    return ["group", "method", "average (95 %)", "Δ to base (95 %)", "over", "missing"]


def group_rows(results: Results) -> Iterator[list[str]]:
    """One row for each group and method."""
    for entry in results.get("groups", ()):
        score = {"average": entry["average"], "average_interval": entry["interval"]}
        change = "-"
        if "difference" in entry:
            change = difference_cell(entry["difference"], *(entry["difference_interval"] or (0, 0)))
            if entry["difference_members"] != entry["members"]:
                change += f" (over {', '.join(entry['difference_members'])})"
        members = [", ".join(entry[which]) or "-" for which in ("members", "missing")]
        yield [entry["group"], entry["method"], share_cell(score, "average"), change, *members]


def difference_header(results: Results) -> list[str]:
    """Of the table of differences."""
    corrected = ["p (Holm)"] if len(results["comparisons"]) > 1 else []
    return [
        *("benchmark", "first − second", "points (95 %)", "p", *corrected),
        *("only first", "only second", "n", "verdict"),
    ]


def difference_rows(results: Results) -> Iterator[list[str]]:
    """One row a pair and benchmark."""
    for comparison in results["comparisons"]:
        interval = comparison["interval"]
        only = [comparison["only_first"], comparison["only_second"]]
        corrected = [p_value(comparison["p_holm"])] if len(results["comparisons"]) > 1 else []
        yield [
            comparison["benchmark"],
            f"{comparison['method']} − {comparison['against']}",
            difference_cell(comparison["difference"], interval["low"], interval["high"]),
            p_value(comparison["p_value"]),
            *corrected,
            *("-" if count is None else str(count) for count in only),
            str(comparison["problems"]),
            comparison["verdict"],
        ]


def beside_header(results: Results) -> list[str]:
    """Of the table beside accuracy."""
    lenient = ["strict", "lenient"] if graders_differ(results) else []
    rates = ["no answer found", "cut at max_tokens", "from a box", "from the last number"]
    lengths = ["mean words", "mean steps", "mean tokens", "problems"]
    return ["benchmark", "method", *lenient, *rates, *lengths]


def beside_rows(results: Results) -> Iterator[list[str]]:
    """The lenient grader's accuracy, failure rates, the rules that found the answers, and lengths."""
    both = graders_differ(results)
    for benchmark, name, score in scored(results):
        accuracies = [percent(score.get(field)) for field in ("accuracy", "accuracy_compat")]
        graded = score["accuracy"] is not None
        rules = [score["rules"].get(rule, 0) for rule in ("boxed", "last number")]
        yield [
            benchmark,
            name,
            *(accuracies if both else ()),
            percent(score["no_answer_rate"]),
            percent(score["truncation_rate"]),
            *(str(count) if graded else "-" for count in rules),
            *(number(score.get(f"mean_{what}")) for what in ("words", "steps", "tokens")),
            str(score["problems"]),
        ]


def graders_differ(results: Results) -> bool:
    """Whether the lenient grader gives any other accuracy."""
    return any(
        score.get("accuracy_compat", score.get("accuracy")) != score.get("accuracy")
        for _, _, score in scored(results)
    )


def score_remarks(results: Results) -> Iterator[str]:
    """What happened seldom enough to have no column: it is said where it did."""
    for benchmark, name, score in scored(results):
        where, statuses = f"{benchmark}, {name}:", score.get("statuses", {})
        if count := statuses.get("limit reached"):
            yield f"{where} {answers(count)} too long or too large to be compared; not right."
        if count := statuses.get("undecided", 0) - score.get("grader_failures", 0):
            yield f"{where} {answers(count)} neither matched nor told apart from the gold; not right."
        if count := score.get("grader_failures"):
            problems = ", ".join(score["grader_failed_on"])
            yield f"{where} the grader did not survive {count} answers; not right (problems {problems})."
        if count := statuses.get("unparsable gold"):
            yield f"{where} {count} gold answers could not be read; not in the accuracy."
        if count := score.get("majority_not_all_compared"):
            yield f"{where} {count} problems have more wrong answers than maj@k compares with each other."


def answers(count: int) -> str:
    """1 answer was, 2 answers were."""
    return "1 answer was" if count == 1 else f"{count} answers were"
