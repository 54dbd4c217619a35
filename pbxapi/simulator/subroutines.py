"""What the contexts of this project's own dial plan have in common: its subroutines.

Variables come percent-encoded, since a value must never become dial plan text; `variable` decodes.
Only the applications that somebody could look for in the events are told of, not every Set of the
dial plan. Source: dialplan/pbxapi.conf, the contexts behind "the subroutines".
"""

import re
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from pbxapi import dialplan
from pbxapi.simulator import causes, dial, fastagi, local, phones, recording
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.extensions import Extension
from pbxapi.simulator.options import Device
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import Signal, Wait

#: Where the dial plan goes on, or None where it ends.
Steps = Generator[Wait, Any, tuple[str, str] | None]

#: Where the originate leaves a timeout out.
RING_S: Final = 30.0
#: Seconds that a call waits for its custom CDR fields: TIMEOUT(absolute) in pbxapi-fields.
FIELDS_TIMEOUT_S: Final = 0.25
#: What is dialled; a channel's name has no room for more.
NUMBER: Final = re.compile(r"[0-9+*#]{1,40}")
#: Names the fields that came, "1&3&3_2" for PBXAPI_CDR1 and so on.
_FIELDS: Final = "PBXAPI_CDR"


class OwnContext(NamedTuple):
    """One context of the dial plan.

    Attributes:
        matches: Extensions that it has.
        run: What happens at any of them.
        pattern, first: How `dialplan show` would begin.
    """

    matches: re.Pattern[str]
    run: Callable[[Pbx, Channel], Steps]
    pattern: str
    first: tuple[str, str]

    def extension(self) -> Extension:
        """Its only extension, as a list shows it."""
        return Extension(self.pattern, *self.first)


def numbers(run: Callable[[Pbx, Channel], Steps], *first: str) -> OwnContext:
    """A context of telephone numbers."""
    return OwnContext(re.compile(r"[0-9+*#]+"), run, "_[0-9+*#]!", (first[0], first[1]))


def start(run: Callable[[Pbx, Channel], Steps], *first: str) -> OwnContext:
    """A context with the extension `s` alone."""
    return OwnContext(re.compile("s"), run, "s", (first[0], first[1]))


# reading and stepping


def variable(channel: Channel, name: str) -> str:
    """`${URIDECODE(${name})}`."""
    return unquote(channel.variables.get(name, ""), errors="surrogateescape")


def keep(text: str, characters: str) -> str:
    """`${FILTER(characters,text)}`."""
    return re.sub(f"[^{characters}]", "", text)


def seconds(channel: Channel, name: str) -> float:
    """A time that something rings."""
    text = channel.variables.get(name, "")
    return float(text) if text.isascii() and text.isdigit() else RING_S


def no_cdr(pbx: Pbx, channel: Channel) -> None:
    """`Set(CDR_PROP(disable)=1)`: what follows makes no record."""
    pbx.run_application(channel, "Set", "CDR_PROP(disable)=1")
    pbx.records.disable(channel)


def hang_up(pbx: Pbx, channel: Channel, cause: int = causes.NORMAL) -> None:
    """Hangup; the thread has to end with it."""
    pbx.run_application(channel, "Hangup", str(cause) if cause != causes.NORMAL else "")
    channel.cause = cause


def tone(pbx: Pbx, channel: Channel, application: str, for_s: int) -> Steps:
    """Busy or Congestion, heard for so long."""
    pbx.run_application(channel, application, str(for_s))
    local.tone(pbx, channel, causes.BUSY if application == "Busy" else causes.CONGESTION)
    yield Wait(timeout_s=for_s)
    return None


def nothing_more() -> Steps:
    """The end of a context that never waits."""
    yield from ()
    return None


# subroutines, by the names of their contexts


