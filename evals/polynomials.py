"""Exact arithmetic of formulas: polynomials over named atoms, with rational exponents.

    Polynomial   {monomial: coefficient}     Monomial   ((atom, exponent), …), sorted by atom

Atoms are variables (`x`), primes (`#2`, for roots: √12 = 2·#3^½), `i`, `π`, and anything that is
not taken apart (`f:sin<x>`). Rules of reduction: i² = -1, and a prime keeps an exponent in [0, 1).
Two polynomials whose atoms are independent are equal only when their dictionaries are.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from evals.limits import MAX_INTEGER_BITS, MAX_TERMS, TooLarge, Work

Exponent = int | Fraction
Monomial = tuple[tuple[str, Exponent], ...]
Polynomial = dict[Monomial, Fraction]
ONE: Monomial = ()
OPAQUE = "f:"
TRIAL_DIVISORS = 1000
"""Integers are factored by these; what is left is prime below the square."""


@dataclass(frozen=True)
class Ratio:
    """A rational function. The denominator is a constant one where a monomial could absorb it."""

    top: Polynomial
    bottom: Polynomial

    @property
    def constant(self) -> Fraction | None:
        """The value, where there is no atom."""
        if not self.top:
            return Fraction(0)
        plain = len(self.top) == 1 and ONE in self.top and self.bottom == {ONE: 1}
        return self.top[ONE] if plain else None


def whole(exponent: Exponent) -> Exponent:
    """Integers as int, for speed and one spelling in keys."""
    return exponent.numerator if exponent.denominator == 1 else exponent


def power_of(base: Fraction, exponent: int) -> Fraction:
    """An exact power within the bound on its size."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in (0, 1, -1) and bits * abs(exponent) > MAX_INTEGER_BITS:
        raise TooLarge(f"a power of more than {MAX_INTEGER_BITS} bits")
    return base**exponent


def monomial_product(left: Monomial, right: Monomial) -> tuple[Fraction, Monomial]:
    """The product, and the rational factor that the rules of reduction set free."""
    if not left or not right:
        return Fraction(1), left or right
    exponents = dict(left)
    for atom, exponent in right:
        exponents[atom] = whole(exponents.get(atom, 0) + exponent)
    return reduced(exponents)


def reduced(exponents: dict[str, Exponent]) -> tuple[Fraction, Monomial]:
    """Applies i² = -1 and #p^(1+r) = p #p^r."""
    factor = Fraction(1)
    kept: list[tuple[str, Exponent]] = []
    for atom, exponent in sorted(exponents.items()):
        if atom == "i" and isinstance(exponent, int):
            factor *= -1 if exponent % 4 in (2, 3) else 1
            exponent %= 2
        elif atom[0] == "#":
            carried = exponent.numerator // exponent.denominator
            if carried:
                factor *= power_of(Fraction(int(atom[1:])), carried)
                exponent = whole(exponent - carried)
        if exponent:
            kept.append((atom, exponent))
    return factor, tuple(kept)


def add(left: Polynomial, right: Polynomial, work: Work) -> Polynomial:
    """The sum, without zero terms."""
    work.spend(len(left) + len(right))
    total = dict(left)
    for monomial, coefficient in right.items():
        value = total.get(monomial, Fraction(0)) + coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return total


def multiply(left: Polynomial, right: Polynomial, work: Work) -> Polynomial:
    """The product, within the bound on terms."""
    if left == {ONE: 1}:
        return right
    if right == {ONE: 1}:
        return left
    work.spend(4 * len(left) * len(right))
    total: Polynomial = {}
    for m, a in left.items():
        for n, b in right.items():
            factor, monomial = monomial_product(m, n)
            value = total.get(monomial, Fraction(0)) + factor * a * b
            if value:
                total[monomial] = value
            else:
                total.pop(monomial, None)
        if len(total) > MAX_TERMS:
            raise TooLarge(f"more than {MAX_TERMS} terms")
    return total


def ratio(top: Polynomial, bottom: Polynomial, work: Work) -> Ratio:
    """top / bottom; a bottom of one term moves up."""
    if not bottom:
        raise ZeroDivisionError
    if len(bottom) == 1 and bottom != {ONE: 1}:
        ((monomial, coefficient),) = bottom.items()
        factor, inverse = reduced({atom: -exponent for atom, exponent in monomial})
        top = multiply(top, {inverse: factor / coefficient}, work)
        bottom = {ONE: Fraction(1)}
    return Ratio(top, bottom)


def sum_of(left: Ratio, right: Ratio, work: Work) -> Ratio:
    """left + right"""
    if left.bottom == right.bottom:
        return ratio(add(left.top, right.top, work), left.bottom, work)
    top = add(multiply(left.top, right.bottom, work), multiply(right.top, left.bottom, work), work)
    return ratio(top, multiply(left.bottom, right.bottom, work), work)


def product_of(left: Ratio, right: Ratio, work: Work) -> Ratio:
    """left * right"""
    top = multiply(left.top, right.top, work)
    return ratio(top, multiply(left.bottom, right.bottom, work), work)


def quotient_of(left: Ratio, right: Ratio, work: Work) -> Ratio:
    """left / right"""
    inverse = ratio(right.bottom, right.top, work)
    return product_of(left, inverse, work)


def same(left: Ratio, right: Ratio, work: Work) -> bool:
    """Whether the normal forms are equal, cross-multiplied."""
    if left.bottom == right.bottom:
        return left.top == right.top
    return multiply(left.top, right.bottom, work) == multiply(right.top, left.bottom, work)


def is_decisive(value: Ratio) -> bool:
    """Whether all atoms are independent, so that another normal form is another value."""
    parts = (*value.top, *value.bottom)
    return not any(atom.startswith(OPAQUE) for monomial in parts for atom, _ in monomial)


def key(value: Ratio) -> str:
    """A text that two equal normal forms share."""
    if value.bottom == {ONE: 1}:
        return polynomial_key(value.top)
    lead = value.bottom[min(value.bottom)]
    top, bottom = ({m: c / lead for m, c in part.items()} for part in (value.top, value.bottom))
    return f"({polynomial_key(top)})/({polynomial_key(bottom)})"


def polynomial_key(polynomial: Polynomial) -> str:
    """Terms in order. Coefficients are in base 16: base 10 is slow for large ones."""
    terms = sorted(polynomial.items(), key=lambda term: [(a, float(e)) for a, e in term[0]])
    return "+".join(
        f"{c.numerator:x}/{c.denominator:x}" + "".join(f"·{atom}^{e}" for atom, e in monomial)
        for monomial, c in terms
    )


def factored(value: int) -> dict[int, int]:
    """Prime factors of a positive integer; a part beyond the trial divisors stays whole."""
    factors: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= value and divisor < TRIAL_DIVISORS:
        while value % divisor == 0:
            factors[divisor] = factors.get(divisor, 0) + 1
            value //= divisor
        divisor += 1 if divisor == 2 else 2
    if value > 1:
        factors[value] = 1
    return factors


def is_factored(factors: dict[int, int]) -> bool:
    """Whether all factors are certainly primes."""
    return all(factor < TRIAL_DIVISORS**2 for factor in factors)
