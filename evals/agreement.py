"""Do two answers agree? Structure here, numbers and formulas in `scalars`.

    names       x = 5 agrees with 5, never with y = 5
    several     bare lists and braces are unordered multisets; (a, b) and [a, b, c] are ordered
    brackets    count: (1, 2) is not [1, 2]; an inequality is an interval, a pair may be one
    relations   equal when one is a multiple of the other with the same sense

Three-valued: True, False, and None for what cannot be decided.
"""

from __future__ import annotations

from fractions import Fraction

from evals.expression import (
    Call,
    Group,
    Matrix,
    Node,
    Number,
    Quantity,
    Relation,
    Symbol,
    Word,
    symbols,
    walk,
)
from evals.large_operators import is_open
from evals.limits import TooLarge
from evals.matrices import as_matrix
from evals.meaning import Meaning, meaning
from evals.names import is_name
from evals.normal_form import tree_key
from evals.real_sets import FLIPPED, ORDER, Piece, RealSet, from_brackets, merged
from evals.relations import is_ratio, proportional
from evals.scalars import Comparer, scalars_agree

MAX_ITEMS = 200


def answers_agree(prediction: Node, gold: Node, comparer: Comparer) -> bool | None:
    """Whether two readings mean the same."""
    left, right = meaning(prediction, comparer.work), meaning(gold, comparer.work)
    if is_unsolved(left) != is_unsolved(right) and is_a_set(left) != is_a_set(right):
        return comparer.decided(None, "an inequality that is not solved")
    if left.relation and right.relation:
        same_names = left.name and right.name and trees_agree(left.name, right.name, comparer)
        if not same_names:
            return relations_agree(left.relation, right.relation, comparer)
    elif (left.relation and left.name is None) or (right.relation and right.name is None):
        return comparer.decided(False, "a relation and a value")
    return values_agree(left, right, comparer)


def is_unsolved(found: Meaning) -> bool:
    """Whether this is an inequality in one unknown that could not be solved."""
    relation = found.relation if found.name is None else None
    return relation is not None and set(relation.operators) <= ORDER and len(symbols(relation)) == 1


def is_a_set(found: Meaning) -> bool:
    """Whether this may be a set of reals."""
    if isinstance(found.value, Group):
        return from_brackets(found.value) is not None
    return isinstance(found.value, RealSet)


def trees_agree(left: Node, right: Node, comparer: Comparer) -> bool:
    """Whether two names are one name."""
    return left == right or tree_key(left, comparer.work) == tree_key(right, comparer.work)


def values_agree(left: Meaning, right: Meaning, comparer: Comparer) -> bool | None:
    """By the kind of the two values."""
    a, b = left.value, right.value
    if isinstance(a, RealSet) or isinstance(b, RealSet):
        return real_sets_agree(a, b, comparer)
    if isinstance(a, Word) or isinstance(b, Word):
        return comparer.decided(a == b, "words")
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return matrices_agree(a, b, comparer)
    if isinstance(a, Group) or isinstance(b, Group):
        verdict = groups_agree(a, b, comparer)
        open_ended = verdict is False and (is_open(a) or is_open(b))
        return comparer.decided(None, "a list with dots") if open_ended else verdict
    if isinstance(a, Call) and isinstance(b, Call) and a.name == b.name == "ratio":
        return all_agree(a.args, b.args, comparer)
    if is_ratio(a) or is_ratio(b):
        return comparer.decided(False, "a ratio and a value")
    if isinstance(a, Relation) or isinstance(b, Relation):
        return comparer.decided(False, "a relation and a value")
    return scalars_agree(a, b, comparer)


def all_agree(left: tuple[Node, ...], right: tuple[Node, ...], comparer: Comparer) -> bool | None:
    """Item by item, in order."""
    if len(left) != len(right):
        return comparer.decided(False, "number of items")
    verdict: bool | None = True
    for a, b in zip(left, right, strict=True):
        comparer.work.spend(20)
        same = answers_agree(a, b, comparer)
        if same is False:
            return False
        verdict = verdict and same
    return verdict


def any_order(left: tuple[Node, ...], right: tuple[Node, ...], comparer: Comparer) -> bool | None:
    """As multisets: equal normal forms first, the others by comparison."""
    if len(left) != len(right):
        return comparer.decided(False, "number of items")
    if len(left) > MAX_ITEMS:
        raise TooLarge(f"more than {MAX_ITEMS} items")
    unmatched, remaining = without_common(left, right, comparer)
    table = [[items_agree(item, other, comparer) for other in remaining] for item in unmatched]
    matched = matching(table)
    return comparer.decided(matched, "items of a list")


def without_common(
    left: tuple[Node, ...], right: tuple[Node, ...], comparer: Comparer
) -> tuple[list[Node], list[Node]]:
    """Both lists without the items whose normal forms pair off, so that long lists stay cheap."""
    remaining: dict[str, list[Node]] = {}
    for item in right:
        remaining.setdefault(key_of(item, comparer), []).append(item)
    unmatched = []
    for item in left:
        same = remaining.get(key_of(item, comparer))
        if same:
            same.pop()
        else:
            unmatched.append(item)
    return unmatched, [item for items in remaining.values() for item in items]


def key_of(item: Node, comparer: Comparer) -> str:
    """A text that is shared only by items that agree. Normal forms know neither units nor degrees."""
    if any(
        isinstance(n, Quantity) or (isinstance(n, Call) and n.name == "deg") for n in walk(item)
    ):
        return repr(item)
    try:
        return tree_key(item, comparer.work)
    except ZeroDivisionError:
        return repr(item)


def items_agree(left: Node, right: Node, comparer: Comparer) -> bool | None:
    """answers_agree, counted."""
    comparer.work.spend(20)
    return answers_agree(left, right, comparer)