def is_late(pbx: Pbx, channel: Channel) -> bool:
    """pbxapi-in-time: whether the Originate was read too late; then it is hung up."""
    limit = keep(channel.variables.get("PBXAPI_NOT_AFTER", ""), "0-9.")
    if not limit or pbx.clock.time() <= float(limit):
        return False
    no_cdr(pbx, channel)
    hang_up(pbx, channel, causes.TIMER_EXPIRED)
    return True


def show_dialer(pbx: Pbx, channel: Channel) -> None:
    """What the telephone that rings shows."""
    number, name = variable(channel, "PBXAPI_CID_NUM"), variable(channel, "PBXAPI_CID_NAME")
    pbx.run_application(channel, "Set", f"CALLERID(num)={number}")
    pbx.set_caller(channel, number, name)


def accounts(pbx: Pbx, channel: Channel) -> list[str]:
    """pbxapi-accounts: the dial strings that can be tried; PJSIP has some only for contacts."""
    wanted = (a for a in variable(channel, "PBXAPI_ACCOUNTS").split("&") if a)
    found = ((account, pbx.devices.behind(account)) for account in wanted)
    return [a for a, device in found if device is not None and _has_contact(pbx, device)]


def _has_contact(pbx: Pbx, device: Device) -> bool:
    return pbx.chan_sip or phones.is_reachable(pbx, device)


def fetch_fields(pbx: Pbx, channel: Channel) -> Generator[Wait, Any, None]:
    """pbxapi-fields: another channel asks pbxapi, this one waits for it and never for long."""
    if not channel.variables.get("PBXAPI_CARD"):
        return
    no_cdr(pbx, channel)
    asking = f"Local/{channel.uniqueid}@pbxapi-card/n"
    pbx.run_application(channel, "Dial", f"{asking},1,I")
    yield from dial.ring_all(pbx, channel, [asking], FIELDS_TIMEOUT_S)
    pbx.run_application(channel, "Set", "CDR_PROP(disable)=0")
    pbx.records.disable(channel, disable=False)
    keys = keep(channel.shared.get(_FIELDS, ""), "0-9_&")
    pbx.set_variable(channel, f"__{_FIELDS}", keys)
    for key in filter(None, keys.split("&")):
        value = channel.shared.get(_FIELDS + key, "")
        pbx.set_variable(channel, f"__{_FIELDS}{key}", value)
    set_fields(pbx, channel)


def fetch_fields_again(pbx: Pbx, channel: Channel) -> Generator[Wait, Any, None]:
    """pbxapi-fields-again: the fields on the CDR, fetched if they did not come the first time."""
    if channel.variables.get(_FIELDS):
        set_fields(pbx, channel)
    else:
        yield from fetch_fields(pbx, channel)


