"""Errors as clients see them, and as the log tells of them."""

import pytest
from structlog.testing import capture_logs

from pbxapi import errors, faults
from pbxapi.errors import (
    DatabaseUnavailable,
    PbxapiError,
    PbxRefused,
    PbxUnavailable,
    UsageError,
)
from pbxapi.faults import Fault
from pbxapi.web.envelope import to_fault


@pytest.mark.parametrize(
    ("error", "code", "reason", "event"),
    [
        (PbxUnavailable("gone"), 900, "PBX is not available", "request.pbx_unavailable"),
        (
            DatabaseUnavailable("gone"),
            901,
            "Database is not available",
            "request.database_unavailable",
        ),
        (
            PbxRefused("No such channel {x}"),
            904,
            "PBX refused the request: No such channel {x}",
            "request.pbx_refused",
        ),
    ],
)
def test_a_part_that_fails_has_its_code_and_a_warning(
    error: Exception, code: int, reason: str, event: str
) -> None:
    with capture_logs() as logs:
        fault = to_fault(error)
    assert (fault.code, fault.reason) == (code, reason)
    assert logs == [{"event": event, "log_level": "warning", "error": str(error)}]


def test_a_fault_is_passed_on_and_is_nothing_to_tell() -> None:
    given = Fault(902, name="dstNum")
    with capture_logs() as logs:
        assert to_fault(given) is given
    assert logs == []


@pytest.mark.parametrize(
    "error",
    [RuntimeError("secret detail"), KeyError("x"), UsageError("x"), TimeoutError(), PbxapiError()],
)
def test_what_nobody_expected_is_905_and_a_traceback_in_the_log(error: Exception) -> None:
    with capture_logs() as logs:
        fault = to_fault(error)
    assert (fault.code, fault.reason) == (905, "Internal error")
    assert logs == [{"event": "request.failed", "log_level": "error", "exc_info": error}]


def test_every_error_that_a_request_can_raise_on_purpose_has_a_code_of_its_own() -> None:
    """A new class of error needs a line in the envelope."""
    ours = [
        value
        for module in (errors, faults)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, PbxapiError)
    ]
    made = [Fault(100) if cls is Fault else cls("x") for cls in ours]
    with capture_logs():
        bugs = {type(error) for error in made if to_fault(error).code == 905}
    assert bugs == {PbxapiError, UsageError}
