"""± and ∓: one formula that stands for two values, whose signs all go together.

2 ± √3    2 + √3, 2 - √3          ±1, ±2    1, -1, 2, -2          a ± b ∓ c    a + b - c, a - b + c
"""

from __future__ import annotations

from evals.expression import Call, Group, Matrix, Node, Quantity, Relation, walk
from evals.real_sets import RealSet


def both_signs(node: Node | RealSet) -> Node | RealSet:
    """`a ± b` as two values; in a list or a set, among the others."""
    if isinstance(node, Group) and node.opening in {"", "{"}:
        items: list[Node] = []
        for item in node.items:
            several = signs_of(item)
            items.extend(several)
        return Group(node.opening, node.closing, tuple(items))
    if isinstance(node, RealSet | Group | Matrix | Relation):
        return node
    several = signs_of(node)
    return Group("", "", several) if len(several) > 1 else node


def signs_of(node: Node) -> tuple[Node, ...]:
    """The values of a formula with ±, all of whose signs go together."""
    if not any(isinstance(n, Call) and n.name in {"pm", "mp"} for n in walk(node)):
        return (node,)
    if isinstance(node, Relation):
        values = signs_of(node.terms[-1])
        return tuple(Relation(node.operators, (*node.terms[:-1], value)) for value in values)
    return (with_sign(node, "+"), with_sign(node, "-"))


def with_sign(node: Node, sign: str) -> Node:
    """± as one of the two; ∓ as the other."""
    if isinstance(node, Quantity):
        return Quantity(with_sign(node.value, sign), node.unit)
    if not isinstance(node, Call):
        return node
    arguments = tuple(with_sign(argument, sign) for argument in node.args)
    other = "-" if sign == "+" else "+"
    return Call({"pm": sign, "mp": other}.get(node.name, node.name), arguments)
