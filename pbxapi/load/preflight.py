"""Asks the daemon, before the run, whether the user may do what the mix has; changes nothing.

The order of the API's checks tells (contract, section 3): a request without an action gets as far
as 120 only with the right password, one without required parameters only with the permission.
"""

from collections.abc import Iterable
from typing import Final

from pbxapi.errors import UsageError
from pbxapi.load.answers import errno_of
from pbxapi.load.connection import Connection
from pbxapi.load.tally import TIMEOUT
from pbxapi.load.target import Target

_NOT_ALLOWED: Final = "100"
_INCOMPLETE: Final = "120"
_LOCKED_OUT: Final = "903"


async def preflight(
    target: Target, connection: Connection, username: str, password: str, actions: Iterable[str]
) -> None:
    """Ask once without an action, and once for each action without its parameters.

    Raises:
        UsageError: nobody answers there, it is not the API, or the user may not.
    """
    credentials = {"username": username, "password": password}
    answer = await connection.ask(target.request(credentials))
    errno = errno_of(answer.body)
    if errno == _NOT_ALLOWED:
        raise UsageError(
            f"user {username} is unknown there, has another password, or may not come from here"
        )
    if errno == _LOCKED_OUT:
        raise UsageError(f"user {username}, or this address, is locked out for a while")
    if errno != _INCOMPLETE:
        raise UsageError(_explain(target, answer.failure))
    for action in actions:
        answer = await connection.ask(target.request({**credentials, "action": action}))
        if errno_of(answer.body) == _NOT_ALLOWED:
            raise UsageError(f"user {username} may not {action}")


def _explain(target: Target, failure: str) -> str:
    reasons = {
        "": f"{target} lets everybody do everything: that is not pbxapi",
        "refused": f"nobody listens on {target}",
        "http 404": f"{target} has nothing at {target.path}",
        TIMEOUT: f"{target} does not answer",
    }
    return reasons.get(failure, f"{target} does not answer as pbxapi does: {failure}")
