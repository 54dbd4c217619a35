"""The one place that turns errors into what a client of the legacy API sees."""

import structlog

from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable
from pbxapi.faults import Fault

_log = structlog.get_logger()


def fault_of(error: Exception) -> Fault:
    """The numbered error for any exception."""
    match error:
        case Fault():
            return error
        case PbxUnavailable():
            return Fault(900)
        case PbxRefused():
            return Fault(904, message=str(error))
        case DatabaseUnavailable():
            return Fault(901)
        case _:
            return Fault(905)


def to_fault(error: Exception) -> Fault:
    """The same, logged; what nobody expected with its traceback."""
    match error:
        case Fault():
            pass
        case PbxUnavailable():
            _log.warning("request.pbx_unavailable", error=str(error))
        case PbxRefused():
            _log.warning("request.pbx_refused", error=str(error))
        case DatabaseUnavailable():
            _log.warning("request.database_unavailable", error=str(error))
        case _:
            _log.error("request.failed", exc_info=error)
    return fault_of(error)
