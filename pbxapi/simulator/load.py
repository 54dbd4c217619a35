"""Random living traffic: calls from trunks, between phones and through Local channels.

Calls begin at random moments, `cps` a second on average, as long as there are fewer than twice
`calls` channels. They last so long on average that about `calls` are there at once, and some more
where callers wait in queues. Some reach a busy phone or one that nobody answers, some are
transferred. Where there are queues, most calls go to them.

By themselves calls take some times `calls / cps` seconds to become so many; with `ramp_s` so many
more begin at first that they are there after it.
"""

import random
from collections.abc import Callable
from typing import Final

from pbxapi.simulator import phones, transfers
from pbxapi.simulator.channels import Channel, State
from pbxapi.simulator.moments import Moments
from pbxapi.simulator.options import Behaviour, Device
from pbxapi.simulator.originate import OriginateRequest, Origination
from pbxapi.simulator.pbx import Pbx

#: Shares of the outcomes at the called phone.
_OUTCOMES: Final[dict[Behaviour, int]] = {
    Behaviour.ANSWERS: 80,
    Behaviour.BUSY: 8,
    Behaviour.RINGS: 8,
    Behaviour.REJECTS: 4,
}
#: Seconds that a called phone rings before it is answered.
_RING_S: Final = (0.5, 6.0)
#: Seconds after which a caller gives up whom nobody answers.
_PATIENCE_S: Final = (8.0, 28.0)
_MIN_TALK_S: Final = 1.0
#: Share of the calls to queues, where there are some, beside 100 of all others.
_QUEUE_SHARE: Final = 200
#: Mean of the seconds that a caller waits in a queue before he gives up.
_WAIT_S: Final = 60.0
#: Of the calls of a queue: those that the agent ends, and those that he hands on; of these, back.
_AGENT_ENDS: Final = 0.4
_HANDED_ON: Final = 0.08
_BACK_TO_QUEUE: Final = 0.5


