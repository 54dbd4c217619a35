"""`moverecord`: moves and renames the recording of a call."""

import structlog

from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.directory.lines import as_id
from pbxapi.errors import PbxapiError
from pbxapi.faults import Fault
from pbxapi.recordings.journal import CallRecord
from pbxapi.recordings.plan import plan_move

_log = structlog.get_logger()


@action(
    "moverecord",
    permission="moverecord",
    required=("cdrId", ("filename", "path")),
    errors=(800, 801, 810, 811, 812),
)
async def moverecord(ports: Ports, params: Parameters) -> Result:
    """Give the recording another name, another folder, or both; the call records follow it."""
    record = await _record(ports, params["cdrId"])
    plan = plan_move(
        ports.record_roots, record.recording, params.get("filename"), params.get("path")
    )
    log = _log.bind(
        cdr=record.id,
        source=plan.source.path,
        target=plan.target.path,
        client=ports.client.username,
        address=ports.client.address,
    )
    try:
        rows = await ports.recordings.move(record, plan)
    except PbxapiError as error:
        log.warning("recording.not_moved", error=str(error), cause=str(error.__cause__ or ""))
        raise
    log.info("recording.moved", call_records=rows)
    return Result()


async def _record(ports: Ports, cdr_id: str) -> CallRecord:
    """The call record, which has a recording."""
    if not (cdr_id.isascii() and cdr_id.isdigit()):
        raise Fault(902, name="cdrId")
    number = as_id(cdr_id)
    record = None if number is None else await ports.recordings.call_record(number)
    if record is None:
        raise Fault(800)
    if not record.recording:
        raise Fault(801)
    return record
