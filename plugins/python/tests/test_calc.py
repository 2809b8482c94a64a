"""What /calc answers, without Wasm: `python3 -m unittest` in plugins/python."""

import random
import unittest
from fractions import Fraction

from calculator import DIGITS, answer, digits_of
from evaluator import evaluate
from tokens import Refused, tokens

WORKS = {
    "2*(3+4)": "2 × (3 + 4) = 14",
    "0.1+0.2": "0.1 + 0.2 = 0.3",
    "15% of 240": "15% × 240 = 36",
    "1/3": "1 ÷ 3 ≈ 0.333333333333",
    "2/3": "2 ÷ 3 ≈ 0.666666666667",
    "-2^2": "-2^2 = -4",
    "(-2)**2": "(-2)^2 = 4",
    "2^3^2": "2^3^2 = 512",
    "2^-2": "2^-2 = 0.25",
    "1 - -1": "1 - -1 = 2",
    "7 // 2 + 7 mod 2": "7 // 2 + 7 mod 2 = 4",
    "-7 mod 3": "-7 mod 3 = 2",
    "5!": "5! = 120",
    "sqrt(2)": "sqrt(2) ≈ 1.41421356237",
    "sqrt(9/4)": "sqrt(9 ÷ 4) = 1.5",
    "2^0.5": "2^0.5 ≈ 1.41421356237",
    "MAX(1, 2.5) × 2": "max(1, 2.5) × 2 = 5",
    "round(2.5)": "round(2.5) = 3",
    "round(-2.345, 2)": "round(-2.345, 2) = -2.35",
    "2 * pi": "2 × pi ≈ 6.28318530718",
    "1_000_000 * 1e3": "1_000_000 × 1e3 = 1000000000",
    "100!": "100! ≈ 9.33262154439e157",
    "1e-9": "1e-9 = 1e-9",
    "999999999999.96": "999999999999.96 ≈ 1e12",
    "0^0 + (-1)^1001 + 1^9999": "0^0 + (-1)^1001 + 1^9999 = 1",
    "(-1)^99999999999999999999": "(-1)^99999999999999999999 = -1",
}

REFUSED = {
    "": "usage: /calc",
    "1/0": "divided by 0",
    "1 mod 0": "divided by 0",
    "0^-1": "divided by 0",
    "2 +": "missing at the end",
    "(1": "a `)` is missing",
    "1 2": "`2` stands where",
    "* 2": "missing before `*`",
    "__import__('os')": "`_` has no meaning",
    "system(1)": "`system` is unknown",
    "sqrt": "a `(` is missing",
    "sqrt(1, 2)": "takes 1 value, not 2",
    "sqrt(-1)": "no root",
    "ans": "no `ans` yet",
    "2^0.3": "whole number or a half",
    "9^9^9": "too large",
    "9^-9^9": "too large",
    "1e999 ^ 9": "too large",
    "401!": "0 to 400",
    "2.5!": "0 to 400",
    "1+" * 128 + "11": "258 characters",
    "(" * 33 + "1" + ")" * 33: "32 levels",
    "2^" * 33 + "1": "32 levels",
    "1 ¤ 2": "`¤` has no meaning",
}


class Remembered(dict):
    """A room's state, and the answers of one sender."""

    def ask(self, text: str, sender: int = 1) -> str:
        return answer(text, sender, DIGITS, self.get, self.__setitem__)


class Calc(unittest.TestCase):
    def test_it_calculates(self):
        for text, expected in WORKS.items():
            with self.subTest(text):
                self.assertEqual(Remembered().ask(text), expected)

    def test_what_it_refuses_it_explains(self):
        for text, expected in REFUSED.items():
            with self.subTest(text), self.assertRaises(Refused) as raised:
                Remembered().ask(text)
            self.assertIn(expected, str(raised.exception))
            # The interface's bound on usage text.
            self.assertLessEqual(len(str(raised.exception).encode()), 1024)

    def test_ans_is_the_senders_own_last_result_and_exact(self):
        room = Remembered()
        room.ask("1/3")
        room.ask("7", sender=2)
        self.assertEqual(room.ask("ans * 3"), "ans × 3 = 1")
        self.assertEqual(room.ask("ans", sender=2), "ans = 7")

    def test_what_is_refused_leaves_ans_alone(self):
        room = Remembered()
        room.ask("6*7")
        with self.assertRaises(Refused):
            room.ask("1/0")
        self.assertEqual(room.ask("ans"), "ans = 42")

    def test_it_agrees_with_python_on_random_expressions(self):
        seed = random.randrange(2**32)
        dice = random.Random(seed)
        for _ in range(500):
            text = _expression(dice, 4)
            try:
                expected = eval(text, {"Fraction": Fraction})  # of our own making, not somebody's
            except ZeroDivisionError:
                continue
            if isinstance(expected, float):
                continue  # Python's // makes an int of fractions, and int / int is not exact.
            typed = text.replace("Fraction(", "").replace(",1)", "").replace("%", "mod")
            if len(typed) <= 256:
                self.assertEqual(evaluate(tokens(typed), None), expected, f"{typed} (seed {seed})")

    def test_what_is_remembered_fits_the_hosts_bound(self):
        room = Remembered()
        room.ask("2^4095 / 3^2583")
        self.assertLess(len(room["ans/1"]), 64 * 1024)


class Settings(unittest.TestCase):
    def test_defaults(self):
        self.assertEqual(digits_of("{}"), DIGITS)

    def test_a_wrong_one_is_named(self):
        cases = {'{"digit": 3}': "`digit` is unknown", '{"digits": 0}': "`digits` is 0", '{"digits": true}': "true"}
        for settings, expected in cases.items():
            with self.subTest(settings), self.assertRaises(Refused) as raised:
                digits_of(settings)
            self.assertIn(expected, str(raised.exception))


def _expression(dice: random.Random, depth: int) -> str:
    if depth == 0 or dice.random() < 0.2:
        return f"Fraction({dice.randrange(20)},1)"
    left, right = _expression(dice, depth - 1), _expression(dice, depth - 1)
    text = f"{left} {dice.choice(['+', '-', '*', '/', '//', '%'])} {right}"
    return f"({text})" if dice.random() < 0.5 else text


if __name__ == "__main__":
    unittest.main()
