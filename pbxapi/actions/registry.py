"""What an action is, and the table of them all.

An action is declared once, by the decorator on its handler: name, permission, parameters. The order
of checks, the documentation and the tests are driven by this table. A handler gets the ports it may
use and validated-by-name parameters, and returns plain data; it knows neither HTTP nor JSON.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pbxapi.actions.ports import Ports

#: Parameters of one request by name: only those that are present, none of them empty.
Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What an action answers.

    Attributes:
        data: What stands beside `"success":"true"`, in this order.
        call_id: Linkedid of the call that was begun, for clients that want to follow it.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""


Handler = Callable[[Ports, Parameters], Coroutine[Any, Any, Result]]

#: Codes that every action may answer: before its own checks, or for want of what it needs.
SHARED_ERRORS: Final = (100, 110, 120, 900, 901, 902, 903, 905)


@dataclass(frozen=True)
class Action:
    """One operation of the API.

    Attributes:
        permission: What an API user must be allowed.
        required: Parameters that must be there; of a group at least one.
        optional: Parameters that may be there; all others are ignored.
        errors: Codes that it may answer besides `SHARED_ERRORS`, in the order of its checks.
        reads_only: It changes nothing in the world, so it is not worth a line in the log.
    """

    name: str
    permission: str
    required: tuple[str | tuple[str, ...], ...]
    optional: tuple[str, ...]
    errors: tuple[int, ...]
    reads_only: bool
    handler: Handler

    def is_complete(self, params: Parameters) -> bool:
        """Whether all required parameters are there."""
        return all(
            need in params if isinstance(need, str) else any(name in params for name in need)
            for need in self.required
        )

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Names of all parameters that the action reads."""
        names: set[str] = set(self.optional)
        for need in self.required:
            names.update((need,) if isinstance(need, str) else need)
        return frozenset(names)


ACTIONS: dict[str, Action] = {}


def action(
    name: str,
    *,
    permission: str,
    required: tuple[str | tuple[str, ...], ...] = (),
    optional: tuple[str, ...] = (),
    errors: tuple[int, ...] = (),
    reads_only: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare the handler of an action.

    Raises:
        ValueError: at import, for a name that is declared twice.
    """

    def declare(handler: Handler) -> Handler:
        if name in ACTIONS:
            raise ValueError(f"action {name} is declared twice")
        ACTIONS[name] = Action(name, permission, required, optional, errors, reads_only, handler)
        return handler

    return declare
