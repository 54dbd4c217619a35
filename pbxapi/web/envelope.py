"""The one place that turns errors into what a client of the legacy API sees."""

import structlog

from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable
from pbxapi.faults import Fault

_log = structlog.get_logger()


def to_fault(error: Exception) -> Fault:
    """The numbered error for any exception; what nobody expected is logged with its traceback."""
    match error:
        case Fault():
            return error
        case PbxUnavailable():
            _log.warning("request.pbx_unavailable", error=str(error))
            return Fault(900)
        case PbxRefused():
            _log.warning("request.pbx_refused", error=str(error))
            return Fault(904, message=str(error))
        case DatabaseUnavailable():
            _log.warning("request.database_unavailable", error=str(error))
            return Fault(901)
        case _:
            _log.error("request.failed", exc_info=error)
            return Fault(905)
