"""What agents do by themselves, at random: they pause, go on, leave their queues and come back."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pbxapi.simulator.moments import Moments
from pbxapi.simulator.queue_config import MemberConfig

if TYPE_CHECKING:
    from pbxapi.simulator.pbx import Pbx

_REASONS: Final = ("lunch", "oběd", "meeting", "")
#: Seconds until an agent goes on, or comes back.
_AWAY_S: Final = (10.0, 90.0)


class AgentLife:
    """Lets agents do things until it is stopped; most of them are at work at any time."""

    def __init__(self, pbx: "Pbx") -> None:
        self._pbx = pbx
        self._random = random.Random(pbx.options.seed + 3)  # noqa: S311 - repeatable on purpose
        self._moments = Moments(pbx, self._random, pbx.options.agent_life, self._happen)
        self._kinds: tuple[tuple[Callable[[str], None], int], ...] = (
            (self._pause, 60),
            (self._leave, 25),
            (self._change_penalty, 15),
        )

    def start(self) -> None:
        """Begin; harmless where nothing is to happen or there is no queue."""
        if self._pbx.options.queues:
            self._moments.start()

    def stop(self) -> None:
        """Let nothing more happen."""
        self._moments.stop()

    def _happen(self) -> None:
        queue = self._random.choice(list(self._pbx.queues.values()))
        if queue.members:
            interface = self._random.choice(list(queue.members))
            kinds, shares = zip(*self._kinds, strict=True)
            self._random.choices(kinds, shares)[0](interface)

    def _later(self, act: Callable[[], None]) -> None:
        self._pbx.scheduler.later(self._random.uniform(*_AWAY_S), act)

    def _pause(self, interface: str) -> None:
        self._set_paused(interface, self._random.choice(_REASONS), paused=True)
        self._later(lambda: self._set_paused(interface, "", paused=False))

    def _set_paused(self, interface: str, reason: str, *, paused: bool) -> None:
        queues = self._pbx.queues
        for queue, member in queues.of_interface(interface):
            queues.pause_member(queue, member, reason, paused=paused)

    def _leave(self, interface: str) -> None:
        """A dynamic member leaves all of its queues, unless it rings or talks; it joins later."""
        queues = self._pbx.queues
        found = [(q, m) for q, m in queues.of_interface(interface) if m.dynamic]
        if interface in queues.pending or any(m.in_call or not m.free for _, m in found):
            return
        for queue, member in found:
            config = MemberConfig(
                interface=interface,
                name=member.name,
                state_interface=member.state_interface,
                penalty=member.penalty,
            )
            queues.remove_member(queue, member)
            self._later(lambda name=queue.name, config=config: self._return(name, config))  # type: ignore[misc]  # mypy has no types for defaults of a lambda

    def _return(self, name: str, config: MemberConfig) -> None:
        queue = self._pbx.queues.get(name)
        if queue is not None:
            self._pbx.queues.add_member(queue, config)

    def _change_penalty(self, interface: str) -> None:
        queues = self._pbx.queues
        for queue, member in queues.of_interface(interface):
            queues.set_penalty(queue, member, self._random.randrange(3))
