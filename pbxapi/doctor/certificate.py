"""TLS by the daemon itself: whether its files can be used, and for how long."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from typing import Final

from pbxapi.doctor.finding import Finding, fail, ok, warn
from pbxapi.doctor.patient import Patient
from pbxapi.errors import UsageError
from pbxapi.web.tls import make_tls, validity

#: Who renews them does so weeks before.
_SOON_DAYS: Final = 14
_DAY_S: Final = 86400


async def look(patient: Patient) -> AsyncIterator[Finding]:
    """The certificate and its key; nothing where the daemon has none."""
    http = patient.config.http
    if http.tls_certificate or http.tls_key:
        yield await asyncio.to_thread(usable, http.tls_certificate, http.tls_key, time.time())


def usable(certificate: str, key: str, now: float) -> Finding:
    """How they are at an instant, given in seconds of the epoch."""
    for path in filter(None, (certificate, key)):
        try:
            with open(path, "rb"):  # noqa: PTH123 - a str in, a str out
                pass
        except OSError as error:
            return fail(
                f"{path} cannot be read: {error.strerror}",
                "let the daemon's user read it; run this check as that user",
            )
    try:
        tls = make_tls(certificate, key)
        assert tls is not None  # noqa: S101 - one of them at least is given
        begin, end = validity(tls.context, certificate)
    except UsageError as error:
        return fail(str(error), "change [http] tls_certificate and tls_key")
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", None) or error.reason
        return fail(f"clients refuse {certificate}: {why}", "get another certificate")
    return _in_time(certificate, begin - now, end - now)


def _in_time(certificate: str, begins_in_s: float, ends_in_s: float) -> Finding:
    days = int(ends_in_s // _DAY_S)
    renew = "renew it, then `systemctl reload pbxapi`"
    if begins_in_s > 0:
        return fail(
            f"{certificate} is not valid yet", "see whether the clock of this host is right"
        )
    if ends_in_s <= 0:
        return fail(f"{certificate} has expired", renew)
    if days < _SOON_DAYS:
        return warn(f"{certificate} expires in {days} days", renew)
    return ok(f"{certificate} fits its key and is valid for {days} days")
