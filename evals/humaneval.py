"""HumanEval: the program in a model's output, and whether it passes the problem's tests.

    output → program_of → program → check_program (sandbox) → ProgramVerdict

A model answers with a whole function in a fenced block, with plain code among sentences, or with the body alone that
continues the prompt. Finding it reads lines only: text that a model wrote is not parsed in this process. What
the problem holds before its function (imports, helpers) is put before a whole function, as answers often leave it out.

The function is called from another process and only plain values pass (evals.sandbox_values). Two things differ from
running all in one interpreter: a returned object of any other type, such as a generator or a range, equals
nothing; and only the standard library can be imported.
"""

from __future__ import annotations

from evals.benchmark_problem import Program
from evals.sandbox import Job, ProgramVerdict, SandboxLimits, run_job

FENCE = "```"
CODE_STARTS = ("def ", "async def ", "import ", "from ", "class ", "@")
STATEMENTS = (
    *CODE_STARTS,
    *("#", "if ", "if(", "for ", "while ", "with ", "try:", "except", "else:", "elif ", "finally:"),
    *("assert ", "assert(", "print(", "return ", "global ", '"""', "'''", ")", "]", "}"),
)
EXAMPLES = ("print", "assert", "#", "if __name__")
"""What a last, cut-off line that is no part of the function begins with."""

Found = tuple[str, str]
"""The program, and the rule that found it."""


def check_program(
    program: str, tests: Program, limits: SandboxLimits | None = None
) -> ProgramVerdict:
    """Run a whole program against the tests of its problem, in the sandbox."""
    return run_job(job_of(program, tests), limits)


def job_of(program: str, tests: Program) -> Job:
    """Tests may use helpers that the prompt defines, so the judge is given the prompt too."""
    return Job(program, tests.prompt, tests.tests, tests.entry_point)


def program_of(problem: Program, output: str) -> Found | None:
    """The last fenced block with the function, then plain code with it, then a body; None without any text."""
    blocks = fenced_blocks(output)
    for block, is_closed in reversed(blocks):
        if definition(block, problem.entry_point) is not None:
            code = block if is_closed else without_cut_example(block, problem.entry_point)
            return f"{preamble(problem)}{code}", "code block"
    if definition(output, problem.entry_point) is not None:
        return f"{preamble(problem)}{plain_code(output, problem.entry_point)}", "plain code"
    if blocks:
        return f"{head(problem)}{indented(blocks[0][0])}", "code block as body"
    if output.strip():
        return f"{head(problem)}{indented(leading_body(output))}", "continuation"
    return None


def fenced_blocks(text: str) -> list[tuple[str, bool]]:
    """What stands between fences, and whether the block was closed; one that was cut goes to the end."""
    blocks: list[tuple[str, bool]] = []
    rows: list[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.lstrip().startswith(FENCE):
            if rows is not None:
                blocks.append((dedented(rows), True))
            rows = [] if rows is None else None
        elif rows is not None:
            rows.append(line)
    if rows:
        blocks.append((dedented(rows), False))
    return [(block, is_closed) for block, is_closed in blocks if block.strip()]


def dedented(rows: list[str]) -> str:
    """A block inside a list item is shifted as a whole; a body whose first line is not is left alone."""
    first = next((row for row in rows if row.strip()), "")
    shift = len(first) - len(first.lstrip(" "))
    is_whole = first.lstrip(" ").startswith(CODE_STARTS)
    if is_whole and all(not row[:shift].strip() for row in rows):
        rows = [row[shift:] for row in rows]
    return "\n".join(rows) + "\n"


def definition(text: str, name: str) -> int | None:
    """The number of the line that begins the definition of that function."""
    heads = (f"def {name}(", f"def {name} (", f"async def {name}(", f"async def {name} (")
    return next((i for i, row in enumerate(text.split("\n")) if row.startswith(heads)), None)


def preamble(problem: Program) -> str:
    """What the prompt holds before the function that is asked for."""
    first = definition(problem.prompt, problem.entry_point)
    return "".join(f"{row}\n" for row in problem.prompt.split("\n")[: first or 0])


def head(problem: Program) -> str:
    """The prompt as something to continue, its last line ended."""
    return problem.prompt if problem.prompt.endswith("\n") else f"{problem.prompt}\n"


def plain_code(text: str, name: str) -> str:
    """Code among sentences: from its first line to the first sentence after the function."""
    rows = text.split("\n")
    start = definition(text, name) or 0
    first = next((i for i, row in enumerate(rows[:start]) if row.startswith(CODE_STARTS)), start)
    end = next((i for i in range(start + 1, len(rows)) if is_sentence(rows[i])), len(rows))
    return "\n".join(rows[first:end]) + "\n"


def is_sentence(row: str) -> bool:
    """A line at the margin that is no statement: prose, or the mark of another turn."""
    if not row.strip() or row[0].isspace() or row.startswith(STATEMENTS):
        return False
    word = row.split("=")[0].split("(")[0].strip()
    names = [part.strip().replace(".", "_") for part in word.split(",")]
    is_assignment_or_call = word != row.strip() and all(name.isidentifier() for name in names)
    return not is_assignment_or_call


def without_cut_example(block: str, name: str) -> str:
    """A block that was cut in the middle of an example after the function: the function is whole, so keep it."""
    rows = block.rstrip("\n").split("\n")
    start = definition(block, name) or 0
    at_margin = [i for i in range(start + 1, len(rows)) if rows[i][:1].strip()]
    if at_margin and rows[at_margin[-1]].startswith(EXAMPLES):
        rows = rows[: at_margin[-1]]
    return "\n".join(rows) + "\n"


def leading_body(text: str) -> str:
    """A continuation up to the first line at the margin, where base models begin something else."""
    rows = text.strip("\n").split("\n")
    if all(row[:1].strip() for row in rows if row.strip()):  # one line, or a body without indents
        return "\n".join(rows)
    later = range(1, len(rows))
    end = next((i for i in later if rows[i][:1].strip() and rows[i][0] not in ")]}"), len(rows))
    return "\n".join(rows[:end])


def indented(body: str) -> str:
    """A body at the depth that a function needs: models leave out the first line's indent, or every line's."""
    rows = body.strip("\n").rstrip().split("\n")
    if rows[0][:1].isspace():
        return "\n".join(rows) + "\n"
    next_row = next((row for row in rows[1:] if row.strip()), "")
    depth = len(next_row) - len(next_row.lstrip(" "))
    is_first_only = next_row and depth >= (8 if rows[0].rstrip().endswith(":") else 4)
    shifted = rows[1:] if is_first_only else [f"    {row}" for row in rows[1:]]
    return "\n".join([f"    {rows[0]}", *shifted]) + "\n"
