"""What has only a name: `x = 5`, `f(x) = 5` and `|AB| = 5` all say 5, `x + y = 5` does not."""

from __future__ import annotations

from fractions import Fraction

from evals.expression import Call, Group, Node, Number, Symbol, Word, walk
from evals.vocabulary import CALLED_NAMES


def is_name(node: Node) -> bool:
    """x, a_1, f(x), |AB|, AB, NO/BO, ∠APC: something that only has a name."""
    if isinstance(node, Symbol):
        return node.name not in {"π", "e", "∞"}
    if isinstance(node, Word):
        return True
    if isinstance(node, Group):
        return bool(node.items) and all(isinstance(item, Symbol) for item in node.items)
    if not isinstance(node, Call):
        return False
    if node.name in {"apply", "∠", "△", "prime"} or node.name.startswith("accent"):
        return True
    if node.name == "abs":
        return is_name(node.args[0])
    if node.name == "ratio":
        return all(is_name(argument) for argument in node.args)
    if node.name == "*" and is_inverse(node.args[0]):
        return isinstance(node.args[1], Symbol)
    if node.name in {"*", "/"}:
        leaves = [leaf for leaf in walk(node) if not isinstance(leaf, Call)]
        names = [leaf.name for leaf in leaves if isinstance(leaf, Symbol)]
        capitals = len(names) == len(leaves) and all(name[:1].isupper() for name in names)
        calculus = node.name == "/" and bool({"d", "\\partial"} & set(names))
        return len(names) == len(leaves) and (capitals or calculus)
    return False


def is_inverse(node: Node) -> bool:
    """`f^{-1}` of a function's name."""
    if not (isinstance(node, Call) and node.name == "^" and isinstance(node.args[0], Symbol)):
        return False
    return node.args[0].name in CALLED_NAMES and node.args[1] == Call("neg", (Number(Fraction(1)),))
