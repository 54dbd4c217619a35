"""The dial plan of the simulated PBX, context by context.

- `extensions-dialplanid-<n>`: a phone's number rings it, a queue's leads there; 500 answers and
  plays until hung up; a number behind 0 goes out through route `<n>`.
- `dial_out_<n>`: any number goes out through the trunk.
- `incoming`: calls from a trunk.
- `pbxapi-…`: the contexts of this project's own dial plan, in click_to_call.py,
  call_into_context.py and spying.py.
- whatever `SimulatorOptions.contexts` names: answers and plays until hung up, or what its
  `passing` says.

Source of the applications and their data: lab dial plan behind the captures.
"""

import re
from collections.abc import Generator
from typing import Any, Final

from pbxapi.simulator import (
    call_into_context,
    causes,
    click_to_call,
    dial,
    local,
    queue_call,
    spying,
    subroutines,
)
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.extensions import Extension
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.queue_state import Queue
from pbxapi.simulator.scheduler import AsyncGoto, Script, Wait

#: Where to go on, or None where the call is over.
Location = tuple[str, str] | None
Steps = Generator[Wait, Any, Location]

INTERNAL: Final = "extensions-dialplanid-"
OUTBOUND: Final = "dial_out_"
MUSIC: Final = "500"
#: Seconds that an internal extension rings, and a number behind the trunk.
RING_S: Final = 30.0
OUTBOUND_RING_S: Final = 60.0
#: Seconds that a caller hears the busy tone.
BUSY_TONE_S: Final = 1.0
_OUTSIDE: Final = re.compile(r"0\d{9,}")
_NUMBER: Final = re.compile(r"\+?\d+")
#: The contexts of this project's own dial plan.
_OWN: Final = (
    subroutines.CONTEXTS | click_to_call.CONTEXTS | call_into_context.CONTEXTS | spying.CONTEXTS
)


