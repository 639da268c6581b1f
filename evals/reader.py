"""Reading a formula: text → tokens → tree, by recursive descent with a bounded depth.

    answer    items separated by , ; and or
    item      relation chain of unions
    union     sum (∪ ∩ \\setminus sum)* | sum \\over sum
    sum       product ((+ - ±) product)*
    product   factor ((* / ÷ or nothing) factor)*   units and % end it
    factor    sign factor | atom postfix*           ! ^ ' ° %

LaTeX and plain text are one language here: `\\frac{1}{2}`, `1/2`, `sqrt(3)`, `\\sqrt3` and `2^10`
may be mixed. Atoms with arguments of their own are in `atoms`. What cannot be read raises
Unreadable, what is too large TooLarge; nothing is guessed.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from evals.atoms import atom, postfix
from evals.expression import Call, Group, Node, Number, Quantity, Relation, Symbol, Word, height
from evals.limits import MAX_HEIGHT, TooLarge, Unreadable
from evals.literals import lettered_numeral
from evals.position import Position
from evals.spelling import one_spelling
from evals.tokens import Token, tokenise
from evals.units import ONE_LETTER
from evals.vocabulary import CHANGING_WORDS, SCALES, SEPARATORS

RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "<>": "!=",
    "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "in": "∈", "approx": "≈", "simeq": "≈",
    "equiv": "≡", "to": "→", "rightarrow": "→", "mapsto": "→", "sim": "~", "mid": "|",
    "->": "→", "coloneqq": "=", "cong": "≅", "propto": "∝",
}  # fmt: skip
UNIONS = {"cup": "∪", "cap": "∩", "setminus": "∖", "backslash": "∖", "bigcup": "∪"}
SPLITS = {"over": "/", "choose": "binom"}
"""Written between the parts of what they make."""
SUMS = {"+": "+", "-": "-", "pm": "pm", "mp": "mp", "+-": "pm"}
PRODUCTS = {"*": "*", "times": "*", "cdot": "*", "/": "/", "div": "/", "bullet": "*", "cdotp": "*"}
PRODUCTS |= {"bmod": "mod"}
CLOSING = frozenset(
    [")", "]", "}", "\\}", "|", "&", "\\\\", ",", ";", "rbrace", "rbrack", "rangle"]
)
CLOSING |= frozenset(["rvert", "rfloor", "rceil", "\\|"])


class Reader(Position):
    """The grammar; each method reads what it is named after."""

    def series(self) -> list[list[Node]]:
        """Items up to a closing bracket or the end: comma lists, separated by ; or `and`."""
        lists: list[list[Node]] = [[]]
        while True:
            lists[-1].append(self.item())
            comma = False
            while self.accept(","):
                comma = True
            word = self.token()
            if word and word.kind == "word" and word.text.lower() in SEPARATORS:
                self.take()
                if not comma:
                    lists.append([])
            elif self.accept(";"):
                lists.append([])
            elif not comma or self.at_end():
                if comma and self.token() is not None:
                    raise Unreadable("an item is missing after the last comma")
                return lists

    def at_end(self) -> bool:
        """Whether nothing more belongs to what is being read."""
        return self.token() is None or self.peek() in CLOSING

    def item(self) -> Node:
        """A relation chain, or what stands alone."""
        self.deeper()
        terms, operators = [self.union()], []
        while operator := self.relation():
            operators.append(operator)
            terms.append(self.union())
        self.depth -= 1
        if "≡" in operators and isinstance(terms[-1], Call) and terms[-1].name == "mod":
            terms[-1] = Call("modulo", terms[-1].args)  # it belongs to the relation: no remainder
        return Relation(tuple(operators), tuple(terms)) if operators else terms[0]

    def relation(self) -> str | None:
        """The sign of a relation, if one comes next."""
        if self.peek() == "not" or self.peek() == "&":
            follower = self.token(1)
            if self.peek() == "&" and follower and RELATIONS.get(follower.text):
                self.take()
        operator = RELATIONS.get(self.peek())
        if operator:
            self.take()
            self.accept("&")
        return operator

    def union(self) -> Node:
        """Sets joined by ∪ ∩ ∖, or a ratio."""
        left = self.sum()
        if self.peek() in SPLITS:
            left = Call(SPLITS[self.take().text], (left, self.sum()))
        if self.peek() == ":":
            parts = [left]
            while self.accept(":"):
                parts.append(self.sum())
            return Call("ratio", tuple(parts))
        while self.peek() in UNIONS:
            left = Call(UNIONS[self.take().text], (left, self.sum()))
        return left

    def sum(self) -> Node:
        """Terms joined by + - ±."""
        left: Node
        if self.peek() in SUMS:
            sign = SUMS[self.take().text]
            left = self.product()
            if sign == "-":
                left = Call("neg", (left,))
            elif sign != "+":
                left = Call(sign, (Number(Fraction(0)), left))
        else:
            left = self.product()
        while self.peek() in SUMS:
            sign = SUMS[self.take().text]
            left = Call(sign, (left, self.product()))
        return left

    def product(self) -> Node:
        """Factors, written with or without a sign between them, then a unit."""
        left = self.mixed(self.factor())
        while True:
            token = self.token()
            if self.peek() in PRODUCTS:
                after = self.token(1)
                if after and after.kind == "word" and self.peek() == "/":
                    return self.quantity(left)
                operator = PRODUCTS[self.take().text]
                left = Call(operator, (left, self.factor()))
            elif token and token.kind in {"word", "letter"} and not self.is_separator(token):
                return self.quantity(left)
            elif self.starts_factor(token):
                if token and token.kind == "number" and self.tokens[self.at - 1].kind == "number":
                    raise Unreadable("two numbers without a sign between them")
                if isinstance(left, Word):
                    raise Unreadable("words before a formula")
                left = Call("*", (left, self.factor()))
            else:
                return left

    def is_separator(self, token: Token) -> bool:
        """The words `and`, `or`, `in` (a relation)."""
        return token.kind == "word" and token.text.lower() in SEPARATORS

    def starts_factor(self, token: Token | None) -> bool:
        """Whether a factor begins here, as after an omitted multiplication sign."""
        if token is None or token.kind in {"word", "end", "letter"}:
            return False
        if token.kind in {"number", "name", "begin"}:
            return True
        if token.text in {"|", "\\|"}:
            return self.open_bars == 0
        taken = token.text in RELATIONS or token.text in UNIONS or token.text in SUMS
        if token.kind == "command":
            return not (taken or token.text in {*PRODUCTS, *CLOSING, *SPLITS})
        return token.text in {"(", "[", "{", "\\{"}

    def mixed(self, left: Node) -> Node:
        """`1 1/2` and `1\\frac{1}{2}` are a whole number and a proper fraction."""
        whole = isinstance(left, Number) and left.value.denominator == 1 and left.digits is None
        if not whole or not isinstance(left, Number):
            return left
        start = self.at
        token, slash, bottom = self.token(), self.token(1), self.token(2)
        part: Node | None = None
        if token and token.kind == "command" and token.text in {"frac", "dfrac", "tfrac", "cfrac"}:
            part = atom(self)
        elif (token and slash and bottom and slash.text == "/"
              and token.text.isdigit() and bottom.text.isdigit()):  # fmt: skip
            self.at += 3
            numbers = Number(Fraction(int(token.text))), Number(Fraction(int(bottom.text)))
            part = Call("/", numbers)
        if isinstance(part, Call) and part.name == "/":
            top, low = part.args
            if isinstance(top, Number) and isinstance(low, Number) and 0 < top.value < low.value:
                return postfix(self, Number(left.value + top.value / low.value))
        self.at = start
        return left

    def quantity(self, value: Node) -> Node:
        """A value and the words after it, such as `5 square cm`, `60 km/h`."""
        words: list[str] = []
        while (token := self.token()) is not None:
            if token.kind in {"word", "letter"} and not self.is_separator(token):
                words.append(self.take().text)
            elif words and token.text == "^":
                self.take()
                words[-1] += "^" + self.plain_argument()
            elif (token.text in {"/", "*", "-", ".", "cdot"} and (after := self.token(1))
                  and (after.kind in {"word", "letter"} or (words and after.text in ONE_LETTER))):  # fmt: skip
                sign = "*" if self.take().text == "cdot" else token.text
                words.append(sign + self.take().text)
            else:
                break
        while words and words[0].lower() in SCALES:
            value = Call("*", (value, Number(Fraction(SCALES[words.pop(0).lower()]))))
        if not words:
            return value
        if words and words[0].lower() in {"percent", "percentage", "pct"}:
            return Call("percent", (value,))
        if len(words) == 1 and len(words[0]) == 1 and words[0] not in ONE_LETTER:
            return Call("*", (value, Symbol(words[0])))
        if any(word.lower() in CHANGING_WORDS for word in words):
            raise Unreadable("words that change what is said")
        return Quantity(value, " ".join(words))

    def factor(self) -> Node:
        """A signed atom with its powers."""
        if self.peek() in SUMS:
            sign = SUMS[self.take().text]
            self.deeper()
            inner = self.factor()
            self.depth -= 1
            if sign in {"pm", "mp"}:
                return Call(sign, (Number(Fraction(0)), inner))
            return Call("neg", (inner,)) if sign == "-" else inner
        self.deeper()
        node = postfix(self, atom(self))
        self.depth -= 1
        return node


@lru_cache(maxsize=128)  # extraction and comparison read the same text, samples share a gold answer
def read_formula(text: str, thousands: bool = True) -> Node:
    """The tree of a whole text. Raises Unreadable or TooLarge. Without `thousands`, a comma always
    separates."""
    text = one_spelling(text, thousands)
    if numeral := lettered_numeral(text):
        return numeral
    tokens = tokenise(text)
    if not tokens:
        raise Unreadable("nothing to read")
    if prose := words_only(tokens):
        return Word(prose)
    reader = Reader(tokens)
    lists = reader.series()
    if reader.token() is not None:
        raise Unreadable("something is left over")
    tree = joined(lists)
    if height(tree) > MAX_HEIGHT:
        raise TooLarge(f"a formula of more than {MAX_HEIGHT} levels")
    return tree


def joined(lists: list[list[Node]], opening: str = "", closing: str = "") -> Node:
    """One node for what a series read. Lists of named values, `p=5,q=2; p=7,q=2`, are tuples."""
    if len(lists) > 1 and all(len(items) > 1 and all(map(is_named, items)) for items in lists):
        return Group(opening, closing, tuple(Group("(", ")", tuple(items)) for items in lists))
    items = tuple(item for items in lists for item in items)
    return items[0] if len(items) == 1 and not opening else Group(opening, closing, items)


def is_named(node: Node) -> bool:
    """Whether this is `name = value`."""
    return isinstance(node, Relation) and set(node.operators) == {"="}


def words_only(tokens: list[Token]) -> str:
    """The prose, in lower case, of a text without any formula."""
    kinds = {token.kind for token in tokens}
    prose = kinds <= {"word", "letter", "name"} and "word" in kinds
    return " ".join(token.text.lower() for token in tokens) if prose else ""
