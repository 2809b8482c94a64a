"""The value of an expression: exact fractions, and bounds on what a message can cost.

By hand and not with Python's own `eval`, which would run whatever people type. Every number is a fraction, so that
0.1 + 0.2 is 0.3; roots and constants are fractions that are right to 50 digits.
"""

import math
from fractions import Fraction

from tokens import Refused, Token

# Of a numerator or denominator: about 1,200 digits.
BITS_MOST = 4096
# The parser calls itself for each level, and a component's stack is small.
DEPTH_MOST = 32
FACTORIAL_MOST = 400
_ROOT_SCALE = 10**50
_CONSTANTS = {
    "pi": Fraction("3.14159265358979323846264338327950288419716939937510"),
    "π": Fraction("3.14159265358979323846264338327950288419716939937510"),
    "e": Fraction("2.71828182845904523536028747135266249775724709369995"),
}


def evaluate(pieces: list[Token], answer: Fraction | None) -> Fraction:
    """The value; `answer` is what `ans` stands for. Raises Refused with what is wrong."""
    parser = _Parser(pieces, answer)
    value = parser.sum()
    parser.expect("end", "")
    return value


class _Parser:
    """Recursive descent, a method a level of precedence. The pieces end with an `end`."""

    def __init__(self, pieces: list[Token], answer: Fraction | None):
        self._pieces = pieces
        self._answer = answer
        self._at = 0
        self._depth = 0

    def sum(self) -> Fraction:
        value = self._product()
        while self._next_is("+", "-"):
            sign, other = self._take().text, self._product()
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def expect(self, kind: str, text: str) -> None:
        token = self._pieces[self._at]
        if (token.kind, token.text) == (kind, text):
            self._at = min(self._at + 1, len(self._pieces) - 1)
        elif token.kind == "end":
            raise Refused(f"a `{text}` is missing at the end")
        else:
            raise Refused(f"`{token.text}` stands where it has no meaning")

    def _product(self) -> Fraction:
        value = self._signed()
        while self._next_is("*", "/", "//", "mod"):
            sign, other = self._take().text, self._signed()
            if sign != "*" and other == 0:
                raise Refused("nothing can be divided by 0")
            if sign == "*":
                value = value * other
            elif sign == "/":
                value = value / other
            else:
                value = Fraction(value // other) if sign == "//" else value % other
            value = _bounded(value)
        return value

    def _signed(self) -> Fraction:
        negative = False
        while self._next_is("+", "-"):
            negative ^= self._take().text == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Fraction:
        base = self._postfixed()
        if not self._next_is("^"):
            return base
        self._take()
        # To the right first, as in mathematics: 2^3^2 is 2^9.
        with self:
            return _power(base, self._signed())

    def _postfixed(self) -> Fraction:
        value = self._value()
        while self._next_is("!", "%"):
            value = _factorial(value) if self._take().text == "!" else value / 100
        return value

    def _value(self) -> Fraction:
        token = self._take()
        if token.kind == "number" and token.value is not None:
            return _bounded(token.value)
        if token.kind == "name":
            return self._named(token.text)
        if token.text == "(":
            with self:
                value = self.sum()
            self.expect("sign", ")")
            return value
        if token.kind == "end":
            raise Refused("a number is missing at the end")
        raise Refused(f"a number is missing before `{token.text}`")

    def _named(self, name: str) -> Fraction:
        if name == "ans":
            if self._answer is None:
                raise Refused("there is no `ans` yet: you have calculated nothing here today")
            return self._answer
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name not in _FUNCTIONS:
            known = ", ".join(sorted([*_FUNCTIONS, "ans", "pi", "e", "mod", "of"]))
            raise Refused(f"`{name[:32]}` is unknown; known are {known}")
        self.expect("sign", "(")
        with self:
            values = [self.sum()]
            while self._next_is(","):
                self._take()
                values.append(self.sum())
        self.expect("sign", ")")
        function, most = _FUNCTIONS[name]
        if most is not None and len(values) > most:
            raise Refused(f"{name}() takes {most} value{'s' if most > 1 else ''}, not {len(values)}")
        return _bounded(function(*values))

    def _next_is(self, *texts: str) -> bool:
        token = self._pieces[self._at]
        return token.kind != "end" and token.text in texts

    def _take(self) -> Token:
        token = self._pieces[self._at]
        self._at = min(self._at + 1, len(self._pieces) - 1)
        return token

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise Refused(f"this is nested more than {DEPTH_MOST} levels deep")

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS_MOST:
        raise Refused("a number on the way becomes too large")
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator == 2:
        # A root is a power: 9^0.5.
        return _power(_root(base), Fraction(exponent.numerator))
    if exponent.denominator != 1:
        raise Refused("an exponent must be a whole number or a half")
    if base == 0 and exponent < 0:
        raise Refused("nothing can be divided by 0")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    # Before it is computed: 9^9^9 would take all the time there is.
    if base not in (0, 1, -1) and (bits - 1) * abs(exponent.numerator) > BITS_MOST:
        raise Refused("a number on the way becomes too large")
    return _bounded(base**exponent.numerator)


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= FACTORIAL_MOST:
        raise Refused(f"only whole numbers from 0 to {FACTORIAL_MOST} have a `!` here")
    return Fraction(math.factorial(value.numerator))


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise Refused("a negative number has no root here")
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if above**2 == value.numerator and below**2 == value.denominator:
        return Fraction(above, below)
    return Fraction(math.isqrt(value.numerator * _ROOT_SCALE**2 // value.denominator), _ROOT_SCALE)


def _round(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    if digits.denominator != 1 or not 0 <= digits <= 30:
        raise Refused("round() takes 0 to 30 digits")
    scale = 10**digits.numerator
    # Halves away from 0, as people round; Python's own goes to the even neighbour.
    up = math.floor(abs(value) * scale + Fraction(1, 2))
    return Fraction(up if value >= 0 else -up, scale)


# With the most values each takes; None is any number.
_FUNCTIONS = {
    "abs": (abs, 1),
    "ceil": (lambda value: Fraction(math.ceil(value)), 1),
    "floor": (lambda value: Fraction(math.floor(value)), 1),
    "max": (lambda *values: max(values), None),
    "min": (lambda *values: min(values), None),
    "round": (_round, 2),
    "sqrt": (_root, 1),
}
