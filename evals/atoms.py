"""The smallest parts of a formula: numbers, names, brackets, and commands with arguments.

Belongs to `reader`, whose `Reader` is the position that every function here moves on.
"""

from __future__ import annotations

from fractions import Fraction

from evals.expression import Call, Group, Matrix, Node, Number, Quantity, Symbol, Word
from evals.limits import Unreadable
from evals.literals import number, repeating, suffix, symbol_of
from evals.position import Position
from evals.vocabulary import CALLED_NAMES, FUNCTIONS, GREEK

BRACKETS = {
    "(": (")", "]"), "[": ("]", ")"), "{": ("}",), "\\{": ("\\}",), "lbrace": ("rbrace",),
    "lbrack": ("rbrack", "]"), "langle": ("rangle",), "\\lbrace": ("\\rbrace",),
}  # fmt: skip
CANONICAL = {"lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]"}
CANONICAL |= {"langle": "(", "rangle": ")"}
BARS = {"lvert": "rvert", "|": "|", "vert": "vert", "\\|": "\\|", "lVert": "rVert"}
ROUNDINGS = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}
ACCENTS = {"dot": "˙", "ddot": "¨", "hat": "^", "bar": "¯", "vec": "→", "tilde": "~"}
ACCENTS |= {"widehat": "^", "overline": "¯", "overrightarrow": "→", "mathring": "°"}
PREFIXES = {"angle": "∠", "triangle": "△", "measuredangle": "∠"}
LARGE = {"sum": "Σ", "prod": "Π", "int": "∫", "lim": "lim", "bigcup": "⋃"}
INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
CONSTANTS = {"pi": "π", "infty": "∞", "exponentialE": "e", "imaginaryI": "i"}
MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"])


def atom(reader: Position) -> Node:
    """One number, name, bracket or command with its arguments."""
    token = reader.take()
    if token.kind == "number":
        return repeating(reader, number(token.text), token.text)
    if token.kind in {"name", "letter"}:
        return name(reader, token.text)
    if token.kind == "word":
        words = [token.text.lower()]
        while (after := reader.token()) and after.kind in {"word", "letter", "name"}:
            words.append(reader.take().text.lower())
        return Word(" ".join(words))
    if token.kind == "begin":
        return environment(reader, token.text)
    if token.text in BRACKETS:
        return brackets(reader, token.text)
    if token.text in BARS:
        return bars(reader, BARS[token.text])
    if token.kind == "command":
        return command(reader, token.text)
    raise Unreadable(f"no formula starts with {token.text[:20]!r}")


def name(reader: Position, text: str) -> Node:
    """A name with its subscript and primes, perhaps applied to an argument."""
    node: Node = Symbol(text)
    text += suffix(reader)
    node = Symbol(text)
    if reader.peek() == "(":
        start = reader.at, reader.nodes
        reader.take()
        try:
            argument = brackets(reader, "(")
        except Unreadable:
            reader.at, reader.nodes = start
            return node
        several = isinstance(argument, Group) and argument.closing == ")"
        single = isinstance(argument, Symbol) or argument == Number(Fraction(0))
        called = text[0] in CALLED_NAMES and isinstance(argument, Number)
        if several or single or called:
            return Call("apply", (node, argument))
        reader.at, reader.nodes = start
    return node


def brackets(reader: Position, opening: str) -> Node:
    """What stands between brackets: a grouped formula, or several items."""
    bars_outside, reader.open_bars = reader.open_bars, 0
    closings = BRACKETS[opening]
    if reader.peek() in closings:
        reader.take()
        if opening in {"(", "{"}:
            raise Unreadable("empty brackets")
        return Group("{" if opening != "[" else "[", "}" if opening != "[" else "]", ())
    reader.deeper()
    lists = reader.series()
    reader.depth -= 1
    reader.open_bars = bars_outside
    closing = reader.take().text
    if closing not in closings:
        raise Unreadable(f"{opening} is closed by {closing[:9]}")
    opening, closing = CANONICAL.get(opening, opening), CANONICAL.get(closing, closing)
    is_set = opening == "\\{"
    if is_set or opening == "{":
        opening, closing = "{", "}"
    items = tuple(item for items in lists for item in items)
    return items[0] if len(items) == 1 and not is_set else Group(opening, closing, items)


def bars(reader: Position, closing: str) -> Node:
    """Absolute value."""
    reader.open_bars += 1
    inner = reader.item()
    reader.open_bars -= 1
    reader.expect(closing)
    return Call("abs", (inner,))


def argument(reader: Position) -> Node:
    """The argument of \\frac and the like: a brace group, or one digit, name or command."""
    if reader.accept("{"):
        return brackets(reader, "{")
    token = reader.token()
    if token and token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
        rest = type(token)("number", token.text[1:])
        reader.tokens[reader.at : reader.at + 1] = [type(token)("number", token.text[0]), rest]
    return bare_argument(reader)


def bare_argument(reader: Position) -> Node:
    """One number, name or command without what follows it."""
    reader.deeper()
    node = atom(reader)
    reader.depth -= 1
    return node


