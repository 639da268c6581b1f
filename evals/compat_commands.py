"""Commands with arguments, as the reference grader reads them: fractions, roots, functions, series.

A function applies to what is in round brackets, or to the product up to the next function. One that our
sampling has no values for is kept as an unknown one, equal to itself where its arguments are equal.
"""

from __future__ import annotations

from fractions import Fraction

from evals.compat_position import Position
from evals.compat_tokens import FUNCTIONS, TRIGONOMETRIC
from evals.expression import Call, Node, Number, Symbol
from evals.limits import TooLarge, Unreadable

ONE = Number(Fraction(1))
MINUS_ONE = frozenset([Number(Fraction(-1)), Call("neg", (ONE,))])
WITH_VALUES = TRIGONOMETRIC | {"exp", "arcsin", "arccos", "arctan", "arsinh"}


def command(reader: Position, name: str) -> Node:
    """A fraction, a root, a binomial coefficient, a rounding or a function."""
    if name in FUNCTIONS:
        return function(reader, name)
    if name in {"frac", "dfrac", "tfrac"}:
        return Call("/", (part(reader), part(reader)))
    if name.endswith("binom"):
        return Call("binom", (reader.braced(), reader.braced()))
    if name in {"lfloor", "lceil"}:
        inner = reader.inside("rfloor" if name == "lfloor" else "rceil")
        return Call("floor" if name == "lfloor" else "ceil", (inner,))
    if name == "sqrt":
        index: Node = Number(Fraction(2))
        if reader.token().text == "[":
            reader.take()
            index = reader.inside("]")
        return Call("^", (reader.braced(), Call("/", (ONE, index))))
    if name in {"sum", "prod"}:
        return series(reader, name)
    if name in {"overline", "mathit"}:
        return Call("apply", (Symbol("\\" + name), reader.braced()))
    raise TooLarge(f"\\{name} is not followed")


def series(reader: Position, name: str) -> Node:
    """A sum or a product over an index: equal where its parts are."""
    parts: dict[str, Node] = {}
    while (sign := reader.token().text) in {"_", "^"} and sign not in parts:
        reader.take()
        if sign == "^":
            parts[sign] = reader.script()
        else:
            reader.expect("{")
            parts[sign] = Call("-", (reader.sum(), lower_end(reader)))
    if len(parts) < 2:
        raise Unreadable("a series without its ends")
    return Call("apply", (Symbol("\\" + name), parts["_"], parts["^"], reader.product()))


def lower_end(reader: Position) -> Node:
    """What the index begins with."""
    reader.expect("=")
    return reader.inside("}")


def part(reader: Position) -> Node:
    """A part of a fraction: one digit, or a formula in braces."""
    if reader.token().kind == "digit":
        return Number(Fraction(reader.take().text))
    return reader.braced()


def function(reader: Position, name: str) -> Node:
    """A function, its power or base, and its argument."""
    scripts: dict[str, Node] = {}
    while (sign := reader.token().text) in {"^", "_"} and sign not in scripts:
        reader.take()
        scripts[sign] = reader.script()
    argument = reader.attempt(lambda: argument_of(reader), passed=0)
    if argument is None:
        give_back_a_digit(reader, scripts)
        argument = argument_of(reader)
    power = scripts.get("^")
    if name in TRIGONOMETRIC and power in MINUS_ONE:
        return Call("apply", (Symbol(f"arc{name}"), argument))
    node = applied(name, argument, scripts.get("_"))
    return node if power is None else Call("^", (node, power))


def give_back_a_digit(reader: Position, scripts: dict[str, Node]) -> None:
    """`\\log_28` is the logarithm of 8 to the base 2: with no argument after it, the last digit is one."""
    sign = next(reversed(scripts), "")
    number = scripts.get(sign)
    if not isinstance(number, Number) or number.value < 10:
        raise Unreadable("a function without an argument")
    scripts[sign] = Number(Fraction(int(number.value) // 10))
    reader.at -= 1


def argument_of(reader: Position) -> Node:
    """In round brackets, or the product up to the next function."""
    if reader.token().text == "(":
        reader.take()
        return reader.inside(")")
    reader.no_functions.append(True)
    node = reader.product()
    reader.no_functions.pop()
    return node


def applied(name: str, argument: Node, base: Node | None) -> Node:
    """A function under the name that the sampling knows, or as an unknown one."""
    if name in {"log", "ln", "lg"}:
        base = base or (Number(Fraction(10)) if name == "lg" else None)
        return Call("ln", (argument,) if base is None else (argument, base))
    if name in WITH_VALUES:
        return Call(name, (argument,))
    return Call("apply", (Symbol(name), argument))
