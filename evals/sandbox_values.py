"""Plain values on a line of text: the only thing that passes between tested code and its judge.

    None, truth values, numbers, text, bytes, lists, tuples, sets, dictionaries → JSON → new, plain ones

Reading builds only these types, so nothing that the tested code defined arrives: no class whose `==` is always
true, no subclass, no pickle. Any other object becomes `Foreign`, which has a truth value and equals nothing.
"""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 60
MAX_JSON_BITS = 1000
"""Longer integers are written in base 16: Python refuses to read very long decimal ones."""
RATIONALS = ("Decimal", "Fraction")


class UnreadableValueError(Exception):
    """A line that no honest writer wrote."""


class Foreign:
    """Stands for an object of a type that is not passed on."""

    def __init__(self, kind: str, truth: bool) -> None:
        self.kind, self.truth = kind, truth

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return f"<a value of type {self.kind}>"


def to_line(value: object) -> bytes:
    """One line, without its end, that `from_line` reads back."""
    return json.dumps(encode(value)).encode("ascii")


def from_line(line: bytes) -> Any:
    """The value on a line; any other text raises `UnreadableValueError`."""
    try:
        return decode(json.loads(line), 0)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, ArithmeticError) as error:
        raise UnreadableValueError(f"{type(error).__name__}: {str(error)[:100]}") from None


def encode(value: Any, depth: int = 0) -> Any:
    """A value as JSON knows it: a list whose first item names the type, except for the commonest."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        return number if number.bit_length() <= MAX_JSON_BITS else ["int", hex(number)]
    if isinstance(value, float):
        return float(value)
    if depth >= MAX_DEPTH:
        return ["foreign", "nested too deeply", True]
    if isinstance(value, dict):
        pairs = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]
        return ["dict", pairs]
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return [kind.__name__, [encode(item, depth + 1) for item in value]]
    return encode_rare(value)


def encode_rare(value: Any) -> list[Any]:
    """Types that hardly ever come back from a function."""
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, bytes | bytearray):
        return ["bytes", value.hex()]
    if type(value).__name__ in RATIONALS and hasattr(value, "as_integer_ratio"):
        return ["ratio", *(hex(part) for part in value.as_integer_ratio())]
    return ["foreign", type(value).__name__[:80], bool(value)]


def decode(coded: Any, depth: int) -> Any:
    """The other way, trusting nothing."""
    if coded is None or isinstance(coded, bool | int | float | str):
        return coded
    if depth > MAX_DEPTH + 1 or not isinstance(coded, list):
        raise ValueError("nested too deeply, or no list")
    kind, *parts = coded
    if kind == "dict":
        return {decode(k, depth + 1): decode(v, depth + 1) for k, v in parts[0]}
    if kind in ("list", "tuple", "set", "frozenset"):
        items = [decode(item, depth + 1) for item in parts[0]]
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)
    if kind == "int":
        return int(parts[0], 16)
    if kind == "complex":
        return complex(parts[0], parts[1])
    if kind == "bytes":
        return bytes.fromhex(parts[0])
    if kind == "ratio":
        from fractions import Fraction  # costs milliseconds, and is hardly ever needed

        return Fraction(int(parts[0], 16), int(parts[1], 16))
    if kind == "foreign":
        return Foreign(str(parts[0])[:80], parts[1] is True)
    raise ValueError(f"unknown type {str(kind)[:40]}")
