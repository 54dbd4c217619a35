"""`originate`: rings a line and, once somebody answers, calls a number from there."""

from pbxapi.actions.calling import (
    GRACE_S,
    OPTIONS,
    begin_call,
    caller_id,
    dial_string,
    options,
    override,
)
from pbxapi.actions.checks import CHECK_ERRORS, CHECKS, passing, wanted_checks
from pbxapi.actions.choice import ORIGINATE_SOURCE, choose_line
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.actions.values import number, ring_seconds


@action(
    "originate",
    permission="originate",
    required=("dstNum", ORIGINATE_SOURCE.selectors),
    optional=(
        *ORIGINATE_SOURCE.dialplans,
        *OPTIONS,
        *CHECKS,
        "dialerCid",
        "dialerName",
        "overrideCallerId",
        "srcRingTimeout",
        "dstRingTimeout",
    ),
    errors=(*ORIGINATE_SOURCE.errors, *CHECK_ERRORS, 904),
)
async def originate(ports: Ports, params: Parameters) -> Result:
    """Ring all accounts of the line at once; answer as soon as Asterisk has accepted the call.

    Where the request has checks, only accounts that pass them ring.
    """
    line = await choose_line(ORIGINATE_SOURCE, params, ports.lines)
    line = passing(ports, line, wanted_checks(params))
    src_ring_s = ring_seconds(params, "srcRingTimeout", ports.ring_timeout_s)
    dst_ring_s = ring_seconds(params, "dstRingTimeout", ports.ring_timeout_s)
    values = {
        "ACCOUNTS": dial_string(line),
        "DST": number(params, "dstNum"),
        "DIALPLAN": str(line.dialplan_id),
        "OUTROUTE": "" if line.outroute_id is None else str(line.outroute_id),
        **caller_id(params, "dialerCid", "dialerName"),
        **override(params),
        "SRC_TIMEOUT": str(src_ring_s),
        "DST_TIMEOUT": str(dst_ring_s),
        **options(ports, params, may_record=line.recording),
    }
    channel = f"Local/{line.internal_num}@pbxapi-originate/n"
    call_id = await begin_call(ports, channel, "pbxapi-originated", values, src_ring_s + GRACE_S)
    return Result(call_id=call_id)
