"""Wordings: what a model is asked with, as text files, hashed into every record's provenance.

    load_template("critique") -> Template(name, text, sha256) -> .render(problem=..., ...) -> text

A name means a file in `templates/`, anything else is a path. Placeholders are filled in one pass,
so a student's answer that contains `{critique}` or a lone brace goes through unchanged; str.format
would trip over it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from datagen.text_files import read_text

FOLDER = Path(__file__).parent / "templates"
PLACEHOLDERS = ("problem", "student_answer", "critique")
_BRACES = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")


@dataclass(frozen=True)
class Template:
    """A wording with places for a problem, a student's answer and a critique."""

    name: str
    """The built-in name, or the path as given."""
    text: str
    """The wording, without the line break at its end."""
    sha256: str
    """Of the text in UTF-8."""

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The fields that the wording shows."""
        return frozenset(match[2] for match in _BRACES.finditer(self.text) if match[2])

    def render(self, **fields: str) -> str:
        """The text with every placeholder filled; fields that it does not show are left out."""
        missing = sorted(self.placeholders - fields.keys())
        if missing:
            raise ValueError(
                f"the template {self.name} shows {{{missing[0]}}}, unknown at this stage"
            )
        return _BRACES.sub(lambda m: fields[m[2]] if m[2] else f"{{{m[1]}}}", self.text)


def load_template(name_or_path: str | Path, stands_alone: bool = True) -> Template:
    """A built-in wording by its name, or the user's own by its path.

    One that does not stand alone goes on with a chat in which the problem was shown before."""
    name = str(name_or_path)
    text = read_text(_file_of(name)).removesuffix("\n")
    template = Template(name, text, hashlib.sha256(text.encode()).hexdigest())
    for unknown in sorted(template.placeholders - set(PLACEHOLDERS)):
        near = get_close_matches(unknown, PLACEHOLDERS, n=1)
        hint = f"did you mean {{{near[0]}}}?" if near else f"write {{{{{unknown}}}}} for plain text"
        raise ValueError(f"the template {name} shows {{{unknown}}}, which is not known; {hint}")
    if stands_alone and "problem" not in template.placeholders:
        raise ValueError(f"the template {name} never shows {{problem}}")
    return template


def _file_of(name: str) -> Path:
    built_in = {file.stem: file for file in FOLDER.glob("*.txt")}
    if name in built_in:
        return built_in[name]
    path = Path(name).expanduser()
    if path.is_file():
        return path
    near = get_close_matches(name, built_in, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; built in: {', '.join(sorted(built_in))}"
    raise ValueError(f"no template is called {name!r}, and no file has this path{hint}")
