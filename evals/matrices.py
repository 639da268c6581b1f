"""Matrices and vectors as they are written: sums, multiples and transposes worked out entry by entry.

    ½ (1 0; 0 1)    (½ 0; 0 ½)          (1; 2) + t (3; 4)    (1 + 3t; 2 + 4t)

A row or a column is also the tuple of its entries, and `[[1, 2], [3, 4]]` is a matrix written as lists (`as_matrix`).
Products of two matrices stay as they are written.
"""

from __future__ import annotations

from evals.expression import Call, Group, Matrix, Node, Symbol, is_scalar

TRANSPOSED = (Symbol("T"), Symbol("\\top"))


def worked_out(node: Node) -> Matrix | None:
    """The matrix that a formula stands for, if it is one."""
    if isinstance(node, Matrix):
        return node
    if not isinstance(node, Call):
        return None
    if node.name == "^" and node.args[1] in TRANSPOSED and isinstance(node.args[0], Matrix):
        return Matrix(tuple(zip(*node.args[0].rows, strict=True)))
    if node.name in {"+", "-"}:
        return entry_by_entry(node, *(worked_out(part) for part in node.args))
    return multiple(node) if node.name in {"*", "/", "neg"} else None


def entry_by_entry(node: Call, left: Matrix | None, right: Matrix | None) -> Matrix | None:
    """The sum or the difference of two matrices of one shape."""
    if left is None or right is None or len(left.rows) != len(right.rows):
        return None
    if len(left.rows[0]) != len(right.rows[0]):
        return None
    rows = (
        tuple(Call(node.name, pair) for pair in zip(*both, strict=True))
        for both in zip(left.rows, right.rows, strict=True)
    )
    return Matrix(tuple(rows))


def multiple(node: Call) -> Matrix | None:
    """A matrix times or over a number, with the number in its entries."""
    found = [worked_out(part) for part in node.args]
    places = [place for place, part in enumerate(found) if part is not None]
    if len(places) != 1 or (node.name == "/" and places != [0]):
        return None
    place = places[0]
    before, after = node.args[:place], node.args[place + 1 :]
    matrix = found[place]
    if matrix is None or not all(map(is_scalar, (*before, *after))):
        return None
    return Matrix(
        tuple(
            tuple(Call(node.name, (*before, entry, *after)) for entry in row) for row in matrix.rows
        )
    )


def as_matrix(group: Group, like: Matrix) -> Node:
    """`(1, 2, 3)` as the row or column that it is compared with, `[[1, 2], [3, 4]]` as rows; else as it is."""
    rows = [item.items for item in group.items if isinstance(item, Group) and item.opening == "["]
    if group.opening == "[" and rows and len(rows) == len(group.items):
        return Matrix(tuple(rows)) if len({len(row) for row in rows}) == 1 else group
    is_tuple = (group.opening, group.closing) == ("(", ")")
    is_list = (group.opening, group.closing) == ("[", "]") and len(group.items) > 2
    if not (is_tuple or is_list) or any(isinstance(item, Group) for item in group.items):
        return group
    if len(like.rows) == 1:
        return Matrix((group.items,))
    return Matrix(tuple((item,) for item in group.items)) if len(like.rows[0]) == 1 else group
