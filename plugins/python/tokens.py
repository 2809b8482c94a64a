"""What somebody typed after /calc, as tokens, and as it is shown beside the result."""

import re
from dataclasses import dataclass
from fractions import Fraction

# A longer text has more operations than one message's time allows.
TEXT_MOST = 256

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d[\d_]*(?:\.\d+)?|\.\d+)(?P<exponent>[eE][+-]?\d{1,3}(?![\w.]))?"
    r"|(?P<name>[^\W\d_]+)|(?P<sign>\*\*|//|[-+*/×÷·−^%!(),]))"
)
_SAME = {"**": "^", "×": "*", "·": "*", "÷": "/", "−": "-", "of": "*"}
_SHOWN = {"*": "×", "/": "÷"}


class Refused(Exception):
    """What is wrong with an expression, for the person who typed it."""


@dataclass(frozen=True)
class Token:
    """One piece: `kind` is `number`, `name`, `sign` or `end`."""

    kind: str
    text: str
    value: Fraction | None = None


def tokens(text: str) -> list[Token]:
    """The pieces of `text`, and an `end`. Raises Refused where one can't be read."""
    if len(text) > TEXT_MOST:
        raise Refused(f"this is {len(text)} characters long; at most {TEXT_MOST} can be calculated")
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Refused(f"`{text[at:].lstrip()[:1]}` has no meaning here; try e.g. 2*(3+4)")
        found.append(_token(match))
        at = match.end()
    return [*found, Token("end", "")]


def _token(match: re.Match[str]) -> Token:
    if (number := match["number"]) is not None:
        written = number + (match["exponent"] or "")
        return Token("number", written, Fraction(written.replace("_", "")))
    if (name := match["name"]) is not None:
        name = name.lower()
        return Token("sign", _SAME[name]) if name in _SAME else Token("name", name)
    return Token("sign", _SAME.get(match["sign"], match["sign"]))


def shown(pieces: list[Token]) -> str:
    """The expression with spaces and signs that no formatting plugin takes for markup."""
    text, before = "", None
    for token in pieces:
        operator = _is_operator(token, before)
        text += f" {_SHOWN.get(token.text, token.text)} " if operator else token.text
        if token.text == ",":
            text += " "
        before = token
    return text.strip()


def _is_operator(token: Token, before: Token | None) -> bool:
    """Whether it stands between two values; a minus may be a value's own sign."""
    if token.text == "mod" or (token.kind == "sign" and token.text in ("*", "/", "//")):
        return True
    if token.kind != "sign" or token.text not in ("+", "-") or before is None:
        return False
    return before.kind in ("number", "name") or before.text in (")", "!", "%")
