"""A request of aiohttp as PHP's `$_REQUEST`, and where it came from."""

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aiohttp import hdrs, web

from pbxapi.access.users import IpAddress, IpNetwork
from pbxapi.faults import Fault
from pbxapi.web.multipart import boundary_of, parse_multipart
from pbxapi.web.params import Pairs, Params, merge, parse_query, parse_urlencoded, read_query

#: A client sends its form at once; who takes longer has gone, or means no good.
BODY_TIMEOUT_S: Final = 10.0

#: Addresses that were understood before are remembered; they are the same few again and again.
MAX_ADDRESSES: Final = 4096

#: Where PHP's `sapi_read_post_data` ends the media type.
_MEDIA_TYPE_END: Final = re.compile("[;, ]")


async def read_params(request: web.BaseRequest) -> Params:
    """Parameters of the query string and, for POST, of the body, which wins.

    Raises:
        Fault: 902, the body is too long, broken, or does not come.
    """
    query = _raw_query(request)
    if request.method != hdrs.METH_POST:
        return read_query(query)
    return merge(parse_query(query), await _read_form(request))


def _raw_query(request: web.BaseRequest) -> bytes:
    """The bytes after the `?` as the client sent them; a fragment is not for servers."""
    target, _, _ = request.raw_path.partition("#")
    _, _, query = target.partition("?")
    return query.encode("utf-8", "surrogateescape")


async def _read_form(request: web.BaseRequest) -> Pairs:
    content_type = request.headers.get("Content-Type", "")
    media_type = _MEDIA_TYPE_END.split(content_type, 1)[0].lower()
    if media_type == "application/x-www-form-urlencoded":
        return parse_urlencoded(await _read_body(request))
    if media_type == "multipart/form-data":
        boundary = boundary_of(content_type.encode("utf-8", "surrogateescape"))
        return parse_multipart(await _read_body(request), boundary) if boundary else []
    return []


async def _read_body(request: web.BaseRequest) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except (web.HTTPRequestEntityTooLarge, web.RequestPayloadError, OSError) as error:
        # OSError: the time is up, or the connection is gone.
        raise Fault(902, name="body") from error


def client_address(request: web.BaseRequest, trusted: Sequence[IpNetwork]) -> IpAddress | None:
    """Address of the client; None where nobody can know it.

    `X-Forwarded-For` is read from the right, as far as the addresses are those of proxies that the
    operator trusts; who listens on a unix socket has put a proxy before it.
    """
    peer = parse_address(request.remote or "")
    if peer is not None and not is_in(peer, trusted):
        return peer
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    for text in reversed(forwarded.split(",")):
        hop = parse_address(text.strip())
        if hop is None:
            return peer
        peer = hop
        if not is_in(hop, trusted):
            return hop
    return peer


def own_address(remote: str, trusted: Sequence[IpNetwork]) -> IpAddress | None:
    """The same where only the connection tells; None where a proxy may have spoken for another."""
    peer = parse_address(remote)
    return None if peer is None or is_in(peer, trusted) else peer


@lru_cache(MAX_ADDRESSES)
def parse_address(text: str) -> IpAddress | None:
    """An address; an IPv4 one that came as IPv6 is what it is, None what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_in(address: IpAddress, networks: Sequence[IpNetwork]) -> bool:
    """Whether it is of one of these networks."""
    return any(address in network for network in networks)
