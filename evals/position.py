"""A position in the tokens of a formula: looking ahead, taking a token, counting levels and nodes.

`reader.Reader` is the position that knows the grammar. `atoms` needs only its three entries, named
here, so that neither module imports the other's half.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from evals.expression import Node
from evals.limits import MAX_NESTING, MAX_NODES, TooLarge, Unreadable
from evals.tokens import Token


@dataclass
class Position(ABC):
    """Where reading has come to."""

    tokens: list[Token]
    at: int = 0
    depth: int = 0
    open_bars: int = 0
    """Bars of absolute values that are open, so that the next bar closes one."""
    nodes: int = 0

    @abstractmethod
    def series(self) -> list[list[Node]]:
        """Items up to a closing bracket or the end."""

    @abstractmethod
    def item(self) -> Node:
        """One item of a series."""

    @abstractmethod
    def product(self) -> Node:
        """Factors up to the next sum sign."""

    def peek(self, ahead: int = 0) -> str:
        """The text of the next token; empty at the end. Names and numbers are no signs."""
        token = self.token(ahead)
        return token.text if token and token.kind in {"sign", "command"} else ""

    def token(self, ahead: int = 0) -> Token | None:
        """The next token, not yet read."""
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def take(self) -> Token:
        """Reads a token."""
        token = self.token()
        if token is None:
            raise Unreadable("the formula ends too early")
        self.at += 1
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TooLarge(f"more than {MAX_NODES} nodes")
        return token

    def accept(self, *texts: str) -> bool:
        """Reads a sign or command if it comes next."""
        if (found := self.peek()) and found in texts:
            self.take()
            return True
        return False

    def expect(self, *texts: str) -> None:
        """Reads a sign that must come next."""
        if not self.accept(*texts):
            raise Unreadable(f"expected {texts[0]}")

    def deeper(self) -> None:
        """Counts a level of nesting; its caller counts it back."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooLarge(f"nested deeper than {MAX_NESTING}")

    def plain_argument(self) -> str:
        """The bare text of a subscript or of a unit's power."""
        if not self.accept("{"):
            return self.take().text
        texts, level = [], 1
        while level:
            token = self.take()
            level += {"{": 1, "}": -1}.get(token.text, 0)
            texts.append(token.text)
        return "".join(texts[:-1])
