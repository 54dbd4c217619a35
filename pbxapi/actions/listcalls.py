"""`listcalls`: the calls that are going on, from the cache alone."""

from pbxapi.actions.ageing import AgeingRows
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.cache.channels.calls import Leg


@action("listcalls", permission="listcalls", reads_only=True)
async def listcalls(ports: Ports, _params: Parameters) -> Result:
    """One row for each leg of a call, oldest channel first."""
    listing = ports.legs()
    rows = AgeingRows(listing.rows, listing.now, row, "duration")
    return Result({"total": str(len(listing.rows)), "results": rows})


def row(leg: Leg) -> dict[str, str]:
    """A leg as the answer has it."""
    return {
        "channelName": leg.channel,
        "context": leg.context,
        "src": leg.src,
        "dst": leg.dst,
        "duration": str(leg.duration_s),
        "status": leg.status,
        "accountCode": leg.account_code,
        "sourceType": leg.source_type,
        "idChannel": leg.owner_id,
    }
