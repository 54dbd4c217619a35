"""TLS by the daemon itself: one context, whose certificate can be changed while it is in use."""

import ssl
from typing import Final

from pbxapi.errors import UsageError

#: Slow telephones' networks included; who says nothing would occupy a file descriptor for ever.
HANDSHAKE_TIMEOUT_S: Final = 10.0


class Tls:
    """The certificate of the HTTP listener.

    Args:
        certificate: Path of a PEM file with the certificate and those that lead to its root.
        key: Path of a PEM file with its private key, without a passphrase.

    Attributes:
        context: For the listener; connections that come after a `load` see the new certificate.

    Raises:
        UsageError: they cannot be used.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self.context = _context()
        self.load()

    def load(self) -> None:
        """Read the files again; if they cannot be used, the old certificate stays.

        Raises:
            UsageError: they cannot be used.
        """
        # The context takes a certificate before it looks at the key: try on another one first.
        self._load(_context())
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password=lambda: b"")
        except ssl.SSLError as error:
            why = "the key is of another certificate" if _is_mismatch(error) else "not usable"
            raise UsageError(
                f"http.tls_certificate {self._certificate}, http.tls_key {self._key}: {why}"
                " (both have to be PEM, the key without a passphrase)"
            ) from error
        except OSError as error:
            raise UsageError(
                f"http.tls_certificate {self._certificate}, http.tls_key {self._key}:"
                f" cannot be read: {error.strerror}"
            ) from error


def make_tls(certificate: str, key: str) -> Tls | None:
    """What the configuration asks for; None where it asks for no TLS.

    Raises:
        UsageError: one is given without the other, or they cannot be used.
    """
    if bool(certificate) != bool(key):
        raise UsageError("http.tls_certificate and http.tls_key: give both, or none")
    return Tls(certificate, key) if certificate else None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_mismatch(error: ssl.SSLError) -> bool:
    return "MISMATCH" in (error.reason or "")
