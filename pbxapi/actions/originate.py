"""`originate`: rings a line and, once somebody answers, calls a number from there.

The dial plan does the work (dialplan/pbxapi.conf); here a request becomes the variables that it
reads. Values of the request travel percent-encoded, so to Asterisk they are never syntax.
"""

import secrets
from typing import Final

from pbxapi.actions.choice import ORIGINATE_SOURCE, choose_line
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.actions.values import number, ring_seconds
from pbxapi.ami.requests import Request, variables
from pbxapi.ami.session import ANSWER_DEADLINE_S
from pbxapi.directory.lines import Line

DEFAULT_CID: Final = "000"
DEFAULT_NAME: Final = "Dialer"
#: No telephone shows more, and percent-encoded it fits a line of AMI whatever its letters.
MAX_NAME_CHARACTERS: Final = 80
#: Asterisk gives up on the whole attempt this long after the telephones should have stopped.
ORIGINATE_GRACE_S: Final = 10


@action(
    "originate",
    permission="originate",
    required=("dstNum", ORIGINATE_SOURCE.selectors),
    optional=(
        "dialplanName",
        "dialPlanName",
        "dialerCid",
        "dialerName",
        "overrideCallerId",
        "srcRingTimeout",
        "dstRingTimeout",
    ),
)
async def originate(ports: Ports, params: Parameters) -> Result:
    """Ring all accounts of the line at once; answer as soon as Asterisk has accepted the call."""
    line = await choose_line(ORIGINATE_SOURCE, params, ports.lines)
    destination = number(params, "dstNum")
    override = number(params, "overrideCallerId")
    cid = number(params, "dialerCid", DEFAULT_CID)
    name = params.get("dialerName") or (cid if "dialerCid" in params else DEFAULT_NAME)
    src_ring_s = ring_seconds(params, "srcRingTimeout", ports.ring_timeout_s)
    dst_ring_s = ring_seconds(params, "dstRingTimeout", ports.ring_timeout_s)
    call_id = f"pbxapi-{secrets.token_hex(16)}"
    values = {
        "__PBXAPI_ACCOUNTS": dial_string(line),
        "__PBXAPI_DST": destination,
        "__PBXAPI_DIALPLAN": str(line.dialplan_id),
        "__PBXAPI_OUTROUTE": "" if line.outroute_id is None else str(line.outroute_id),
        "__PBXAPI_CID_NUM": cid,
        "__PBXAPI_CID_NAME": name[:MAX_NAME_CHARACTERS],
        "__PBXAPI_SRC_TIMEOUT": str(src_ring_s),
        "__PBXAPI_DST_TIMEOUT": str(dst_ring_s),
        # What Asterisk reads after we have told the client that it failed must not ring any more.
        "__PBXAPI_NOT_AFTER": str(int(ports.pbx.asterisk_time() + ANSWER_DEADLINE_S) + 1),
    }
    if override:
        values["__PBXAPI_OVERRIDE_CID"] = override
    timeout_ms = (src_ring_s + ORIGINATE_GRACE_S) * 1000
    await ports.pbx.request(
        Request(
            "Originate",
            (
                ("Channel", f"Local/{line.internal_num}@pbxapi-originate/n"),
                ("Context", "pbxapi-originated"),
                ("Exten", "s"),
                ("Priority", "1"),
                ("Timeout", str(timeout_ms)),
                ("Async", "true"),
                ("ChannelId", call_id),
                ("OtherChannelId", f"{call_id}-2"),
                *variables(values.items()),
            ),
        )
    )
    return Result(call_id=call_id)


def dial_string(line: Line) -> str:
    """The accounts of a line, as the dial plan takes them: "SIP/anna&PJSIP/anna-mobile"."""
    return "&".join(f"{account.technology}/{account.sip_username}" for account in line.accounts)
