"""Units of measure: which words name one, and how those of one dimension convert.

A unit after a number is dropped when the other answer has none. Where both have a known one, 1 km
equals 1000 m and 5 cm is not 5 m. Other words after a number (`12 ways`) say what was counted and
do not matter.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

TABLE = {
    "length": "mm:1/1000 millimeter:1/1000 cm:1/100 centimeter:1/100 m:1 meter:1 metre:1 km:1000"
    " kilometer:1000 inch:254/10000 inches:254/10000 in:254/10000 ft:3048/10000 foot:3048/10000"
    " feet:3048/10000 yd:9144/10000 yard:9144/10000 mile:1609344/1000 mi:1609344/1000",
    "mass": "mg:1/1000 g:1 gram:1 kg:1000 kilogram:1000 lb:45359237/100000 lbs:45359237/100000"
    " pound:45359237/100000 oz:45359237/1600000 ounce:45359237/1600000",
    "time": "ms:1/1000 s:1 sec:1 second:1 minute:60 min:60 hour:3600 hr:3600 hrs:3600 h:3600"
    " day:86400 week:604800",
    "calendar": "month:1 year:12",
    "volume": "ml:1/1000 mL:1/1000 milliliter:1/1000 l:1 L:1 liter:1 litre:1",
    "dollars": "dollar:1 cent:1/100 usd:1 USD:1",
    "force": "N:1 newton:1 kN:1000",
    "joules": "J:1 joule:1 kJ:1000",
    "electronvolts": "eV:1 keV:1000 MeV:1000000",
    "calories": "cal:1 kcal:1000",
    "frequency": "Hz:1 hertz:1 kHz:1000 MHz:1000000",
    "pressure": "Pa:1 kPa:1000",
    "power": "W:1 watt:1 kW:1000",
    "voltage": "V:1 volt:1",
    "degrees": "degree:1 deg:1",
    "radians": "radian:1 rad:1",
    "euros": "euro:1 eur:1",
}  # fmt: skip
"""Only exact conversions. Units between which there is none that is exact have a line each."""
ALONE = ("ton", "gallon", "yuan", "rpm", "mol", "atm", "K", "erg")
UNITS: dict[str, tuple[str, Fraction]] = {
    entry.split(":")[0]: (dimension, Fraction(entry.split(":")[1]))
    for dimension, entries in TABLE.items()
    for entry in entries.split()
}
UNITS |= {name: (name, Fraction(1)) for name in ALONE}
UNITS |= {name: ("speed", Fraction(1)) for name in ("mph", "kph")}
UNITS |= {name + "s": unit for name, unit in list(UNITS.items()) if len(name) > 2}
ONE_LETTER = frozenset("msghLNJKWVlCA")


def scale(unit: str) -> tuple[str, Fraction] | None:
    """Dimension and factor of a known unit: `cm^2`, `square cm`, `km /h`, `meters per second`; None of words that
    are none."""
    exponents: Counter[str] = Counter()
    factor, side, implied = Fraction(1), 1, 1
    for word in SPEEDS.get(unit, unit).split():
        if word in POWERS:
            implied = POWERS[word]
        elif word == "per":
            side = -1
        else:
            name, _, power = word.lstrip("/*.-").partition("^")
            known = UNITS.get(name) or prefixed(name)
            if known is None or (power and not POWER.fullmatch(power)):
                return None
            dimension, times = known
            exponent = int(power or 1) * implied * (-1 if word[0] == "/" else side)
            exponents[dimension] += exponent
            factor, implied = factor * times**exponent, 1
    key = " ".join(f"{dimension}^{n}" for dimension, n in sorted(exponents.items()) if n)
    return (key, factor) if exponents else None


POWERS = {"square": 2, "cubic": 3}
POWER = re.compile(r"-?[1-9]")
SPEEDS = {"mph": "mile /hour", "kph": "km /hour"}
PREFIXES = {"p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "c": -2, "k": 3, "M": 6, "G": 9, "T": 12}
"""Powers of ten."""
WITH_PREFIX = frozenset(
    ["m", "s", "g", "L", "N", "J", "W", "V", "A", "C", "F", "T", "Hz", "Pa", "eV", "mol"]
)


def prefixed(name: str) -> tuple[str, Fraction] | None:
    """`nm`, `GHz`: a unit with a metric prefix. Only of a word that is a unit for certain: `nm` may be a product."""
    base = name[1:]
    if name[:1] not in PREFIXES or base not in WITH_PREFIX:
        return None
    dimension, factor = UNITS.get(base, (base, Fraction(1)))
    return dimension, factor * Fraction(10) ** PREFIXES[name[0]]
