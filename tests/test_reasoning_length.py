"""What a step is: a line that says something, with its heading, its formulas and its code."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.reasoning_length import reasoning_length

LLAMA_STYLE = r"""## Step 1: Set up the equation
Let x be the number of apples. We know that

\[
2x + 4 = 10
\]

## Step 2: Solve for x
Subtracting gives $2x = 6$,
so $x = 3$.

The final answer is: $\boxed{3}$
"""


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("First we add.\nThen we halve.", 2),
        ("First we add.\n\n\nThen we halve.\n", 2),
        ("12 + 8 = 20\n20 - 5 = 15\n#### 15", 3),
        (LLAMA_STYLE, 4),
        ("**Step 1**\nAdd 3.\n**Step 2:**\nHalve it.", 2),
        ("Step 1:\nAdd 3.\nStep 2.\nHalve it.", 2),
        ("Step 1: add 3 to both sides.\nStep 2: halve.", 2),
        ("# Solution\n## Part one\nWe add.", 2),
        ("We add.\n---\n)\nWe halve.", 2),
        ("We add.\n$$x = 1$$\n$$\ny = 2\n$$\nWe halve.", 2),
        ("We add.\n\\begin{align*}\nx &= 1 \\\\\ny &= 2\n\\end{align*}\nWe halve.", 2),
        ("So $$x = 1$$ holds.\nWe halve.", 2),
        ("Run this:\n```python\na = 1\n\nb = 2\n```\nIt prints 3.", 2),
        ("We add \\[ x = 1\n\nThis is after the open formula.\nWe halve.", 3),
        ("\\[\nx = 1\n\\]\n\\[\ny = 2\n\\]", 1),
        ("- add 3\n- halve it\n- stop", 3),
        ("**Hence** x is **3**\nWe are done.", 2),
    ],
)
def test_lines_that_say_something_are_steps(text: str, steps: int) -> None:
    length = reasoning_length(text)
    assert (length.steps, length.rule) == (steps, "lines")
    assert length.words == len(text.split())


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", 0),
        ("  \n --- \n", 0),
        ("42", 1),
        ("It is 5. Then we add 3.5 and get 8.5! Is it? Yes", 4),
        ("1. Add the numbers. 2. Halve them.", 2),
        ("Use primes, e.g. 7, i.e. odd ones. Done.", 2),
        ('He says "stop." Then (we go.) **Done.**', 3),
        ("Wait... what?!", 2),
        ("\n\nOne line only. It has two sentences.\n", 2),
    ],
)
def test_a_single_line_is_counted_in_sentences(text: str, steps: int) -> None:
    length = reasoning_length(text)
    assert (length.steps, length.rule) == (steps, "sentences")


@given(st.text(alphabet="ab1.:#*-$`\\[]{} \n", max_size=80))
def test_every_text_that_says_something_has_a_step_and_no_more_than_lines_or_words(
    text: str,
) -> None:
    length = reasoning_length(text)
    assert (length.steps >= 1) == any(map(str.isalnum, text))
    most = len(text.splitlines()) if length.rule == "lines" else length.words
    assert length.steps <= most


@given(st.lists(st.sampled_from(["We add 3.", "So x = 4.", "Halve it."]), min_size=2, max_size=8))
def test_steps_add_up_however_they_are_spaced(lines: list[str]) -> None:
    for gap in ("\n", "\n\n", "\r\n", "  \n \n"):
        assert reasoning_length(gap.join(lines)).steps == len(lines)


HOSTILE = {
    "one word": "a",
    "open formulas": "\\[ ",
    "environments": "\\begin{align}",
    "dollars": "$$ a ",
    "stars": "**",
    "hashes": "#",
    "ticks": "```\n",
    "lines": "a\n",
    "dots": "a. ",
    "closers": ")",
    "open lines": "x \\[\n\n",
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear_in_the_text(pattern: str) -> None:
    """Half a million characters of anything: a quadratic count would take minutes."""
    text = pattern * (500_000 // len(pattern))
    start = perf_counter()
    reasoning_length(text)
    assert perf_counter() - start < 5
