"""Which outbound registration is a trunk's own.

Neither driver says so outright: a `register =>` of chan_sip names a host and a user, a registration
of PJSIP an endpoint only where calls come in by it (`line`). So the plainest sign counts first:

1. pjsip.conf names the endpoint;
2. the registration is called like the trunk (`upc`, `upc-registration`, `upc-reg-0` of
   pjsip_wizard), or chan_sip registers at the peer by its name;
3. it registers at a host of the trunk as a user of the trunk;
4. it registers at a host of the trunk, and no other trunk has that host.

Where several trunks fit, nobody's is better than somebody else's; and a trunk whose own is known by
a plainer sign is not given another by a weaker one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pbxapi.cache.peers.peer import Key, Peer, Registration

#: What pjsip_wizard and people append to the name of the trunk.
_SUFFIXES: Final = ("", "-reg", "-reg-0", "-registration", "_reg", "_registration")
_REGISTERED: Final = "Registered"


def registration_states(
    registrations: Iterable[Registration], trunks: Mapping[Key, Peer]
) -> dict[Key, str]:
    """State of the own outbound registration of each trunk that has one.

    A trunk with several shows the first that is not Registered.
    """
    found: dict[Key, list[tuple[int, str]]] = defaultdict(list)
    for registration in registrations:
        sign = _sign(registration, trunks)
        if sign is not None:
            key, strength = sign
            found[key].append((strength, registration.state))
    return {key: _worst(signs) for key, signs in found.items()}


def _worst(signs: Sequence[tuple[int, str]]) -> str:
    plainest = min(strength for strength, _ in signs)
    own = [state for strength, state in signs if strength == plainest]
    return next((state for state in own if state != _REGISTERED), _REGISTERED)


def _sign(registration: Registration, trunks: Mapping[Key, Peer]) -> tuple[Key, int] | None:
    """Whose it is, and by which of the signs: the lower, the plainer."""
    if registration.endpoint:
        key = Key(registration.technology, registration.endpoint)
        return (key, 1) if key in trunks else None
    for name in _names(registration):
        key = Key(registration.technology, name)
        if key in trunks:
            return key, 2
    near = [key for key, peer in trunks.items() if _is_at(registration, key, peer)]
    known = [key for key in near if _users(registration) & set(trunks[key].users)]
    if len(known) == 1:
        return known[0], 3
    return (near[0], 4) if len(near) == 1 else None


def _names(registration: Registration) -> list[str]:
    """Names of the trunk that it may be called after."""
    if not registration.name:
        return [registration.host]  # register => user:secret@peer
    return [
        registration.name.removesuffix(suffix)
        for suffix in _SUFFIXES
        if registration.name.endswith(suffix)
    ]


def _is_at(registration: Registration, key: Key, peer: Peer) -> bool:
    if key.technology != registration.technology or not registration.host:
        return False
    hosts = (*peer.hosts, *(contact.host for contact in peer.contacts))
    return registration.host.lower() in {host.lower() for host in hosts}


def _users(registration: Registration) -> set[str]:
    return {registration.user, registration.auth} - {""}
