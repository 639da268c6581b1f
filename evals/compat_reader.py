"""Reading a formula as far as the reference grader reads it: the longest beginning that is a formula.

    relation   sum (= < <= > >= != sum)*         unary    - unary | postfix+   (a product without a sign)
    sum        product (+ - product)*            postfix  power !*
    product    unary (* / : unary)*              power    atom (^ atom | ^{sum})*

What follows the beginning is not looked at, so `5,1` is 5, `x^-1` is x, `52_8` is 52 and `2-\\sqrt2` is 2;
a relation without a right side, or a character the grammar lacks, makes the text unreadable. Every name is
unknown, π, e and i too. The grammar is `LaTeX.g4` of sympy 1.12; integrals and limits are not read. What
was attempted in vain is never read again, and depth is bounded.
"""

from __future__ import annotations

from fractions import Fraction

from evals.compat_commands import command
from evals.compat_position import Position
from evals.compat_tokens import FUNCTIONS, OPENING, PRODUCTS, RELATIONS, tokens_of
from evals.expression import (
    Call,
    Group,
    Node,
    Number,
    Relation,
    Symbol,
    children,
    height,
    symbols,
)
from evals.limits import MAX_HEIGHT, MAX_NESTING, TooLarge, Unreadable

CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "|": "|"}


def read_beginning(text: str) -> Node:
    """The tree of the longest beginning that is a formula. Raises Unreadable or TooLarge."""
    reader = Reader(tokens_of(text))
    tree = reader.relation()
    reader.token()  # a character without a meaning counts where it comes next
    if height(tree) > MAX_HEIGHT:
        raise TooLarge(f"a formula of more than {MAX_HEIGHT} levels")
    return tree


class Reader(Position):
    """The grammar; each method reads what it is named after."""

    def starts_atom(self) -> bool:
        """Whether a factor may begin here."""
        token = self.token()
        if token.kind in {"name", "digit"}:
            return True
        if token.kind == "command":
            return token.text in OPENING
        if token.text == "|":
            return not self.bars
        return token.text in {"(", "[", "{", "\\{"}

    def relation(self) -> Node:
        """One relation, or a sum."""
        left = self.sum()
        sign = RELATIONS.get(self.token().text)
        if sign is None:
            return left
        self.take()
        relation = Relation((sign,), (left, self.sum()))
        if self.token().text in RELATIONS:
            raise Unreadable("a chain of relations")
        return relation

    def sum(self) -> Node:
        """Terms joined by + and -."""
        left = self.product()
        while (sign := self.token().text) in {"+", "-"}:
            right = self.attempt(self.product)
            if right is None:
                return left
            left = Call(sign, (left, right))
        return left

    def product(self) -> Node:
        """Factors joined by a sign."""
        left = self.unary()
        while sign := PRODUCTS.get(self.token().text):
            right = self.attempt(self.unary)
            if right is None:
                return left
            left = Call(sign, (left, right))
        return left

    def unary(self) -> Node:
        """A signed product of factors without a sign between them."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooLarge(f"more than {MAX_NESTING} levels")
        if self.token().text in {"+", "-"}:
            sign = self.take().text
            node = self.unary()
            node = Call("neg", (node,)) if sign == "-" else node
        else:
            factors = [self.postfix()]
            while self.starts_atom() and not (self.no_functions[-1] and self.at_function()):
                factor = self.attempt(self.postfix, passed=0)
                if factor is None:
                    break
                factors.append(factor)
            node = product_of_factors(factors)
        self.depth -= 1
        return node

    def at_function(self) -> bool:
        """Whether a function comes next."""
        token = self.token()
        return token.kind == "command" and (token.text in FUNCTIONS or token.text == "sqrt")

    def postfix(self) -> Node:
        """A power and its factorials."""
        node = self.power()
        while self.token().text == "!":
            self.take()
            node = Call("!", (node,))
        return node

    def power(self) -> Node:
        """An atom and its exponents, from the left."""
        node = self.atom()
        while self.token().text == "^":
            exponent = self.attempt(self.script)
            if exponent is None:
                return node
            node = Call("^", (node, exponent))
        return node

    def script(self) -> Node:
        """What stands after ^ or _: one number or name, or a formula in braces."""
        if self.token().text in {"(", "[", "|", "\\{"}:
            raise Unreadable("brackets are no exponent")
        return self.braced() if self.token().text == "{" else self.atom()

    def atom(self) -> Node:
        """A number, a name, a bracket, or a command with its arguments."""
        token = self.token()
        if token.kind == "digit":
            return self.number()
        if token.kind == "name":
            return self.name()
        if token.kind == "command" and token.text in OPENING:
            return command(self, self.take().text)
        if token.text in CLOSING and token.kind == "sign":
            closing = CLOSING[self.take().text]
            inner = self.inside(closing)
            return Call("abs", (inner,)) if closing == "|" else inner
        raise Unreadable("no formula begins here")

    def number(self) -> Number:
        """Digits, with commas before three more of them, and decimals."""
        digits = self.digits()
        while self.token().text == "," and all(self.token(n).kind == "digit" for n in (1, 2, 3)):
            self.at += 1
            digits += "".join(self.take().text for _ in range(3))
        if self.token().text == ".":
            self.take()
            digits += "." + self.digits()
        return Number(Fraction(digits))

    def digits(self) -> str:
        """At least one digit."""
        start = self.at
        while self.token().kind == "digit":
            self.at += 1
        if start == self.at:
            raise Unreadable("a digit is missing")
        return "".join(token.text for token in self.tokens[start : self.at])

    def name(self) -> Node:
        """A name with its index, or such a name applied to what is in round brackets."""
        name = "\\" + self.take().text
        if self.token().text == "_" and (index := self.attempt(self.script)) is not None:
            name += f"_{index}"
        if self.token().kind == "quotes":
            name += self.take().text
        applied = None
        if self.token().text == "(" and not self.no_functions[-1]:
            applied = self.attempt(self.arguments)
        return (
            Symbol(name) if applied is None else Call("apply", (Symbol(name), *children(applied)))
        )

    def arguments(self) -> Node:
        """What a name is applied to, after the opening bracket."""
        self.no_functions.append(False)
        arguments = [self.sum()]
        while self.token().text == ",":
            self.take()
            arguments.append(self.sum())
        self.expect(")")
        self.no_functions.pop()
        return Group("(", ")", tuple(arguments))


def product_of_factors(factors: list[Node]) -> Node:
    """The product; an x between two numbers is a sign for it."""
    kept = [
        factor
        for place, factor in enumerate(factors)
        if not (
            factor == Symbol("\\x")
            and 0 < place < len(factors) - 1
            and not symbols(factors[place - 1]) | symbols(factors[place + 1])
        )
    ]
    node = kept[-1]
    for factor in reversed(kept[:-1]):
        node = Call("*", (factor, node))
    return node
