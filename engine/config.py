"""Configuration: a TOML file becomes frozen dataclasses; every mistake in it is reported at once.

    TOML text + "section.key=value" overrides → nested tables → one dataclass instance per section

A section's dataclass lives beside the code it configures, with a docstring under each field; this
module only fills it. Field types: str, int, float (an integer is fine), bool, Literal, X | None,
tuple[T, ...], Mapping (any table) and nested frozen dataclasses. A `__post_init__` that raises
ValueError is reported with the section's name in front. TOML has no null: an absent key has its default, and None is
written by leaving the key out. Nothing here imports torch, so that a command line can check a file
before it loads anything heavy.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import math
import tomllib
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from engine.toml import differences, flatten, show, to_toml

__all__ = ["ConfigError", "differences", "flatten", "read_config", "to_toml"]

BAD = object()  # stands for a value that has been reported as a problem


class ConfigError(ValueError):
    """Everything that is wrong with a configuration; `str()` lists all of it."""

    def __init__(self, problems: Sequence[str], where: str = "") -> None:
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        head = f"{count} in {where}" if where else count
        super().__init__("\n".join([f"{head}:", *(f"  {problem}" for problem in self.problems)]))


def read_config(
    path: Path,
    sections: Mapping[str, type],
    overrides: Sequence[str] = (),
    foreign: Collection[str] = (),
) -> dict[str, Any]:
    """The sections of a TOML file as dataclass instances, by section name.

    `overrides` are "section.key=value" texts; the value is TOML where it can be read as such, a
    plain text otherwise, and an empty value restores the default. Sections named in `foreign` are
    left unread.
    """
    problems: list[str] = []
    tables = load_toml(path)
    for override in overrides:
        apply_override(tables, override, problems)
    for name in tables.keys() - sections.keys() - set(foreign):
        problems.append(unknown_section(name, tables[name], sections, foreign))
    known = list(known_keys(sections))
    filled = {
        name: fill(cls, tables.get(name, {}), name, known, problems)
        for name, cls in sections.items()
    }
    if problems:
        raise ConfigError(sorted(problems), where=str(path))
    return filled


def load_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; a file that cannot be read says where and why."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise ConfigError([f"no such file{suggest(path.name, near)}"], str(path)) from None
    except OSError as error:
        raise ConfigError([f"cannot be read: {error.strerror}"], str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"not UTF-8 text (byte {error.start})"], str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"not valid TOML: {error}"], str(path)) from None


def apply_override(tables: dict[str, Any], text: str, problems: list[str]) -> None:
    """Sets one "section.key=value" in the tables, which are changed in place."""
    path, equals, value = text.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not equals or len(names) < 2 or not all(names):
        wanted = "SECTION.KEY=VALUE, such as train.batch_size=32"
        problems.append(f"--set {show(text)}: expected {wanted}")
        return
    table = tables
    for depth, name in enumerate(names[:-1], start=1):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            parent = ".".join(names[:depth])
            problems.append(f"--set {show(text)}: {parent} is a value, not a section")
            return
    if value.strip():
        table[names[-1]] = read_value(value)
    else:
        table.pop(names[-1], None)


def read_value(text: str) -> Any:
    """A value given on the command line: TOML, or else the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


def fill(cls: type, table: Any, path: str, known: Sequence[str], problems: list[str]) -> Any:
    """An instance of `cls` from a table, or BAD with the reasons added to `problems`."""
    if not isinstance(table, dict):
        problems.append(f"{path}: expected a section, got {describe(table)}")
        return BAD
    hints = type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    problems += [unknown_key(path, key, fields, known) for key in table.keys() - fields.keys()]
    missing = [name for name, field in fields.items() if name not in table and is_required(field)]
    problems += [f"{path}.{name}: required, but not given" for name in missing]
    values = {
        name: convert(table[name], hints[name], f"{path}.{name}", known, problems)
        for name in fields.keys() & table.keys()
    }
    if missing or any(value is BAD for value in values.values()):
        return BAD
    return construct(cls, values, path, problems)


@functools.cache
def type_hints(cls: type) -> Mapping[str, Any]:
    """The types of a section's fields; looking them up costs more than all the rest of reading a file."""
    return typing.get_type_hints(cls)


