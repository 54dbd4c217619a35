"""What is asked, and how often each: `listcalls=8,queuestatus=2` and the parameters of each.

The mix is kept exactly: of each ten requests eight are listcalls, in an order that is drawn once. A
parameter that is given several times goes through its values: the first request of the action has
the first one, the next the second.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from pbxapi.actions import ACTIONS, Parameters

#: Of any one action.
MAX_SHARE: Final = 1_000
#: The same order in every run.
_SEED: Final = 1
_CREDENTIALS: Final = frozenset({"username", "password", "action"})
#: What an action that only reads is asked with where nothing is given: the demo has this queue.
_DEFAULTS: Final = {("queuestatus", "queueName"): ("support",)}

#: Values of one parameter, by action and name.
Values = Mapping[tuple[str, str], Sequence[str]]


class BadMix(ValueError):
    """The mix, or a parameter of it, cannot be sent; the text says what to give instead."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request as it is sent."""

    action: str
    request: bytes


def parse_mix(text: str) -> dict[str, int]:
    """Shares by action; an action without a number counts once.

    Raises:
        BadMix: it names no action, one twice, or one that there is not.
    """
    shares: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = item.partition("=")
        if name not in ACTIONS:
            raise BadMix(f"there is no action {name!r} (of {', '.join(sorted(ACTIONS))})")
        if name in shares:
            raise BadMix(f"{name} is there twice")
        shares[name] = _share(name, number) if equals else 1
    if not shares:
        raise BadMix("no action is named")
    return shares


def _share(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SHARE):
        raise BadMix(f"the share of {name} must be a whole number from 1 to {MAX_SHARE}")
    return int(text)


def parse_parameter(text: str) -> tuple[str, str, str]:
    """Action, name and value of `ACTION.NAME=VALUE`.

    Raises:
        BadMix: it is something else, or the action reads no such parameter.
    """
    where, equals, value = text.partition("=")
    action, dot, name = where.partition(".")
    if not (equals and dot and value):
        raise BadMix(f"must be ACTION.NAME=VALUE: {text!r}")
    if action not in ACTIONS:
        raise BadMix(f"there is no action {action!r}")
    if name in _CREDENTIALS:
        raise BadMix(f"{name} is not given as a parameter")
    if name not in ACTIONS[action].parameters:
        known = ", ".join(sorted(ACTIONS[action].parameters)) or "none"
        raise BadMix(f"{action} has no parameter {name!r} (of {known})")
    return action, name, value


@dataclass(frozen=True, slots=True)
class Mix:
    """What is asked.

    Attributes:
        shares: How often, by action.
        forms: The parameters that each action is asked with in turn, credentials left out.
    """

    shares: Mapping[str, int]
    forms: Mapping[str, Sequence[Parameters]]

    def questions(self, encode: Callable[[Parameters], bytes]) -> Iterator[Question]:
        """The requests of a run, one after the other, without end; `encode` makes their bytes."""
        rounds = {
            action: cycle([Question(action, encode({"action": action, **form})) for form in forms])
            for action, forms in self.forms.items()
        }
        return (next(rounds[action]) for action in cycle(_order(self.shares)))


def make_mix(shares: Mapping[str, int], values: Values) -> Mix:
    """A mix that can be sent.

    Raises:
        BadMix: an action lacks a parameter, or there are values for one that is not in the mix.
    """
    for action, _ in values:
        if action not in shares:
            raise BadMix(f"there is a parameter for {action}, which the mix does not have")
    return Mix(shares, {action: _forms(action, values) for action in shares})


def _forms(action: str, values: Values) -> list[Parameters]:
    own = {name: given for (of, name), given in (_DEFAULTS | dict(values)).items() if of == action}
    for need in ACTIONS[action].required:
        names = (need,) if isinstance(need, str) else need
        if not any(name in own for name in names):
            raise BadMix(f"{action} needs --param {action}.{'|'.join(names)}=VALUE")
    count = max((len(given) for given in own.values()), default=1)
    return [
        {name: given[number % len(given)] for name, given in own.items()} for number in range(count)
    ]


def _order(shares: Mapping[str, int]) -> list[str]:
    """One round of the mix; drawn, so that no two clients ask for the same all the time."""
    divisor = math.gcd(*shares.values())
    order = [action for action, share in shares.items() for _ in range(share // divisor)]
    random.Random(_SEED).shuffle(order)  # noqa: S311 - repeatable on purpose
    return order
