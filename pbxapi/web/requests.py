"""A request of aiohttp as PHP's `$_REQUEST`, and where it came from."""

import ipaddress
from collections.abc import Sequence

from aiohttp import BodyPartReader, web

from pbxapi.access.users import IpAddress, IpNetwork
from pbxapi.web.params import Pairs, Params, merge, parse_query, parse_urlencoded


async def read_params(request: web.Request) -> Params:
    """Parameters of the query string and, for POST, of the body, which wins."""
    return merge(parse_query(_raw_query(request)), await _read_body(request))


def _raw_query(request: web.Request) -> bytes:
    """The bytes after the `?` as the client sent them, whatever their encoding."""
    _, _, query = request.raw_path.partition("?")
    return query.encode("utf-8", "surrogateescape")


async def _read_body(request: web.Request) -> Pairs:
    if request.method != "POST":
        return []
    if request.content_type == "application/x-www-form-urlencoded":
        return parse_urlencoded(await request.read())
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request)
    return []


async def _read_multipart(request: web.Request) -> Pairs:
    """Fields of a form; uploaded files are none. A body that is no multipart has no fields."""
    pairs: Pairs = []
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                continue  # multipart within multipart: PHP does not read it either
            value = bytes(await part.read(decode=True))
            if part.name is not None and part.filename is None:
                pairs.append((part.name.encode("utf-8", "surrogateescape"), value))
    except ValueError:
        return pairs
    return pairs


def client_address(request: web.Request, trusted: Sequence[IpNetwork]) -> IpAddress | None:
    """Address of the client; None where nobody can know it.

    `X-Forwarded-For` is read from the right, as far as the addresses are those of proxies that the
    operator trusts; who listens on a unix socket has put a proxy before it.
    """
    peer = _address(request.remote or "")
    if peer is not None and not _is_in(peer, trusted):
        return peer
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    for text in reversed(forwarded.split(",")):
        hop = _address(text.strip())
        if hop is None:
            return peer
        peer = hop
        if not _is_in(hop, trusted):
            return hop
    return peer


def _address(text: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_in(address: IpAddress, networks: Sequence[IpNetwork]) -> bool:
    return any(address in network for network in networks)