def construct(cls: type, values: dict[str, Any], path: str, problems: list[str]) -> Any:
    """Calls the dataclass; what its `__post_init__` objects to is named by section."""
    try:
        return cls(**values)
    except ValueError as error:
        for problem in getattr(error, "problems", [str(error)]):
            starts_with_field = problem.split(" ")[0].split(".")[0].rstrip(":") in values
            starts_with_path = problem.startswith((f"{path}.", f"{path}:"))
            prefix = "" if starts_with_path else f"{path}." if starts_with_field else f"{path}: "
            problems.append(prefix + problem)
        return BAD


def convert(value: Any, hint: Any, path: str, known: Sequence[str], problems: list[str]) -> Any:
    """A TOML value as the type a field asks for, or BAD with the reason added to `problems`."""
    if dataclasses.is_dataclass(hint):
        return fill(typing.cast(type, hint), value, path, known, problems)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [option for option in options if option is not type(None)]
        assert len(inner) == 1, f"{path}: only X | None is supported, not {hint}"
        return convert(value, inner[0], path, known, problems)
    if origin is collections.abc.Mapping and isinstance(value, dict):
        return value
    if origin is tuple and type(value) is options[0]:
        return (value,)  # a list of one may be written without its brackets
    if origin is tuple and isinstance(value, list):
        items = [
            convert(item, options[0], f"{path}[{index}]", known, problems)
            for index, item in enumerate(value)
        ]
        return BAD if any(item is BAD for item in items) else tuple(items)
    if origin is typing.Literal and value in options:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint and not (hint is float and not math.isfinite(value)):
        return value
    problems.append(f"{path}: expected {wanted(hint)}, got {describe(value)}{nearest(value, hint)}")
    return BAD


def is_required(field: dataclasses.Field[Any]) -> bool:
    """True for a field that has no default."""
    return field.default is field.default_factory is dataclasses.MISSING


def wanted(hint: Any) -> str:
    """A field's type in words."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(show(option) for option in options)
    if typing.get_origin(hint) is tuple:
        return f"a list of {wanted(options[0]).removeprefix('an ').removeprefix('a ')} values"
    names = {str: "a text", int: "an integer", float: "a finite number", bool: "true or false"}
    return names.get(hint, "a section")


def describe(value: Any) -> str:
    """A value and what it is: `"64" (text)`."""
    kinds = {str: "text", bool: "a boolean", int: "an integer", float: "a number"}
    kinds |= {list: "a list", dict: "a section"}
    return f"{show(value)} ({kinds.get(type(value), 'a ' + type(value).__name__)})"


def nearest(value: Any, hint: Any) -> str:
    """The choice a mistyped one was probably meant to be."""
    if typing.get_origin(hint) is not typing.Literal or not isinstance(value, str):
        return ""
    return suggest(value, [o for o in typing.get_args(hint) if isinstance(o, str)], show)


def suggest(name: str, choices: Collection[str], form: typing.Callable[[str], str] = str) -> str:
    """`; did you mean X?` where something among the choices is close, else nothing."""
    close = get_close_matches(name, choices, n=1)
    return f"; did you mean {form(close[0])}?" if close else ""


def unknown_key(path: str, key: str, fields: Collection[str], known: Sequence[str]) -> str:
    """Names the nearest key of the section, or the same key of another one, or all there are."""
    elsewhere = [other for other in known if other.rsplit(".", 1)[-1] == key]
    hint = suggest(key, fields, lambda near: f"{path}.{near}")
    if not hint and elsewhere:
        hint = f"; did you mean {elsewhere[0]}?"
    return f"{path}.{key}: unknown key" + (hint or f"; {path} knows {', '.join(fields)}")


def unknown_section(
    name: str, value: Any, sections: Mapping[str, type], foreign: Collection[str]
) -> str:
    """Names the nearest section, or the section a stray key belongs to."""
    if not isinstance(value, dict):
        owners = [key for key in known_keys(sections) if key.rsplit(".", 1)[-1] == name]
        hint = f"; did you mean {owners[0]}?" if owners else ""
        return f"{name}: this key stands outside every section{hint}"
    known = [*sections, *foreign]
    hint = suggest(name, known, lambda near: f"[{near}]")
    return f"{name}: unknown section" + (hint or f"; there are {', '.join(known)}")


def known_keys(sections: Mapping[str, type], prefix: str = "") -> Iterator[str]:
    """Every dotted key the sections have, nested ones included."""
    for name, cls in sections.items():
        hints = type_hints(cls)
        for field in dataclasses.fields(cls):
            hint = hints[field.name]
            if dataclasses.is_dataclass(hint):
                nested = {field.name: typing.cast(type, hint)}
                yield from known_keys(nested, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}.{field.name}"