def command(reader: Position, text: str) -> Node:
    """A command and its arguments."""
    if text in {"frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"}:
        top = argument(reader)
        return Call("/", (top, argument(reader)))
    if text in {"binom", "dbinom", "tbinom"}:
        top = argument(reader)
        return Call("binom", (top, argument(reader)))
    if text == "sqrt":
        index: Node = Number(Fraction(2))
        if reader.accept("["):
            index = reader.item()
            reader.expect("]")
        return Call("root", (bare_argument(reader), index))
    if text in ROUNDINGS:
        inner = reader.item()
        reader.expect(ROUNDINGS[text][0])
        return Call(ROUNDINGS[text][1], (inner,))
    if text in {"emptyset", "varnothing"}:
        return Group("{", "}", ())
    if text in FUNCTIONS and not (text in GREEK and reader.peek() != "("):
        return function(reader, text)
    if text in CONSTANTS:
        return Symbol(CONSTANTS[text])
    if text in ACCENTS:
        inner = argument(reader)
        return symbol_of(inner, ACCENTS[text], suffix(reader))
    if text in LARGE:
        return large(reader, LARGE[text])
    if text in PREFIXES:
        return Call(PREFIXES[text], (reader.product(),))
    if text == "Delta" and (after := reader.token()) and after.kind == "name":
        return Symbol("Δ" + reader.take().text + suffix(reader))
    if text in GREEK or text in {"ldots", "dots", "cdots", "circ", "prime", "parallel", "perp"}:
        return name(reader, "\\" + text.removeprefix("var"))
    raise Unreadable(f"\\{text[:20]} is not known")


def function(reader: Position, text: str) -> Node:
    """A function with its power, base and argument: \\sin^2 x, \\log_2 8, sqrt(3)."""
    power: Node | None = None
    base: Node | None = None
    while reader.peek() in {"^", "_"}:
        if reader.take().text == "^":
            power = signed_argument(reader)
        else:
            base = argument_or_number(reader)
    if power == Call("neg", (Number(Fraction(1)),)) and text in INVERSES:
        text, power = INVERSES[text], None
    if base is not None and text not in {"log", "ln", "max", "min"}:
        raise Unreadable(f"{text} has no subscript")
    node = Call(text, (function_argument(reader),) + ((base,) if base else ()))
    if text == "cbrt":
        node = Call("root", (node.args[0], Number(Fraction(3))))
    elif text == "factorial":
        node = Call("!", node.args)
    return Call("^", (node, power)) if power else node


def signed_argument(reader: Position) -> Node:
    """An exponent: 2, -2, {n+1}, (n+1), n^2."""
    reader.deeper()
    if reader.accept("-"):
        node: Node = Call("neg", (signed_argument(reader),))
    elif reader.accept("+"):
        node = signed_argument(reader)
    else:
        node = argument_or_number(reader)
        if reader.accept("^", "**"):
            node = Call("^", (node, signed_argument(reader)))
    reader.depth -= 1
    return node


def argument_or_number(reader: Position) -> Node:
    """A brace group, or a whole number, name or bracket: 2^10 is a power of ten, not of one."""
    return brackets(reader, "{") if reader.accept("{") else bare_argument(reader)


def function_argument(reader: Position) -> Node:
    """Brackets hold the whole argument; otherwise it is the following product of plain factors."""
    if reader.peek() in {"(", "{", "[", "lbrack"}:
        return brackets(reader, reader.take().text)
    reader.deeper()
    node = postfix(reader, atom(reader))
    while (token := reader.token()) and (
        token.kind in {"number", "name"}
        or (token.kind == "command" and token.text in {*GREEK, "frac", "dfrac", "sqrt"})
    ):
        node = Call("*", (node, postfix(reader, atom(reader))))
    reader.depth -= 1
    return node


def large(reader: Position, text: str) -> Node:
    """Sums, products, integrals and limits are kept as they are, never computed."""
    bounds: list[Node] = []
    while reader.peek() in {"_", "^"}:
        text += reader.take().text
        if reader.accept("{"):
            bounds.append(reader.item())
            reader.expect("}")
        else:
            bounds.append(bare_argument(reader))
    return Call(text, (*bounds, reader.product()))


def environment(reader: Position, kind: str) -> Node:
    """Matrices, determinants and cases: rows separated by \\\\, entries by &."""
    if kind == "array" and reader.accept("{"):
        while not reader.accept("}"):
            reader.take()
    rows: list[tuple[Node, ...]] = []
    while (token := reader.token()) is None or token.kind != "end":
        row = [reader.item()]
        while reader.accept("&"):
            row.append(reader.item())
        rows.append(tuple(row))
        reader.accept(",")
        if not reader.accept("\\\\"):
            break
    end = reader.take()
    if end.kind != "end" or end.text != kind or not rows or len({len(row) for row in rows}) != 1:
        raise Unreadable(f"a broken {kind}")
    if kind == "vmatrix":
        return Call("det", (Matrix(tuple(rows)),))
    if kind in MATRICES:
        return Matrix(tuple(rows))
    return Group("", "", tuple(entry for row in rows for entry in row))


def postfix(reader: Position, node: Node) -> Node:
    """Powers, factorials, degrees and percent signs after an atom."""
    while True:
        if reader.peek() in {"^", "**"}:
            reader.take()
            if reader.accept("circ"):
                node = Call("deg", (node,))
            elif (reader.peek() == "{" and (inner := reader.token(1)) and inner.text == "circ"
                  and (end := reader.token(2)) and end.text == "}"):  # fmt: skip
                reader.at += 3
                node = Call("deg", (node,))
            else:
                node = Call("^", (node, signed_argument(reader)))
        elif reader.accept("!"):
            node = Call("!", (node,))
        elif reader.accept("%"):
            node = Call("percent", (node,))
        elif reader.peek() in {"'", "prime"}:
            reader.take()
            node = Call("prime", (node,))
        elif (token := reader.token()) and token.text in {"degrees", "degree"}:
            reader.take()
            node = Call("deg", (node,))
        elif token and token.text.lower() in {"percent", "percentage", "pct"}:
            reader.take()
            node = Call("percent", (node,))
        else:
            return node.value if isinstance(node, Quantity) else node
