"""What the actions that begin a call have in common: caller id, options, the Originate itself.

The dial plan does the work (dialplan/pbxapi.conf); here a request becomes the variables that it
reads. Values of the request travel percent-encoded, so to Asterisk they are never syntax; those of
custom CDR fields do not travel by AMI at all, only the card by which the dial plan fetches them.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Final

from pbxapi.actions.ports import Ports
from pbxapi.actions.recording import recording
from pbxapi.actions.values import number
from pbxapi.ami.requests import Request, variables
from pbxapi.ami.session import ANSWER_DEADLINE_S
from pbxapi.directory.lines import Line
from pbxapi.faults import Fault

#: Asterisk cuts `"name" <number>` at 79 bytes for the CDR, and where that splits a letter
#: PostgreSQL refuses the row (cdr.c, set_one_cid(); cdr_pgsql.c). No telephone shows more.
MAX_CLID_BYTES: Final = 79
MAX_CID_BYTES: Final = 40
#: Asterisk gives up on the whole attempt this long after the telephones should have stopped.
GRACE_S: Final = 10
CUSTOM_FIELDS: Final = ("customCDR1", "customCDR2", "customCDR3", "customCDR4")
#: Parameters read by `options`.
OPTIONS: Final = (*CUSTOM_FIELDS, "monitorFilename", "monitorPath", "monitorType", "macro")

_MACRO: Final = re.compile(r"[A-Za-z0-9_-]{1,70}")

#: Variables of the dial plan, without their common beginning, and their values.
Values = dict[str, str]


def caller_id(
    params: Mapping[str, str],
    cid: str,
    name: str = "",
    default: tuple[str, str] = ("000", "Dialer"),
) -> Values:
    """What the telephone that rings shows; the number stands for a missing name.

    Args:
        params: Parameters of the request.
        cid: The parameter with the number; `customCDR1` to `4` mean the value of that field.
        name: The parameter with the name, if the action has one.
        default: Number and name where neither is given.

    Raises:
        Fault: 902 for a number that is none.
    """
    given = params.get(cid)
    if given in CUSTOM_FIELDS:
        shown = params.get(given, default[0])
        given = params.get(given)
    else:
        shown = number(params, cid, default[0])
    title = params.get(name) or (default[1] if given is None else shown)
    shown = _cut(shown, MAX_CID_BYTES)
    rest = MAX_CLID_BYTES - len(f'"" <{shown}>'.encode())
    return {"CID_NUM": shown, "CID_NAME": _cut(title, rest)}


def _cut(text: str, n_bytes: int) -> str:
    """As many whole characters as fit into so many bytes."""
    return text.encode()[:n_bytes].decode("utf-8", "ignore")


def override(params: Mapping[str, str]) -> Values:
    """The number that the destination sees instead of the caller's own.

    Raises:
        Fault: 902 for a number that is none.
    """
    shown = number(params, "overrideCallerId")
    return {"OVERRIDE_CID": shown} if shown else {}


def options(ports: Ports, params: Mapping[str, str], *, may_record: bool) -> Values:
    """Custom CDR fields, recording, macro.

    Raises:
        Fault: 902 for what could be syntax or leaves the record roots.
    """
    values: Values = {}
    recorded = recording(params, ports.record_roots, f"{secrets.token_hex(8)}.wav")
    if recorded is not None and may_record:
        values["RECORD"] = recorded.path
        if recorded.monitor:
            values["MONITOR"] = "1"
    if "macro" in params:
        if not _MACRO.fullmatch(params["macro"]):
            raise Fault(902, name="macro")
        values["MACRO"] = params["macro"]
    fields = {name: params[name] for name in CUSTOM_FIELDS if name in params}
    if fields:
        values |= {"CARD": ports.cards.issue(fields), "AGI": ports.agi_address}
    return values


async def begin_call(
    ports: Ports,
    channel: str,
    context: str,
    values: Mapping[str, str],
    timeout_s: int,
) -> str:
    """Let Asterisk begin the call; returns its Linkedid once Asterisk has accepted it.

    Args:
        ports: Asterisk.
        channel: The Local channel whose second half rings whom the call is for.
        context: Where its first half waits.
        values: Variables for both.
        timeout_s: When Asterisk gives up the whole attempt: after the telephones have stopped.

    Raises:
        PbxRefused, PbxUnavailable: there is no call, nor will there be one later.
    """
    call_id = f"pbxapi-{secrets.token_hex(16)}"
    # What Asterisk reads after we have told the client that it failed must not ring any more.
    not_after = ports.pbx.asterisk_time() + ANSWER_DEADLINE_S
    named = {f"__PBXAPI_{name}": value for name, value in values.items()}
    headers = (
        ("Channel", channel),
        ("Context", context),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Timeout", str(timeout_s * 1000)),
        ("Async", "true"),
        ("ChannelId", call_id),
        ("OtherChannelId", f"{call_id}-2"),
        *variables((named | {"__PBXAPI_NOT_AFTER": f"{not_after:.3f}"}).items()),
    )
    await ports.pbx.request(Request("Originate", headers))
    return call_id


def dial_string(line: Line) -> str:
    """The accounts of a line, as the dial plan takes them: "SIP/anna&PJSIP/anna-mobile"."""
    return "&".join(f"{account.technology}/{account.sip_username}" for account in line.accounts)