class Traffic:
    """Begins calls until it is stopped."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._random = random.Random(pbx.options.seed + 1)  # noqa: S311 - repeatable on purpose
        options = pbx.options
        self._moments = Moments(pbx, self._random, options.cps, self._arrive)
        # Of the calls that begin meanwhile, `cps` a second, half are over at the end of the ramp.
        ramp = options.calls / options.ramp_s - options.cps / 2 if options.ramp_s else 0.0
        self._ramp = Moments(pbx, self._random, ramp, self._arrive)
        self._kinds: tuple[tuple[Callable[[float], None], int], ...] = (
            (self._incoming, 35),
            (self._internal, 35),
            (self._outbound, 10),
            (self._through_local, 10),
            (self._transferred, 10),
            (self._to_queue, _QUEUE_SHARE if pbx.options.queues else 0),
        )

    def start(self) -> None:
        """Begin with the first call; harmless without a target number of calls."""
        options = self._pbx.options
        if options.calls > 0:
            self._moments.start()
            self._ramp.start()
            self._later(options.ramp_s, self._ramp.stop)

    def stop(self) -> None:
        """Begin no more calls."""
        self._moments.stop()
        self._ramp.stop()

    def _arrive(self) -> None:
        options = self._pbx.options
        if len(self._pbx.channels) < 2 * options.calls:
            mean_s = options.calls / options.cps
            talk_s = max(_MIN_TALK_S, self._random.expovariate(1 / mean_s))
            kinds, shares = zip(*self._kinds, strict=True)
            self._random.choices(kinds, shares)[0](talk_s)

    def _phone(self) -> Device:
        return self._pbx.devices[self._random.choice(self._pbx.devices.phones)]

    def _trunk(self) -> Device:
        return self._pbx.devices[self._random.choice(self._pbx.devices.trunks)]

    def _number(self) -> str:
        return f"420{self._random.randrange(601_000_000, 778_999_999)}"

    def _call(self, source: Device, exten: str, talk_s: float, number: str = "") -> Channel:
        """One call from a phone or trunk, with a chosen outcome."""
        channel = phones.dial_in(self._pbx, source, exten, number=number, talk_s=talk_s)
        self._choose_outcome(channel)
        script = self._pbx.dialplan.run(channel, source.context, exten)
        self._pbx.run_thread(channel, script, dialplan=True)
        self._later(self._random.uniform(*_PATIENCE_S), lambda: self._give_up(channel))
        return channel

    def _choose_outcome(self, channel: Channel) -> None:
        mood = Device(
            name="",
            behaviour=self._random.choices(tuple(_OUTCOMES), tuple(_OUTCOMES.values()))[0],
            answer_after_s=self._random.uniform(*_RING_S),
        )
        self._pbx.moods[channel.linkedid] = lambda: mood

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._pbx.scheduler.later(delay_s, act)

    def _give_up(self, channel: Channel) -> None:
        if channel.state is not State.UP:
            self._pbx.request_hangup(channel)

    def _incoming(self, talk_s: float) -> None:
        did = self._random.choice([self._phone().number, *self._pbx.options.dids])
        channel = self._call(self._trunk(), did, talk_s, self._number())
        self._later(talk_s + _RING_S[1], lambda: self._pbx.request_hangup(channel))

    def _to_queue(self, talk_s: float) -> None:
        """A call from outside to a queue; each agent that rings for it decides anew."""
        exten = self._random.choice(self._extens())
        trunk = self._trunk()
        agent_ends = self._random.random() < _AGENT_ENDS
        channel = phones.dial_in(
            self._pbx, trunk, exten, number=self._number(), talk_s=None if agent_ends else talk_s
        )
        self._pbx.moods[channel.linkedid] = lambda: self._agent(talk_s if agent_ends else None)
        script = self._pbx.dialplan.run(channel, trunk.context, exten)
        self._pbx.run_thread(channel, script, dialplan=True)
        self._later(self._random.expovariate(1 / _WAIT_S), lambda: self._lose_patience(channel))
        if self._random.random() < _HANDED_ON:
            moment = self._random.uniform(*_PATIENCE_S)
            self._later(moment, lambda: self._hand_on(channel))

    def _extens(self) -> list[str]:
        return list(self._pbx.queues.extens())

    def _agent(self, talk_s: float | None) -> Device:
        return Device(
            name="",
            behaviour=self._random.choices(tuple(_OUTCOMES), tuple(_OUTCOMES.values()))[0],
            answer_after_s=self._random.uniform(*_RING_S),
            talk_s=talk_s,
        )

    def _lose_patience(self, channel: Channel) -> None:
        if channel.bridge is None:
            self._pbx.request_hangup(channel)

    def _hand_on(self, channel: Channel) -> None:
        """The agent sends the caller to another phone, or back into a queue."""
        agent, goal = transfers.partner(channel), self._phone()
        if agent is None or agent.device is None:
            return
        to_queue = self._random.random() < _BACK_TO_QUEUE
        exten = self._random.choice(self._extens()) if to_queue else goal.number
        transfers.blind(self._pbx, agent, goal.context, exten)

    def _internal(self, talk_s: float) -> None:
        self._call(self._phone(), self._phone().number, talk_s)

    def _outbound(self, talk_s: float) -> None:
        self._call(self._phone(), f"0{self._number()}", talk_s)

    def _through_local(self, talk_s: float) -> None:
        """Two phones called by Originate through a Local channel, which is optimised away."""
        first, second = self._phone(), self._phone()
        request = OriginateRequest(
            channel=f"Local/{first.number}@{first.context}",
            context=second.context,
            exten=second.number,
        )
        Origination(self._pbx, request, lambda _: None, respond=True).start()
        newest = list(self._pbx.channels.values())[-2:]
        linkedid = newest[0].linkedid if newest else ""
        self._later(talk_s + _RING_S[1], lambda: self._end_all(linkedid))

    def _end_all(self, linkedid: str) -> None:
        for channel in tuple(self._pbx.channels.values()):
            if channel.linkedid == linkedid and channel.device is not None:
                self._pbx.request_hangup(channel)

    def _transferred(self, talk_s: float) -> None:
        """A call between phones that the called one hands over after a while."""
        channel = self._call(self._phone(), self._phone().number, talk_s + _RING_S[1])
        goal, attended = self._phone(), self._random.choice((True, False))
        moment = _RING_S[1] + talk_s / 2
        self._later(moment, lambda: self._hand_over(channel, goal, attended=attended))

    def _hand_over(self, channel: Channel, goal: Device, *, attended: bool) -> None:
        transferer = transfers.partner(channel)
        if transferer is None or transferer.device is None:
            return
        if not attended:
            transfers.blind(self._pbx, transferer, goal.context, goal.number)
            return
        transfers.consult(self._pbx, transferer, goal.context, goal.number)
        moment = self._random.uniform(_MIN_TALK_S, _PATIENCE_S[0])
        self._later(moment, lambda: self._pbx.request_hangup(transferer))
