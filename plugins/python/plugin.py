"""The component: `calc` as the host calls it. What it does is in `calculator`."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.plugin import Command, Manifest
from wit_world.imports import state, types

from calculator import ANSWER_TTL_MS, answer, digits_of
from tokens import Refused

VERSION = "1.0.0"


class Plugin(exports.Plugin):
    digits = 0

    def describe(self) -> Manifest:
        command = Command("calc", "EXPRESSION", "Calculates, e.g. /calc 15% of 240; `ans` is your last result here")
        return Manifest("calc", VERSION, [command], priority=0, batch=0)

    def start(self, settings: str) -> None:
        try:
            Plugin.digits = digits_of(settings)
        except Refused as refused:
            raise Err(str(refused)) from refused


class Commands(exports.Commands):
    def run(self, name: str, arguments: str, by: types.Message) -> list[types.Effect]:
        try:
            text = answer(arguments, by.sender, Plugin.digits, _get, _put)
        except Refused as refused:
            raise Err(str(refused)) from refused
        return [types.Effect_Say(text)]


def _get(key: str) -> bytes | None:
    # 0: a command is called for one message, not for a batch.
    return state.get(0, key)


def _put(key: str, value: bytes) -> None:
    # Where the room is full of what is remembered (an Err), the result still counts; only `ans` stays what it was.
    try:
        state.put(0, key, value, ANSWER_TTL_MS)
    except Err:
        pass
