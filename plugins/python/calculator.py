"""`calc` without the sandbox: its settings, its command, and what it remembers.

Knows nothing of components, so that its tests need none: what it remembers goes through the two functions it is given.
"""

import json
from collections.abc import Callable
from fractions import Fraction

from evaluator import evaluate
from tokens import Refused, shown, tokens

USAGE = "usage: /calc EXPRESSION, e.g. /calc 2*(3+4), 15% of 240, sqrt(2), ans/3"
DIGITS = 12
DIGITS_MOST = 40
# Larger whole numbers are shown as powers of ten.
WHOLE_DIGITS = 40
ANSWER_TTL_MS = 24 * 60 * 60 * 1000

Get = Callable[[str], bytes | None]
Put = Callable[[str, bytes], None]


def digits_of(settings: str) -> int:
    """The `digits` of the settings. Raises Refused, for the operator."""
    given = json.loads(settings)
    if unknown := sorted(set(given) - {"digits"}):
        raise Refused(f"the setting `{unknown[0]}` is unknown; calc knows only `digits`")
    digits = given.get("digits", DIGITS)
    if type(digits) is not int or not 1 <= digits <= DIGITS_MOST:
        raise Refused(f"`digits` is {json.dumps(digits)}; it must be a whole number from 1 to {DIGITS_MOST}")
    return digits


def answer(text: str, sender: int, digits: int, get: Get, put: Put) -> str:
    """What the sender says: the expression and its value, which is their `ans` from then on. Raises Refused."""
    if not text:
        raise Refused(USAGE)
    pieces = tokens(text)
    key = f"ans/{sender}"
    stored = get(key)
    value = evaluate(pieces, None if stored is None else Fraction(stored.decode()))
    put(key, str(value).encode())
    return f"{shown(pieces)} {written(value, digits)}"


def written(value: Fraction, digits: int) -> str:
    """`= 0.3`, or `≈ 0.333333333333` where digits are left out."""
    if value == 0:
        return "= 0"
    sign, value = ("-" if value < 0 else ""), abs(value)
    if value.denominator == 1 and len(str(value.numerator)) <= WHOLE_DIGITS:
        return f"= {sign}{value.numerator}"
    exponent = _exponent(value)
    scaled = value * Fraction(10) ** (digits - 1 - exponent)
    kept = int(scaled + Fraction(1, 2))
    if kept == 10**digits:
        kept, exponent = kept // 10, exponent + 1
    equals = "=" if kept == scaled else "≈"
    # Zeros at the end say nothing.
    figures = str(kept).rstrip("0")
    return f"{equals} {sign}{_placed(figures, exponent, digits)}"


def _exponent(value: Fraction) -> int:
    """The power of ten of the first digit."""
    guess = len(str(value.numerator)) - len(str(value.denominator))
    return guess if value >= Fraction(10) ** guess else guess - 1


def _placed(figures: str, exponent: int, digits: int) -> str:
    if 0 <= exponent < digits:
        whole = figures[: exponent + 1].ljust(exponent + 1, "0")
        part = figures[exponent + 1 :]
        return f"{whole}.{part}" if part else whole
    if -6 <= exponent < 0:
        return "0." + "0" * (-exponent - 1) + figures
    part = f".{figures[1:]}" if figures[1:] else ""
    return f"{figures[0]}{part}e{exponent}"