class Contexts:
    """Finds and executes extensions."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def exists(self, context: str, exten: str) -> bool:
        """Whether a call may go there."""
        if context.startswith(INTERNAL):
            known = (
                exten == MUSIC
                or self._pbx.queues.at(exten) is not None
                or _OUTSIDE.fullmatch(exten) is not None
            )
            return known or bool(self._phones(context, exten))
        if context.startswith(OUTBOUND) or context == "incoming":
            return _NUMBER.fullmatch(exten) is not None
        if context in _OWN:
            return _OWN[context].matches.fullmatch(exten) is not None
        return exten in self._pbx.options.contexts.get(context, ())

    def run(self, channel: Channel, context: str, exten: str) -> Script:
        """Execute from there on, until the call is over."""
        location: Location = (context, exten)
        while location is not None:
            channel.context, channel.exten = location
            channel.priority = 1
            if not self.exists(*location):
                return
            location = yield from self._follow(self._steps(channel, *location))

    def walk(self, channel: Channel, steps: Steps) -> Script:
        """Take these steps first, and go on where they lead."""
        location = yield from self._follow(steps)
        if location is not None:
            yield from self.run(channel, *location)

    @staticmethod
    def _follow(steps: Steps) -> Steps:
        """Where steps lead, unless somebody sends the channel elsewhere meanwhile."""
        try:
            return (yield from steps)
        except AsyncGoto as goto:
            return goto.location

    # lists

    def contexts(self) -> list[str]:
        """Names of all contexts; of the administrator's, those that something leads to."""
        options = self._pbx.options
        internal = {d.context for d in self._pbx.devices.values() if not d.trunk}
        routes = {OUTBOUND + name.removeprefix(INTERNAL) for name in internal}
        return sorted({*internal, *routes, "incoming", *_OWN, *options.contexts})

    def extensions(self, context: str) -> list[Extension]:
        """How the extensions of a context begin; nothing where it does not exist."""
        if context in _OWN:
            return [_OWN[context].extension()]
        if context in self._pbx.options.contexts:
            first = "NoOp" if context in self._pbx.options.passing else "Answer"
            return [Extension(exten, first) for exten in self._pbx.options.contexts[context]]
        if context.startswith(OUTBOUND):
            number = f"CALLERID(num)={self._pbx.options.outbound_number}"
            return [Extension("_[0-9+].", "Set", number)]
        if context == "incoming":
            return [Extension("_X.", "NoOp", "in ${EXTEN} ${CALLERID(num)}")]
        if context not in self.contexts():
            return []
        devices = self._pbx.devices.values()
        numbers = sorted({d.number for d in devices if d.context == context and d.number})
        data = "linka ${EXTEN} from ${CALLERID(all)}"
        answering = sorted({MUSIC, *self._pbx.queues.extens()})
        return [
            *(Extension(exten, "Answer") for exten in answering),
            *(Extension(number, "NoOp", data) for number in numbers),
        ]

    def _steps(self, channel: Channel, context: str, exten: str) -> Steps:
        if context.startswith(INTERNAL):
            return self._internal(channel, context, exten)
        if context.startswith(OUTBOUND):
            return self._out(channel, exten)
        if context == "incoming":
            return self._incoming(channel, exten)
        if context in _OWN:
            return _OWN[context].run(self._pbx, channel)
        if context in self._pbx.options.passing:
            return self._pass(channel)
        return self._play(channel)

    def _internal(self, channel: Channel, context: str, exten: str) -> Steps:
        if (queue := self._pbx.queues.at(exten)) is not None:
            return self._queue(channel, queue)
        if exten == MUSIC:
            return self._play(channel)
        if self._phones(context, exten):
            return self._ring_phones(channel, exten)
        return self._goto(channel, OUTBOUND + context.removeprefix(INTERNAL), exten[1:])

    def _phones(self, context: str, exten: str) -> list[str]:
        technology = self._pbx.options.technology
        return [f"{technology}/{name}" for name in self._pbx.devices.at(context, exten)]

    def _app(self, channel: Channel, priority: int, application: str, data: str = "") -> None:
        channel.priority = priority
        self._pbx.run_application(channel, application, data)

    def _ring_phones(self, channel: Channel, exten: str) -> Steps:
        phones = self._phones(channel.context, exten)
        self._app(channel, 1, "NoOp", f"linka {exten} from {channel.caller_id()}")
        self._app(channel, 2, "Dial", f"{'&'.join(phones)},{RING_S:.0f},tT")
        status = yield from dial.dial(self._pbx, channel, phones, RING_S)
        if status == "ANSWER":
            return None
        self._app(channel, 3, "Goto", f"s-{status},1")
        channel.exten = f"s-{status}"
        if status == "BUSY":
            self._app(channel, 1, "Busy", "1")
            local.tone(self._pbx, channel, causes.BUSY)
            yield Wait(timeout_s=BUSY_TONE_S)
        else:
            unanswered = status == "NOANSWER"
            self._app(channel, 1, "Hangup", str(causes.NO_ANSWER) if unanswered else "")
            channel.cause = causes.NO_ANSWER if unanswered else channel.cause
        return None

    def _queue(self, channel: Channel, queue: Queue) -> Steps:
        self._app(channel, 1, "Answer")
        dial.answer_caller(self._pbx, channel)
        self._app(channel, 2, "Queue", f"{queue.name},tT,,,{queue.config.max_wait_s:.0f}")
        yield from queue_call.run(self._pbx, queue, channel)
        return None

    def _out(self, channel: Channel, exten: str) -> Steps:
        pbx = self._pbx
        if not channel.variables.get("PBXAPI_OVERRIDE_CID"):
            number = pbx.options.outbound_number
            self._app(channel, 1, "Set", f"CALLERID(num)={number}")
            pbx.set_caller(channel, number, channel.caller_name)
        trunk = next(iter(pbx.devices.trunks), "")
        target = f"SIP/{trunk}/{exten}" if pbx.chan_sip else f"PJSIP/{exten}@{trunk}"
        self._app(channel, 2, "Dial", f"{target},{OUTBOUND_RING_S:.0f},tT")
        status = yield from dial.dial(pbx, channel, [target], OUTBOUND_RING_S)
        if status != "ANSWER":
            self._app(channel, 3, "Hangup")
        return None

    def _incoming(self, channel: Channel, exten: str) -> Steps:
        self._app(channel, 1, "NoOp", f"in {exten} {channel.caller_num}")
        context = INTERNAL + "1"
        goal = self._pbx.options.dids.get(exten, exten)
        goal = goal if self.exists(context, goal) else MUSIC
        self._app(channel, 2, "Goto", f"{context},{goal},1")
        yield from ()  # it is a generator as all the others are
        return context, goal

    def _goto(self, channel: Channel, context: str, exten: str) -> Steps:
        self._app(channel, 1, "Goto", f"{context},{exten},1")
        yield from ()
        return context, exten

    def _pass(self, channel: Channel) -> Steps:
        status = channel.variables.get("DIALSTATUS", "")
        self._app(channel, 1, "NoOp", f"{status}-{channel.cause}")
        self._app(channel, 2, "Hangup")
        yield from ()
        return None

    def _play(self, channel: Channel) -> Steps:
        self._app(channel, 1, "Answer")
        dial.answer_caller(self._pbx, channel)
        self._app(channel, 2, "MusicOnHold", "default")
        channel.cause = causes.NORMAL
        yield Wait()
        return None