def _ask(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-card: the channel that asks; its extension is the Uniqueid of the one that waits."""
    no_cdr(pbx, channel)
    pbx.set_variable(channel, "AGIEXITONHANGUP", "yes")
    address = variable(channel, "PBXAPI_AGI")
    card = keep(channel.variables.get("PBXAPI_CARD", ""), "0-9a-f")
    yield from fastagi.run(pbx, channel, f"agi://{address}/cdr", card, channel.exten)
    hang_up(pbx, channel)
    return None


def set_fields(pbx: Pbx, channel: Channel) -> None:
    """pbxapi-cdr: the custom fields on the channel's CDR."""
    for key in filter(None, channel.variables.get(_FIELDS, "").split("&")):
        pbx.records.set_field(channel, f"customCDR{key}", variable(channel, _FIELDS + key))


def record(pbx: Pbx, channel: Channel, options: str = "") -> None:
    """pbxapi-record: by MixMonitor, for there is no sox here for Monitor; "b": while bridged."""
    path = variable(channel, "PBXAPI_RECORD")
    if path:
        pbx.records.set_field(channel, "recordingfile", path)
        recording.start(pbx, channel, path, options)


def macro(pbx: Pbx, channel: Channel) -> str:
    """pbxapi-macro: the context that runs on what is dialled, or ""."""
    name = keep(variable(channel, "PBXAPI_MACRO"), r"A-Za-z0-9_\-")
    context = f"macro-{name}"
    return context if name and pbx.dialplan.exists(context, "s") else ""


def before(context: str) -> str:
    """The option of Dial for it."""
    return f"b({context}^s^1)" if context else ""


def unanswered(pbx: Pbx, channel: Channel, status: str) -> Steps:
    """pbxapi-unanswered: the cause reaches `;1`, and with it OriginateResponse."""
    no_cdr(pbx, channel)
    if status == "BUSY":
        return (yield from tone(pbx, channel, "Busy", 1))
    cause = causes.NO_ANSWER if status == "NOANSWER" else channel.cause
    hang_up(pbx, channel, cause or causes.ABSENT)
    return None


def let_walk(
    pbx: Pbx, channel: Channel, peer: Channel, location: tuple[str, str], steps: Steps
) -> Steps:
    """Option G of Dial: the peer goes on by itself, the dialling half answers and ends."""
    channel.context, channel.exten = peer.context, peer.exten = location
    channel.priority, peer.priority = 1, 2
    channel.dialled = peer.dialled = False
    pbx.run_thread(peer, pbx.dialplan.walk(peer, steps), dialplan=True)
    pbx.run_application(channel, "Goto", "pbxapi-answered,s,1")
    return (yield from answered(pbx, channel))


def answered(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-answered: `;1` is answered, and `;2` has nothing more to do."""
    no_cdr(pbx, channel)
    pbx.run_application(channel, "Answer")
    dial.answer_caller(pbx, channel)
    queue_is_empty = Signal()
    queue_is_empty.fire()
    yield Wait(queue_is_empty)  # `;1` runs its first priority before it learns that this has ended
    hang_up(pbx, channel)
    return None


def name_cause(pbx: Pbx, channel: Channel, status: str) -> Generator[Wait, Any, None]:
    """pbxapi-why: HANGUPCAUSE, which cannot be set, becomes that of a channel dialled for it."""
    cause = {"BUSY": causes.BUSY, "NOANSWER": causes.NO_ANSWER}.get(status, channel.cause)
    if cause in {0, causes.NORMAL}:
        cause = causes.CONGESTION if status == "CONGESTION" else causes.NO_ROUTE
    pbx.set_variable(channel, "PBXAPI_CAUSE", str(cause))
    if cause == channel.cause:
        return
    no_cdr(pbx, channel)
    speaking = f"Local/{cause}@pbxapi-cause/n"
    pbx.run_application(channel, "Dial", f"{speaking},1")
    yield from dial.ring_all(pbx, channel, [speaking], 1)
    pbx.run_application(channel, "Set", "CDR_PROP(disable)=0")
    pbx.records.disable(channel, disable=False)
    pbx.set_variable(channel, "DIALSTATUS", status)


def _end_with_cause(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-cause: the extension is the cause."""
    no_cdr(pbx, channel)
    hang_up(pbx, channel, int(channel.exten))
    return nothing_more()


def _end_at_once(pbx: Pbx, channel: Channel) -> Steps:
    """pbxapi-file, which nobody calls."""
    hang_up(pbx, channel)
    return nothing_more()


#: The contexts here that are entered by channels of their own.
CONTEXTS: Final = {
    dialplan.MARKED: OwnContext(
        re.compile(dialplan.MARK), _end_at_once, dialplan.MARK, ("Hangup", "")
    ),
    "pbxapi-card": OwnContext(
        re.compile(r"[0-9a-z]{2}.+"),
        _ask,
        "_[0-9a-z][0-9a-z].",
        ("Set", "CDR_PROP(disable)=1"),
    ),
    "pbxapi-cause": OwnContext(
        re.compile(r"[0-9]{1,3}"), _end_with_cause, "_X!", ("Set", "CDR_PROP(disable)=1")
    ),
}