def matching(table: list[list[bool | None]]) -> bool | None:
    """Whether rows and columns pair off; agreement is transitive, so the first that agrees will
    do. One that agrees with nothing decides, whatever is undecided elsewhere."""
    columns = list(zip(*table, strict=True))
    if any(all(cell is False for cell in line) for line in (*table, *columns)):
        return False
    free = set(range(len(table)))
    for row in table:
        partner = next((column for column in sorted(free) if row[column]), None)
        if partner is None:
            return None if any(None in line for line in table) else False
        free.remove(partner)
    return True


def groups_agree(a: Node, b: Node, comparer: Comparer) -> bool | None:
    """Lists, sets and tuples."""
    if not isinstance(a, Group) or not isinstance(b, Group):
        return comparer.decided(False, "one value and several")
    unordered = a.opening in {"", "{"}, b.opening in {"", "{"}
    if all(unordered):
        return any_order(tuple(unnamed(a, comparer)), tuple(unnamed(b, comparer)), comparer)
    if any(unordered):
        bare, ordered = (a, b) if unordered[0] else (b, a)
        listed = ordered.opening == "[" and ordered.closing == "]" and bare.opening == ""
        if listed or all_named(bare, comparer):
            return all_agree(a.items, b.items, comparer)
        return comparer.decided(False, "ordered and unordered")
    brackets = (a.opening + a.closing, b.opening + b.closing)
    interval_like = len(a.items) == 2 or brackets[0] not in {"()", "[]"}
    if interval_like and brackets[0] != brackets[1]:
        return comparer.decided(False, "brackets")
    verdict = all_agree(a.items, b.items, comparer)
    return comparer.decided(verdict, "items in order") if verdict else verdict


def unnamed(group: Group, comparer: Comparer) -> list[Node]:
    """The items of a list; a name that only the first carries, `n = 1, 2, 3`, is all of theirs."""
    first, *others = group.items or (Number(Fraction(0)),)
    if not group.items:
        return []
    alone = isinstance(first, Relation) and others
    if alone and not any(isinstance(item, Relation) for item in others):
        named = meaning(first, comparer.work)
        if named.name is not None and isinstance(first, Relation) and is_name(first.terms[0]):
            last = first.terms[-1]
            return [last, *others]
    return list(group.items)


def all_named(group: Group, comparer: Comparer) -> bool:
    """Whether every item is a value with a name of its own: p = 5, q = 2."""
    names = [meaning(item, comparer.work).name for item in group.items]
    return all(name is not None for name in names) and len(set(names)) == len(names) > 1


def matrices_agree(a: Node, b: Node, comparer: Comparer) -> bool | None:
    """Entry by entry; a row or a column also agrees with the tuple of its entries."""
    if isinstance(a, Matrix) and isinstance(b, Group):
        b = as_matrix(b, a)
    elif isinstance(a, Group) and isinstance(b, Matrix):
        a = as_matrix(a, b)
    if not isinstance(a, Matrix) or not isinstance(b, Matrix):
        return comparer.decided(False, "a matrix and none")
    shapes = [(len(matrix.rows), len(matrix.rows[0])) for matrix in (a, b)]
    if shapes[0] != shapes[1]:
        return comparer.decided(False, "shape of the matrix")
    entries = [tuple(entry for row in matrix.rows for entry in row) for matrix in (a, b)]
    verdict = all_agree(entries[0], entries[1], comparer)
    return comparer.decided(verdict, "entries of the matrix") if verdict else verdict


def real_sets_agree(a: Node | RealSet, b: Node | RealSet, comparer: Comparer) -> bool | None:
    """Piece by piece, once those that touch are one; in any order, since ends may have none."""
    sets = [
        value if isinstance(value, RealSet) else from_brackets(value)
        for value in (a, b)
        if isinstance(value, RealSet | Group)
    ]
    if len(sets) < 2 or sets[0] is None or sets[1] is None:
        return comparer.decided(False, "a set of reals and none")
    left, right = (merged(found, comparer.work) for found in sets if found)
    if len(left.pieces) != len(right.pieces):
        return comparer.decided(False, "number of intervals")
    remaining = list(right.pieces)
    for piece in left.pieces:
        match = next((p for p in remaining if pieces_agree(piece, p, comparer)), None)
        if match is None:
            return comparer.decided(False, "intervals")
        remaining.remove(match)
    return comparer.decided(True, "intervals")


def pieces_agree(a: Piece, b: Piece, comparer: Comparer) -> bool | None:
    """Ends and their brackets. Infinity is open whatever is written."""
    for first, second, closed in (
        (a.low, b.low, (a.low_closed, b.low_closed)),
        (a.high, b.high, (a.high_closed, b.high_closed)),
    ):
        if not answers_agree(first, second, comparer):
            return False
        endless = any(isinstance(n, Symbol) and n.name == "∞" for n in (first, *args(first)))
        if closed[0] != closed[1] and not endless:
            return False
    return True


def args(node: Node) -> tuple[Node, ...]:
    """Arguments of a call."""
    return node.args if isinstance(node, Call) else ()


def relations_agree(left: Relation, right: Relation, comparer: Comparer) -> bool | None:
    """Equations and inequalities equal up to a constant factor; other chains term by term."""
    if len(left.operators) == len(right.operators) == 1:
        verdict = proportional(left, right, comparer)
        if verdict is not None:
            return comparer.decided(verdict, "relations up to a factor")
    if left.operators != right.operators:
        turned = tuple(FLIPPED.get(operator, "") for operator in right.operators[::-1])
        if left.operators != turned:
            return comparer.decided(False, "relations")
        return all_agree(left.terms, right.terms[::-1], comparer)
    return all_agree(left.terms, right.terms, comparer)
