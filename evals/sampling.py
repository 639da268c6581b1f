"""Do two formulas have the same values? Evaluated at rational points with many digits.

The answer where normal forms cannot decide. Points are fixed by the names of the variables, so a
verdict never depends on chance. First all variables are positive, where roots and logarithms mean
one thing; then signs vary, and a difference counts only where every part is real, so √(x²) is not
x, while ln(x²) and 2 ln x agree, and so do √x √y and √(xy). Working precision follows from the size
of the summands: what agrees at 60 digits must agree again at 250.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath  # type: ignore[import-untyped]

from evals.expression import Call, Node, Number, Quantity, Symbol
from evals.limits import MAX_FACTORIAL, TooLarge, Unreadable, Work
from evals.normal_form import tree_key

DIGITS = 60
MORE_DIGITS = 250
GUARD = 12
MAX_MAGNITUDE = 200_000
"""Bits before the point of a number that is still computed."""
SMALL = 1e-30
STEPS_OF_A_NODE = 30
NUM_POINTS = 4
"""Two where all variables are positive, two where the signs of one are the other's reversed."""
local = threading.local()


def context(digits: int) -> Any:
    """An mpmath context of this thread's own: its precision is state."""
    if not hasattr(local, "context"):
        local.context = mpmath.MPContext()
    local.context.dps = digits
    return local.context


