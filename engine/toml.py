"""TOML on the way out: tables as text that reads back, and what differs between two of them.

    dataclasses or dicts → TOML text     (the standard library reads TOML, but does not write it)
    two configurations   → the keys that differ, one readable line each

TOML has no null: None is written by leaving the key out, and compares as an absent key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(tables: Mapping[str, Any]) -> str:
    """Dataclasses or dicts as TOML text, which reads back as the same values."""
    return "\n".join(toml_table(as_dict(tables), ())).lstrip("\n") + "\n"


def toml_table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """The lines of one table: its own keys first, then the tables inside it."""
    nested = {key: value for key, value in table.items() if isinstance(value, dict)}
    plain = {key: value for key, value in table.items() if key not in nested and value is not None}
    if path and (plain or not nested):
        yield from ("", f"[{'.'.join(map(toml_key, path))}]")
    yield from (f"{toml_key(key)} = {toml_value(value)}" for key, value in plain.items())
    for key, value in nested.items():
        yield from toml_table(value, (*path, key))


def toml_key(key: str) -> str:
    """A key, quoted where TOML asks for it."""
    return key if BARE_KEY.fullmatch(key) else toml_value(key)


def toml_value(value: Any) -> str:
    """One value as TOML. JSON's escapes are TOML's, but for DEL, which only TOML forbids."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    return repr(value) if isinstance(value, int | float) else str(value)


def show(value: Any) -> str:
    """A value as it stands in a TOML file, shortened to one readable line."""
    text = "nothing" if value is None else toml_value(value)
    return text if len(text) <= 120 else text[:117] + "..."


def as_dict(value: Any) -> Any:
    """Dataclasses as dicts and tuples as lists, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: as_dict(item) for key, item in value.items()}
    return [as_dict(item) for item in value] if isinstance(value, list | tuple) else value


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables as one level: {"train.batch_size": 64, ...}. None counts as absent."""
    flat: dict[str, Any] = {}
    for key, item in as_dict(value).items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            flat |= flatten(item, f"{name}.")
        elif item is not None:
            flat[name] = item
    return flat


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], harmless: Collection[str] = ()
) -> list[str]:
    """What changed, as "train.batch_size: 64 -> 32"; a harmless name covers a key or a table."""
    before, after = flatten(old), flatten(new)
    return [
        f"{key}: {show(before.get(key))} -> {show(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
        and not any(key == name or key.startswith(f"{name}.") for name in harmless)
    ]
