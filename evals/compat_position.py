"""A position in the tokens of a formula that the reference grader reads: looking, taking, trying.

`compat_reader.Reader` is the position that knows the grammar; `compat_commands` needs only its entries
named here. An attempt that fails passes nothing, which is how the longest beginning is found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from evals.compat_tokens import END, Token
from evals.expression import Node
from evals.limits import Unreadable


class NoToken(Unreadable):
    """A character that the grammar does not know, which no attempt survives."""


@dataclass
class Position(ABC):
    """Where reading has come to."""

    tokens: list[Token]
    at: int = 0
    depth: int = 0
    bars: int = 0
    """Whether a bar closes an absolute value."""
    no_functions: list[bool] = field(default_factory=lambda: [False])
    """Whether functions end what is read, as in the argument of `\\sin x \\cos y`."""

    @abstractmethod
    def sum(self) -> Node:
        """Terms joined by + and -."""

    @abstractmethod
    def product(self) -> Node:
        """Factors joined by a sign or by nothing."""

    @abstractmethod
    def script(self) -> Node:
        """What stands after ^ or _."""

    def token(self, ahead: int = 0) -> Token:
        """The next token, or one after it."""
        place = self.at + ahead
        token = self.tokens[place] if place < len(self.tokens) else END
        if token.kind == "unknown" and not ahead:
            raise NoToken("a character without a meaning")
        return token

    def take(self) -> Token:
        """The next token, passed."""
        token = self.token()
        self.at += 1
        return token

    def expect(self, text: str) -> None:
        """Passes a token that has to be there."""
        if self.take().text != text:
            raise Unreadable(f"{text} is missing")

    def attempt(self, read: Callable[[], Node], passed: int = 1) -> Node | None:
        """What comes after a sign that is passed; where it cannot be read, None, and nothing is."""
        before = self.at, self.depth, self.bars, len(self.no_functions)
        try:
            self.at += passed
            return read()
        except NoToken:
            raise
        except Unreadable:
            self.at, self.depth, self.bars, kept = before
            del self.no_functions[kept:]
            return None

    def braced(self) -> Node:
        """A formula in braces."""
        self.expect("{")
        return self.inside("}")

    def inside(self, closing: str) -> Node:
        """A formula up to its closing bracket."""
        self.no_functions.append(False)
        bars, self.bars = self.bars, int(closing == "|")
        node = self.sum()
        self.expect(closing)
        self.bars = bars
        self.no_functions.pop()
        return node
