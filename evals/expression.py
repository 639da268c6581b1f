"""The tree that an answer is read into: plain data, no behaviour, hashable.

    Number  12  0.5                 Group     (1, 2]  {1, 2}  1, 2
    Symbol  x  a_1                  Relation  x = 5   -2 <= x <= 7
    Word    east                    Matrix    rows of nodes
    Call    a + b, sqrt(2), n!      Quantity  5 cm

Operators are calls too: `+`, `*`, `/`, `^`, `neg`, `pm`, `percent`, `deg`, `!`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational, and how precisely it was written."""

    value: Fraction
    digits: int | None = None
    """Significant digits of a number written with a decimal point or an exponent, else None."""
    unit_in_last_place: Fraction = Fraction(0)
    """One unit of the last digit written; zero for integers."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name: x, θ, a_1, f'."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """Prose, in lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function applied to arguments."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Several items between brackets; both brackets are empty for a bare list."""

    opening: str
    closing: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain: terms[0] operators[0] terms[1] operators[1] …"""

    operators: tuple[str, ...]
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit of measure, or with words that say what was counted."""

    value: Node
    unit: str


Node = Number | Symbol | Word | Call | Group | Matrix | Relation | Quantity

EMPTY = Group("{", "}", ())
INFINITY = Symbol("∞")


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Group):
        return node.items
    if isinstance(node, Matrix):
        return tuple(entry for row in node.rows for entry in row)
    if isinstance(node, Relation):
        return node.terms
    return (node.value,) if isinstance(node, Quantity) else ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(children(current))


def height(node: Node) -> int:
    """How many levels the tree has: a sum of n terms has n."""
    levels, current = 0, [node]
    while current:
        current = [child for parent in current for child in children(parent)]
        levels += 1
    return levels


def symbols(node: Node) -> set[str]:
    """The names in a tree that stand for something unknown."""
    names = {n.name for n in walk(node) if isinstance(n, Symbol)}
    return names - {"π", "e", "i", "∞"}


def is_scalar(node: Node) -> bool:
    """Whether the tree stands for a number or a formula."""
    return not any(isinstance(n, Word | Group | Relation | Matrix) for n in walk(node))


def infinite(node: Node) -> int:
    """1 for ∞, -1 for -∞, 0 for anything finite."""
    if isinstance(node, Symbol):
        return int(node.name == "∞")
    if isinstance(node, Call) and node.name == "neg":
        return -infinite(node.args[0])
    return 0


def replaced(node: Node, old: Node, new: Node) -> Node:
    """The tree with one of its parts, wherever it occurs, replaced."""
    if node == old:
        return new
    parts = tuple(replaced(child, old, new) for child in children(node))
    if isinstance(node, Call):
        return Call(node.name, parts)
    if isinstance(node, Group):
        return Group(node.opening, node.closing, parts)
    if isinstance(node, Relation):
        return Relation(node.operators, parts)
    if isinstance(node, Quantity):
        return Quantity(parts[0], node.unit)
    if isinstance(node, Matrix):
        width = len(node.rows[0])
        return Matrix(tuple(parts[at : at + width] for at in range(0, len(parts), width)))
    return node
