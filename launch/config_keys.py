"""The keys of a configuration, read from the source of its sections: completion must not wait for their imports.

    launch/config.py: class Config -> its fields' classes -> the modules that define them -> `train.batch_size`, …

engine.config.known_keys knows the same keys, from the classes themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = "launch.config"


def config_keys() -> Iterator[str]:
    """Every dotted key, nested ones included, in the order of the sections."""
    yield from keys_of(HOME, "Config", "")


def keys_of(module: str, name: str, prefix: str) -> Iterator[str]:
    """The keys of one dataclass, inherited ones first."""
    for field, (where, annotation) in fields_of(module, name).items():
        if definition(where, annotation) is None:
            yield f"{prefix}{field}"
        else:
            yield from keys_of(where, annotation, f"{prefix}{field}.")


def fields_of(module: str, name: str) -> dict[str, tuple[str, str]]:
    """Of each field of a dataclass the module that says it, and its type."""
    defined = definition(module, name)
    assert defined is not None, f"{module} neither defines nor imports {name}"
    where, found = defined
    fields: dict[str, tuple[str, str]] = {}
    for base in found.bases:
        fields |= fields_of(where, ast.unparse(base))
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            fields[node.target.id] = (where, ast.unparse(node.annotation))
    return fields


def definition(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The module that defines a class of ours, imports followed, and the class; None for what is no such class."""
    tree = source(module)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
    for node in tree.body:
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and name in {a.name for a in node.names}
        ):
            return definition(node.module, name)
    return None


@cache
def source(module: str) -> ast.Module:
    """A module of ours, parsed; empty where it is none of ours."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
