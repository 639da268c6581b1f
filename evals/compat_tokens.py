"""Tokens of the LaTeX that the reference grader reads: the lexer of its grammar, and no other.

One letter is one name, `\\pi` is a name like any other, `d` and the letter after it are one name, and a
character that the grammar does not know makes the whole text unreadable. The rules are those of
`LaTeX.g4` in sympy 1.12 (sympy/parsing/latex), which the reference calls through `parse_latex`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evals.vocabulary import words

TRIGONOMETRIC = words("sin cos tan csc sec cot sinh cosh tanh")
INVERSE = words("arcsin arccos arctan arccsc arcsec arccot arsinh arcosh artanh")
FUNCTIONS = TRIGONOMETRIC | INVERSE | words("exp log lg ln")
RELATIONS = {"leq": "<=", "le": "<=", "leqq": "<=", "leqslant": "<=", "neq": "!="}
RELATIONS |= {"geq": ">=", "ge": ">=", "geqq": ">=", "geqslant": ">=", "<": "<", ">": ">", "=": "="}
PRODUCTS = {"*": "*", "/": "/", ":": "/", "times": "*", "cdot": "*", "div": "/"}
SPACES = words("""
    thinspace medspace thickspace quad qquad negthinspace negmedspace negthickspace left right vrule
    vcenter vbox vskip vspace hfil
""")
OPENING = FUNCTIONS | words("""
    frac dfrac tfrac binom dbinom tbinom sqrt overline mathit lfloor lceil lim int sum prod langle
""")
"""Commands that a factor begins with."""
KEYWORDS = OPENING | RELATIONS.keys() | PRODUCTS.keys()
KEYWORDS |= words("rfloor rceil rangle to rightarrow")

TOKEN = re.compile(
    r"[ \t\r\n]+|\\[,:;!]|\\[*\-./\"(=]|(?P<command>\\[A-Za-z]+)|(?P<escaped>\\[{}])"
    r"|(?P<differential>d[ \t]*(?:[A-Za-z]|\\[A-Za-z]+))|(?P<letter>[A-Za-z])|(?P<digit>[0-9])"
    r"|(?P<equal>&?=&?)|(?P<quotes>'+)|(?P<sign>[-+*/(){}\[\]|_^:<>!,.])"
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is name, digit, command (a keyword without its backslash) or sign."""

    kind: str
    text: str


END = Token("end", "")
UNKNOWN = Token("unknown", "")
"""What the grammar has no token for. It counts only where the reader gets to it."""


def tokens_of(text: str) -> list[Token]:
    """All tokens, up to the first unknown character."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            tokens.append(UNKNOWN)
            break
        position = match.end()
        kind, found = match.lastgroup, match.group()
        if kind == "command":
            name = found[1:]
            if name not in SPACES:
                tokens.append(Token("command" if name in KEYWORDS else "name", name))
        elif kind in {"letter", "differential"}:
            tokens.append(Token("name", "".join(found.split()).replace("\\", "")))
        elif kind == "digit":
            tokens.append(Token("digit", found))
        elif kind == "equal":
            tokens.append(Token("sign", "="))
        elif kind is not None:
            tokens.append(Token(kind if kind == "quotes" else "sign", found))
    return tokens
