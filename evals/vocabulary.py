"""The words and commands that a formula may contain, as plain lists."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


FUNCTIONS = words("""
    sin cos tan cot sec csc sinh cosh tanh coth arsinh arcsin arccos arctan arccot asin acos atan
    log ln lg exp sqrt cbrt abs sgn floor ceil max min gcd lcm det Gamma factorial
""")
"""Applied to what follows them."""
CALLED_NAMES = frozenset("fghFGHPQ")
"""Names of functions."""
GREEK = words("""
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi
    rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
    hbar ell infty partial mho nabla
""")
"""Commands and words that are names."""
TEXT_COMMANDS = words("""
    text textbf textit textrm textnormal textsf texttt mbox hbox mathrm mathbf mathit mathsf mathcal
    mathbb mathop boldsymbol operatorname emph underline boxed fbox num
""")
"""Commands whose argument is text, or a formula in another font."""
SHORT_WORDS = words("""
    is if at in of on to no up we us as by do go he it my so be all any odd one two six ten yes pct
    not for per the inf nan min hot mod can has red was are
""")
"""Runs of letters too short to be told from a product of names."""
CHANGING_WORDS = words("""
    plus minus times over by than not but is half halves thirds squared cubed factorial where if for
    with when all any every at least most above below of mod
""")
"""Words after a number that are no unit, because they change what is said."""
SEPARATORS = frozenset({"and", "or"})
"""Between the items of a list."""
ALIASES = {"infinity": "infty", "inf": "infty", "Infinity": "infty", "oo": "infty", "union": "cup"}
ALIASES |= {"U": "cup", "emptyset": "emptyset", "ceiling": "ceil"}
ALIASES |= {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
"""Plain words for commands."""
SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
SCALES |= {"trillion": 10**12}
"""Words that multiply the number before them."""
WRITTEN_TOGETHER = words("sin cos tan cot sec csc log ln lg sqrt")
"""Functions that are also read right before a one-letter name."""
ENGLISH_ALIKE = words("cost tank tans logs logo sins sing sect secs cots")
"""Words that look like that and are none."""
NUMBERS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
"""
NUMBER_WORDS = {word: number for number, word in enumerate(NUMBERS.split())}
"""Whole numbers that are written as words."""
