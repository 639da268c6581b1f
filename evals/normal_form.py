"""From a tree to its normal form: a ratio of polynomials (`polynomials`) wherever that is exact.

What has no such form becomes an atom of its own, named after the normal form of its arguments, so
`sin(b+a)` and `sin(a+b)` are the same atom. Roots of integers, powers of i and exponents are
simplified only by rules that hold for every value of the variables; the rest is left to `sampling`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from evals.exact_functions import EXACT, OF_SEVERAL, OF_TWO, of_several
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
    children,
)
from evals.limits import TooLarge, Work
from evals.polynomials import (
    ONE,
    OPAQUE,
    Exponent,
    Ratio,
    factored,
    is_factored,
    key,
    power_of,
    product_of,
    quotient_of,
    ratio,
    reduced,
    sum_of,
    whole,
)

UNIT = {ONE: Fraction(1)}
MAX_EXPANDED = 8
"""Powers of sums are multiplied out up to here."""
I_PI = (("i", 1), ("π", 1))


def constant(value: Fraction | int) -> Ratio:
    """A number as a normal form."""
    return Ratio({ONE: Fraction(value)} if value else {}, UNIT)


def single(atom: str, exponent: Exponent = 1) -> Ratio:
    """An atom as a normal form."""
    factor, monomial = reduced({atom: whole(exponent)})
    return Ratio({monomial: factor}, UNIT)


def opaque(name: str, *arguments: Ratio) -> Ratio:
    """An atom that is not taken apart."""
    return single(f"{OPAQUE}{name}<{','.join(key(argument) for argument in arguments)}>")


def normal_form(node: Node, work: Work) -> Ratio:
    """The normal form of a scalar. ZeroDivisionError where it has no value."""
    work.spend(4)
    if isinstance(node, Number):
        return constant(node.value)
    if isinstance(node, Symbol):
        return single(SPECIAL_NAMES.get(node.name, node.name))
    if isinstance(node, Quantity):
        return normal_form(node.value, work)
    if not isinstance(node, Call):
        return single(OPAQUE + tree_key(node, work))
    if any(not isinstance(argument, SCALARS) for argument in node.args):
        return special(node, work)
    arguments = [normal_form(argument, work) for argument in node.args]
    if rule := ARITHMETIC.get(node.name):
        return rule(arguments[0], arguments[1], work)
    return call(node.name, arguments, work)


SCALARS = (Number, Symbol, Call, Quantity)
SPECIAL_NAMES = {"∞": OPAQUE + "∞", "e": OPAQUE + "e"}


def special(node: Call, work: Work) -> Ratio:
    """Calls on other things than scalars: determinants, applied functions."""
    if node.name == "det" and isinstance(node.args[0], Matrix):
        return determinant(node.args[0].rows, work)
    if node.name in OF_SEVERAL and len(node.args) == 1 and isinstance(node.args[0], Group):
        items = [normal_form(item, work).constant for item in node.args[0].items]
        values = [item for item in items if item is not None]
        exact = of_several(node.name, values) if values and len(values) == len(items) else None
        if exact is not None:
            return constant(exact)
    return single(OPAQUE + tree_key(node, work))


def tree_key(node: Node, work: Work) -> str:
    """A text that equal trees share, with every scalar in normal form."""
    if isinstance(node, SCALARS) and not (
        isinstance(node, Call) and any(not isinstance(a, SCALARS) for a in node.args)
    ):
        return key(normal_form(node, work))
    inner = ",".join(tree_key(child, work) for child in children(node))
    if isinstance(node, Word):
        return node.text
    if isinstance(node, Call):
        return f"{node.name}<{inner}>"
    if isinstance(node, Group):
        return f"{node.opening}{inner}{node.closing}"
    if isinstance(node, Relation):
        return f"{' '.join(node.operators)}<{inner}>"
    return f"matrix<{inner}>"


def call(name: str, arguments: list[Ratio], work: Work) -> Ratio:
    """Functions of scalars."""
    first = arguments[0]
    value = first.constant
    if name == "neg":
        return product_of(constant(-1), first, work)
    if name == "deg":
        return first
    if name == "percent":
        return product_of(constant(Fraction(1, 100)), first, work)
    if name == "exp":
        return power(single("f:e"), first, work)
    if name == "root":
        index = arguments[1].constant
        if value is not None and value < 0 and index is not None and index % 2 == 1:
            return product_of(
                constant(-1), root_power(constant(-value), 1 / index, work), work
            )  # an odd root of a negative number is real
        return power(first, quotient_of(constant(1), arguments[1], work), work)
    if name in EXACT and value is not None and len(arguments) == 1:
        exact = EXACT[name](value)
        if exact is not None:
            return constant(exact)
    if name in OF_TWO and value is not None and (second := arguments[1].constant) is not None:
        exact = OF_TWO[name](value, second)
        if exact is not None:
            return constant(exact)
    if name in {"log", "ln", "lg"}:
        return logarithm(name, arguments, work)
    if name in {"∪", "∩"}:
        arguments = sorted(arguments, key=key)
    return opaque(name, *arguments)


def logarithm(name: str, arguments: list[Ratio], work: Work) -> Ratio:
    """Logarithms as natural ones; of a positive rational, the sum over its primes."""
    result = natural_logarithm(arguments[0], work)
    base = constant(10) if name == "lg" else arguments[1] if len(arguments) > 1 else None
    return quotient_of(result, natural_logarithm(base, work), work) if base else result


def natural_logarithm(argument: Ratio, work: Work) -> Ratio:
    """ln of a normal form."""
    value = argument.constant
    if value == 0:
        raise ZeroDivisionError
    if value is None or value < 0:
        return constant(1) if argument == single("f:e") else opaque("ln", argument)
    total = constant(0)
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, count in factored(number).items():
            term = product_of(constant(sign * count), single(f"{OPAQUE}ln{prime:x}"), work)
            total = sum_of(total, term, work)
    return total


def power(base: Ratio, exponent: Ratio, work: Work) -> Ratio:
    """base ** exponent"""
    value = exponent.constant
    if value is not None and value.denominator == 1:
        return integer_power(base, int(value), work)
    if value is not None:
        return root_power(base, value, work)
    if exponent.bottom != UNIT:
        return opaque("pow", base, exponent)
    result = constant(1)
    for monomial, coefficient in exponent.top.items():
        term = Ratio({monomial: Fraction(1)}, UNIT)
        result = product_of(result, term_power(base, term, coefficient, work), work)
    return result


def term_power(base: Ratio, term: Ratio, times: Fraction, work: Work) -> Ratio:
    """base ** (times * term), as an atom base ** term to the power `times`."""
    if term == constant(1):
        return power(base, constant(times), work)
    if base == single("f:e"):
        if term.top == {I_PI: 1} and (2 * times).denominator == 1:
            return single("i", int(2 * times))
        return single(f"{OPAQUE}exp<{key(term)}>", times)
    number = base.constant
    if number is not None and number > 0:
        result = constant(1)
        for value, sign in ((number.numerator, 1), (number.denominator, -1)):
            for prime, count in factored(value).items():
                atom = f"{OPAQUE}{prime:x}^<{key(term)}>"
                result = product_of(result, single(atom, sign * count * times), work)
        return result
    return single(f"{OPAQUE}pow<{key(base)},{key(term)}>", times)


def integer_power(base: Ratio, exponent: int, work: Work) -> Ratio:
    """Repeated multiplication, or one atom where that would be long."""
    if exponent < 0:
        base, exponent = ratio(base.bottom, base.top, work), -exponent
    if not base.top:
        return constant(0 if exponent else 1)
    if len(base.top) == 1 and base.bottom == UNIT:
        ((monomial, coefficient),) = base.top.items()
        factor, raised = reduced({atom: whole(e * exponent) for atom, e in monomial})
        return Ratio({raised: factor * power_of(coefficient, exponent)}, UNIT)
    if exponent > MAX_EXPANDED:
        return single(f"{OPAQUE}({key(base)})", exponent)
    result = constant(1)
    for _ in range(exponent):
        result = product_of(result, base, work)
    return result


def root_power(base: Ratio, exponent: Fraction, work: Work) -> Ratio:
    """Roots: of positive rationals by their primes, of a variable as its exponent."""
    if not base.top:
        if exponent < 0:
            raise ZeroDivisionError
        return constant(0)
    number = base.constant
    if number is not None:
        if number < 0 and exponent.denominator == 2:
            imaginary = single("i", exponent.numerator)
            return product_of(imaginary, root_power(constant(-number), exponent, work), work)
        tops, lows = factored(abs(number.numerator)), factored(number.denominator)
        if number > 0 and is_factored(tops) and is_factored(lows):
            exponents: dict[str, Exponent] = {f"#{p}": n * exponent for p, n in tops.items()}
            for p, n in lows.items():
                exponents[f"#{p}"] = -n * exponent
            factor, monomial = reduced(exponents)
            return Ratio({monomial: factor}, UNIT)
    elif len(base.top) == 1 and base.bottom == UNIT:
        ((monomial, coefficient),) = base.top.items()
        if len(monomial) == 1 and monomial[0][1] == 1 and coefficient > 0:
            outer = root_power(constant(coefficient), exponent, work)
            if not monomial[0][0].startswith((OPAQUE, "#")) and monomial[0][0] != "i":
                return product_of(outer, single(monomial[0][0], exponent), work)
            if monomial[0][0] == "f:e":
                return product_of(outer, single("f:e", exponent), work)
    return single(f"{OPAQUE}({key(base)})", exponent)


def determinant(rows: tuple[tuple[Node, ...], ...], work: Work) -> Ratio:
    """By the first row; up to 4 × 4."""
    if len(rows) != len(rows[0]) or len(rows) > 4:
        raise TooLarge("a determinant that is not square or larger than 4 × 4")
    if len(rows) == 1:
        return normal_form(rows[0][0], work)
    total = constant(0)
    for column, entry in enumerate(rows[0]):
        minor = tuple(row[:column] + row[column + 1 :] for row in rows[1:])
        cofactor = product_of(normal_form(entry, work), determinant(minor, work), work)
        total = sum_of(total, product_of(constant((-1) ** column), cofactor, work), work)
    return total


def difference_of(left: Ratio, right: Ratio, work: Work) -> Ratio:
    """left - right"""
    return sum_of(left, product_of(constant(-1), right, work), work)


ARITHMETIC: dict[str, Callable[[Ratio, Ratio, Work], Ratio]] = {
    "+": sum_of,
    "-": difference_of,
    "*": product_of,
    "/": quotient_of,
    "^": power,
}
