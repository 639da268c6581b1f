"""Sums and products written out, and the name of a bound variable made one.

    Σ_{k=1}^{10} k     1 + 2 + … + 10          Σ_{j=1}^n j, Σ_{k=1}^n k     one tree

Only sums of few terms between whole numbers are computed. What is left (open sums, integrals, limits, rows of dots)
equals what is written alike; against anything else it stays undecided, since a wrong value would be a guess.
"""

from __future__ import annotations

from evals.expression import Call, Node, Number, Relation, Symbol, replaced, walk
from evals.limits import Work

OPERATORS = {"Σ": "+", "Π": "*"}
SIGNS = ("Σ", "Π", "∫", "lim", "⋃")
DOTS = frozenset(["\\ldots", "\\dots", "\\cdots"])
MAX_SUMMANDS = 200
MAX_WRITTEN_NODES = 1500
"""Of a sum once it is written out."""


def is_large(node: Node) -> bool:
    """Whether this is a sum, a product, an integral or a limit."""
    return isinstance(node, Call) and node.name.startswith(SIGNS)


def is_open(node: Node) -> bool:
    """Whether something in the tree is neither computed nor known to differ from what is written otherwise."""
    return any(is_large(n) or (isinstance(n, Symbol) and n.name in DOTS) for n in walk(node))


def written_out(node: Node, work: Work) -> Node:
    """The tree with its sums and products computed where they can be, from the inside out."""
    if not isinstance(node, Call) or not any(map(is_large, walk(node))):
        return node
    node = Call(node.name, tuple(written_out(part, work) for part in node.args))
    if node.name[1:] not in {"_^", "^_"} or node.name[0] not in OPERATORS:
        return node
    start, end, body = node.args if node.name.endswith("_^") else (*node.args[1::-1], node.args[2])
    if not (isinstance(start, Relation) and start.operators == ("=",)):
        return node
    bound, first = start.terms
    if not isinstance(bound, Symbol):
        return node
    terms = terms_between(bound, first, end, body, work)
    if terms is not None:
        return balanced(terms, OPERATORS[node.name[0]])
    depth = 1 + max((n.name.count("•") for n in walk(body) if isinstance(n, Symbol)), default=0)
    anonymous = Symbol("•" * depth)
    start = Relation(("=",), (anonymous, first))
    return Call(node.name[0] + "_^", (start, end, replaced(body, bound, anonymous)))


def terms_between(
    bound: Symbol, first: Node, end: Node, body: Node, work: Work
) -> list[Node] | None:
    """The terms, where both bounds are whole numbers and the terms are few."""
    if not (isinstance(first, Number) and isinstance(end, Number)):
        return None
    if first.value.denominator != 1 or end.value.denominator != 1:
        return None
    low, high = int(first.value), int(end.value)
    size = sum(1 for _ in walk(body))
    if not 0 < high - low + 1 <= MAX_SUMMANDS or (high - low + 1) * size > MAX_WRITTEN_NODES:
        return None
    work.spend((high - low + 1) * size)
    return [replaced(body, bound, Number(first.value + step)) for step in range(high - low + 1)]


def balanced(terms: list[Node], operator: str) -> Node:
    """The terms joined two by two, so that the tree stays flat."""
    while len(terms) > 1:
        pairs = [terms[at : at + 2] for at in range(0, len(terms), 2)]
        terms = [Call(operator, tuple(pair)) if len(pair) == 2 else pair[0] for pair in pairs]
    return terms[0]
