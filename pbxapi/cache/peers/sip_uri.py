"""SIP URIs as they stand in contacts, and addresses as addresses.

Two texts can mean one address: `::ffff:192.0.2.7` is `192.0.2.7`, `[2001:DB8::1]` is `2001:db8::1`.
Source of the grammar: RFC 3261, 25.1.
"""

import ipaddress
import re
from typing import Final, NamedTuple

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_URI: Final = re.compile(
    r"sips?:(?:(?P<user>[^@<>\s]*)@)?(?P<host>\[[^\]\s]*\]|[^:;?<>,\s]*)(?::(?P<port>\d{1,5}))?",
    re.IGNORECASE,
)
#: Where `rewrite_contact` has put the address that a registration came from, res_pjsip_nat.c keeps
#: the one that the telephone gave in this parameter.
_ORIGINAL: Final = re.compile(r";x-ast-orig-host=(?P<host>[^;?<>\s]*):(?P<port>\d{1,5})")


class SipUri(NamedTuple):
    """Where a URI leads; `host` without brackets, `user` and `port` "" where it has none."""

    user: str
    host: str
    port: str


def parse(text: str) -> SipUri | None:
    """The first URI in a Contact, with or without a name and angle brackets before it."""
    found = _URI.search(text)
    if found is None or not found["host"]:
        return None
    return SipUri(found["user"] or "", found["host"].strip("[]"), found["port"] or "")


def as_registered(text: str) -> str:
    """A contact as the telephone gave it, before Asterisk rewrote its address."""
    original, uri = _ORIGINAL.search(text), _URI.search(text)
    if original is None or uri is None:
        return text
    host = original["host"]
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    port = "" if int(original["port"]) == 0 else f":{original['port']}"
    rest = text[uri.end() : original.start()] + text[original.end() :]
    return f"{text[: uri.start('host')]}{host}{port}{rest}"


def is_rewritten(text: str) -> bool:
    """Whether Asterisk has put the address that the registration came from into this contact."""
    return _ORIGINAL.search(text) is not None


def split_host_port(text: str) -> tuple[str, str]:
    """Host and port of `192.0.2.7:5060` or `[2001:db8::1]:5060`; without a port that is ""."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    if text.count(":") > 1:  # an IPv6 address and nothing else
        return text, ""
    host, _, port = text.partition(":")
    return host, port


def as_ip(text: str) -> IpAddress | None:
    """The address that a text means; None where it is a name or nothing."""
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
