"""Wordings: filled in one pass, hashed, and refused where they could not be filled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.wordings import FOLDER, load_template


@given(st.text(), st.text(), st.text())
def test_inserted_texts_go_through_unchanged(problem: str, answer: str, critique: str) -> None:
    template = load_template("refine")
    rendered = template.render(problem=problem, student_answer=answer, critique=critique)
    before, after = template.text.split("{problem}")
    assert rendered.startswith(before + problem + after.split("{student_answer}")[0] + answer)
    assert rendered.endswith(critique + after.split("{critique}")[1])


def test_a_placeholder_inside_an_answer_is_not_filled() -> None:
    rendered = load_template("critique").render(problem="P", student_answer="see {problem} {x")
    assert "see {problem} {x" in rendered


def test_braces_of_mathematics_stay() -> None:
    assert load_template("boxed").render(problem="x").endswith("within \\boxed{}.")


def test_the_teacher_is_asked_in_the_words_of_the_paper() -> None:
    critique, refine = load_template("critique"), load_template("refine")
    assert critique.placeholders == {"problem", "student_answer"}
    assert refine.placeholders == {"problem", "student_answer", "critique"}
    assert critique.text.startswith("You are an expert in mathematics and reasoning. Your task is")
    assert critique.text.endswith("without directly providing the full answer.")
    assert refine.text.endswith("- Maintains mathematical rigor and clarity")


@pytest.mark.parametrize("name", ["plain", "teach"])
def test_plain_wordings_are_the_problem_byte_for_byte(name: str) -> None:
    assert load_template(name).render(problem=" a\n{b}\n") == " a\n{b}\n"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_every_wording_loads_by_name_and_by_path_alike(file: Path) -> None:
    by_name, by_path = load_template(file.stem, False), load_template(file, False)
    assert by_name.text == by_path.text
    assert by_name.sha256 == by_path.sha256


def test_another_text_has_another_hash(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("Solve {problem} and write {{name}}\n")
    mine = load_template(file)
    assert mine.render(problem="1+1") == "Solve 1+1 and write {name}"
    file.write_text("Solve {problem}!\n")
    assert load_template(file).sha256 != mine.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{problem} {critque}", "did you mean {critique}"),
        ("{problem} {colour}", "write {{colour}} for plain text"),
        ("no place for it", "never shows {problem}"),
    ],
)
def test_a_wording_that_cannot_be_filled_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.txt") as error:
        load_template(file)
    assert message in str(error.value)


def test_a_field_that_the_stage_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shows \{critique\}"):
        load_template("refine").render(problem="p", student_answer="a")


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'critique'"):
        load_template("critiqe")
