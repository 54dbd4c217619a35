"""What a dial plan is to the PBX that executes it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pbxapi.simulator.channels import Channel
from pbxapi.simulator.scheduler import Script


class Extension(NamedTuple):
    """The beginning of one extension: its priority 1."""

    exten: str
    application: str
    data: str = ""


class Dialplan(Protocol):
    """What the PBX executes on a channel."""

    def exists(self, context: str, exten: str) -> bool:
        """Whether a call may go there."""

    def run(self, channel: Channel, context: str, exten: str) -> Script:
        """The thread that executes it, from there on."""

    def walk(self, channel: Channel, steps: Script) -> Script:
        """The thread that takes these steps, and goes on where they lead."""

    def extensions(self, context: str) -> Sequence[Extension]:
        """What a context consists of; nothing where it does not exist."""

    def contexts(self) -> Sequence[str]:
        """Names of all contexts."""