@dataclass
class Evaluation:
    """One evaluation of trees at one point."""

    digits: int
    round: int
    """Which point: 0 and 1 are positive."""
    work: Work
    lost: bool = False
    """Whether a summand was too small to count."""
    complex: bool = False
    """Whether some value on the way was not real."""
    largest: Any = 0
    """The largest summand met; rounding errors are relative to it."""
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mp = context(self.digits)

    def variable(self, name: str) -> Any:
        """A rational value for a name, the same on both sides."""
        if name not in self.values:
            seed = int.from_bytes(hashlib.sha256(f"{self.round} {name}".encode()).digest()[:8])
            self_sign = 1 if hashlib.sha256(name.encode()).digest()[0] % 2 else -1
            sign = 1 if self.round < 2 else self_sign if self.round == 2 else -self_sign
            self.values[name] = sign * self.mp.mpf(seed % 9973 + 1700) / (seed // 9973 % 997 + 2900)
        return self.values[name]

    def value(self, node: Node, degrees: bool = False) -> Any:
        """The value of a tree; `degrees` inside a trigonometric function."""
        self.work.spend(STEPS_OF_A_NODE * (1 + self.digits // 100))
        mp = self.mp
        if isinstance(node, Number):
            return mp.mpf(node.value.numerator) / node.value.denominator
        if isinstance(node, Symbol):
            constants = {"π": mp.pi, "e": mp.e, "i": mp.j}
            if node.name == "∞":
                raise Unreadable("infinity is no number")
            return +constants[node.name] if node.name in constants else self.variable(node.name)
        if isinstance(node, Quantity):
            return self.value(node.value, degrees)
        if not isinstance(node, Call):
            raise Unreadable("no value")
        if node.name == "deg":
            inner = self.value(node.args[0], degrees)
            return inner * mp.pi / 180 if degrees else inner
        if node.name not in KNOWN:
            return self.variable(tree_key(node, self.work))
        inside = degrees or node.name in TRIGONOMETRIC
        arguments = [self.value(argument, inside) for argument in node.args]
        value = self.bounded(KNOWN[node.name](self, *arguments))
        self.complex = self.complex or abs(mp.im(value)) > SMALL
        return value

    def bounded(self, value: Any) -> Any:
        """Refuses numbers too large to be worth computing with."""
        if self.mp.isnan(value) or self.mp.isinf(value):
            raise ZeroDivisionError
        if value and abs(self.mp.mag(value)) > MAX_MAGNITUDE:
            raise TooLarge(f"a number of more than {MAX_MAGNITUDE} bits")
        return value

    def sum(self, left: Any, right: Any) -> Any:
        """left + right, remembering how large they were."""
        small, large = sorted((abs(left), abs(right)))
        self.largest = max(self.largest, large)
        if small and self.mp.mag(small) < self.mp.mag(large) - self.mp.prec + 40:
            self.lost = True
        return left + right

    def power(self, base: Any, exponent: Any) -> Any:
        """base ** exponent, sized before it is computed."""
        if base == 0:
            if self.mp.re(exponent) <= 0:
                raise ZeroDivisionError
            return self.mp.mpf(0)
        size = abs(self.mp.mag(base)) + 4
        if abs(exponent) * size > MAX_MAGNITUDE and base != 1:
            raise TooLarge(f"a power of more than {MAX_MAGNITUDE} bits")
        return self.mp.power(base, exponent)

    def root(self, value: Any, index: Any) -> Any:
        """Odd roots of negative numbers are real ones."""
        if not self.mp.im(value) and self.mp.re(value) < 0 and index % 2 == 1:
            return -self.power(-value, 1 / index)
        return self.power(value, 1 / index) if value else value

    def factorial(self, value: Any) -> Any:
        """The gamma function, one further."""
        if abs(value) > MAX_FACTORIAL:
            raise TooLarge(f"a factorial beyond {MAX_FACTORIAL}")
        return self.mp.gamma(value + 1)

    def rounded(self, value: Any, up: bool) -> Any:
        """Floor or ceiling of a real number that is not too close to an integer to tell."""
        if abs(self.mp.im(value)) or abs(value) > self.mp.mpf(10) ** (self.digits // 2):
            raise Unreadable("rounding of no real number")
        nearest = self.mp.nint(value)
        if value != nearest and abs(value - nearest) < self.mp.mpf(10) ** (-self.digits // 2):
            return nearest
        return self.mp.ceil(value) if up else self.mp.floor(value)

    def logarithm(self, value: Any, base: Any = None) -> Any:
        """Natural without a base."""
        if value == 0:
            raise ZeroDivisionError
        return self.mp.log(value) if base is None else self.mp.log(value) / self.mp.log(base)

    def trigonometric(self, name: str, value: Any) -> Any:
        """A function of the library, for arguments of a sensible size."""
        if abs(value) > 10**15 or (name.endswith("h") and abs(value) > 10**4):
            raise TooLarge(f"{name} of more than 10^15")
        return getattr(self.mp, NAMES.get(name, name))(value)


NAMES = {name.replace("a", "arc", 1): name for name in ("asin", "acos", "atan", "acot")}
NAMES |= {"arsinh": "asinh"}
TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
HYPERBOLIC = frozenset(["sinh", "cosh", "tanh", "coth", "arsinh"])


def named(name: str) -> Callable[..., Any]:
    """A trigonometric function by its name."""
    return lambda e, x: e.trigonometric(name, x)


KNOWN: dict[str, Callable[..., Any]] = {
    "+": lambda e, a, b: e.sum(a, b),
    "-": lambda e, a, b: e.sum(a, -b),
    "*": lambda e, a, b: a * b,
    "/": lambda e, a, b: a / b,
    "neg": lambda e, a: -a,
    "^": lambda e, a, b: e.power(a, b),
    "root": lambda e, a, n: e.root(a, n),
    "percent": lambda e, a: a / 100,
    "exp": lambda e, a: e.power(e.mp.e, a),
    "abs": lambda e, a: abs(a),
    "floor": lambda e, a: e.rounded(a, up=False),
    "ceil": lambda e, a: e.rounded(a, up=True),
    "!": lambda e, a: e.factorial(a),
    "Gamma": lambda e, a: e.factorial(a - 1),
    "binom": lambda e, n, k: e.factorial(n) / e.factorial(k) / e.factorial(n - k),
    "ln": lambda e, a, b=None: e.logarithm(a, b),
    "log": lambda e, a, b=None: e.logarithm(a, b),
    "lg": lambda e, a: e.logarithm(a, e.mp.mpf(10)),
}
KNOWN |= {name: named(name) for name in (*TRIGONOMETRIC, *HYPERBOLIC, *NAMES)}


def differ(left: Node, right: Node, digits: int, point: int, work: Work) -> bool | None:
    """Whether the values differ at a point; None where one has none there."""
    evaluation = Evaluation(digits, point, work)
    try:
        a, b = evaluation.value(left), evaluation.value(right)
    except (ZeroDivisionError, Unreadable):
        return None
    except (ValueError, OverflowError, ArithmeticError) as problem:
        if isinstance(problem, TooLarge):
            raise
        return None
    mp = evaluation.mp
    if point > 1 and evaluation.complex:
        return None
    if evaluation.lost and digits >= MORE_DIGITS:
        return None
    scale = max(evaluation.largest, abs(a), abs(b))
    return bool(abs(a - b) > scale * mp.mpf(10) ** (GUARD - digits))


def same_values(left: Node, right: Node, has_variables: bool, work: Work) -> bool | None:
    """Whether two formulas agree everywhere they were tried; None when no point could be used."""
    tried = 0
    for point in range(NUM_POINTS if has_variables else 1):
        verdict = differ(left, right, DIGITS, point, work)
        if verdict:
            return False
        tried += verdict is not None
    if not tried:
        return None
    again = differ(left, right, MORE_DIGITS, 0, work)
    return None if again is None else not again


def real_value(node: Node, work: Work) -> Any:
    """The value of a constant as a real number; None for what is neither."""
    evaluation = Evaluation(DIGITS, 0, work)
    try:
        value = evaluation.value(node)
    except (ZeroDivisionError, ArithmeticError, Unreadable):
        return None
    if evaluation.values:
        return None
    small = evaluation.mp.mpf(10) ** (GUARD - DIGITS) * max(1, abs(value))
    return evaluation.mp.re(value) if abs(evaluation.mp.im(value)) <= small else None
