"""TLS by the daemon itself: one context, whose certificate can be changed while it is in use."""

import ssl
import time
from typing import Final, cast

import structlog

from pbxapi.errors import UsageError

#: Slow telephones' networks included; who says nothing would occupy a file descriptor for ever.
HANDSHAKE_TIMEOUT_S: Final = 10.0
#: X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h: we look at the time ourselves.
_WITHOUT_TIME: Final = 0x200000

_log = structlog.get_logger()


class _TellingObject(ssl.SSLObject):
    """Tells of a handshake that comes to nothing: asyncio ends the connection without a word."""

    def do_handshake(self) -> None:
        """As that of SSLObject."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            _log.info("http.no_handshake", error=error.reason)
            raise


class Tls:
    """The certificate of the HTTP listener.

    Args:
        certificate: Path of a PEM file with the certificate and those that lead to its root.
        key: Path of a PEM file with its private key, without a passphrase.

    Attributes:
        context: For the listener; connections that come after a `load` see the new certificate.

    Raises:
        UsageError: they cannot be used. One that is out of time can: there is no other yet, and
            clients that do not look at it go on.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self.context = _context()
        self._load(self.context)
        if why := self._out_of_time(self.context):
            _log.warning("http.certificate_refused", error=why)
        self.context.sslobject_class = _TellingObject

    def load(self) -> None:
        """Read the files again; if they cannot be used, the old certificate stays.

        Raises:
            UsageError: they cannot be used, or clients would refuse the certificate for its time.
        """
        # The context takes a certificate before it looks at the key: try on another one first.
        trial = _context()
        self._load(trial)
        if why := self._out_of_time(trial):
            raise UsageError(why)
        self._load(self.context)

    def _out_of_time(self, context: ssl.SSLContext) -> str:
        """Why clients that look at the time refuse the certificate; "" where they do not."""
        try:
            begin, end = validity(context, self._certificate)
        except OSError:
            return ""  # it has other faults (ssl.SSLError), which some clients do not mind
        now = time.time()
        if begin <= now < end:
            return ""
        fault = "has expired" if now >= end else "is not valid yet"
        return f"http.tls_certificate {self._certificate} {fault}"

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        except ssl.SSLError as error:
            why = " (the key is of another certificate)" if _is_mismatch(error) else ""
            need = "both have to be PEM, the key without a passphrase"
            raise UsageError(f"{self._named} cannot be used{why}: {need}") from error
        except OSError as error:
            raise UsageError(f"{self._named} cannot be read: {error.strerror}") from error

    @property
    def _named(self) -> str:
        # No path stands before a colon: after `….key:` the log would look for the secret.
        return f"http.tls_certificate {self._certificate} and http.tls_key {self._key}"


def make_tls(certificate: str, key: str) -> Tls | None:
    """What the configuration asks for; None where it asks for no TLS.

    Raises:
        UsageError: one is given without the other, or they cannot be used.
    """
    if bool(certificate) != bool(key):
        raise UsageError("http.tls_certificate and http.tls_key: give both, or none")
    return Tls(certificate, key) if certificate else None


def validity(server: ssl.SSLContext, certificate: str) -> tuple[float, float]:
    """First and last second of the certificate, as a client sees them who trusts it.

    A handshake in memory, since `ssl` tells these of nothing but a certificate that was shown and
    verified.

    Args:
        server: What has loaded it.
        certificate: Path of its file.

    Raises:
        ssl.SSLError: no client would be content with it, whomever he trusts.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.load_verify_locations(certificate)
    flags = trusting.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | _WITHOUT_TIME
    trusting.verify_flags = ssl.VerifyFlags(flags)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there)
    for side in (client, server.wrap_bio(there, back, server_side=True), client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue  # it is the other one's turn
    shown = cast("dict[str, str]", client.getpeercert())
    return ssl.cert_time_to_seconds(shown["notBefore"]), ssl.cert_time_to_seconds(shown["notAfter"])


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_mismatch(error: ssl.SSLError) -> bool:
    return "MISMATCH" in (error.reason or "")
