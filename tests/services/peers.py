"""What Asterisk itself says of its peers at the command line: the truth beside `sipstatus`."""

import json
import re
from typing import NamedTuple

from pbxapi.ami.requests import Request
from pbxapi.ami.session import connect
from pbxapi.errors import PbxUnavailable
from tests.services.asterisk import Asterisk
from tests.services.lines import Technology


class PeerTruth(NamedTuple):
    """A peer in the words of `sipstatus`; of PJSIP in those that its commands mean."""

    host: str
    port: str
    status: str
    useragent: str
    regcontact: str


_NOWHERE = ("(Unspecified)", "0")
_PJSIP_WORDS = {"Unavail": "UNREACHABLE", "NonQual": "UNKNOWN", "Unknown": "UNKNOWN"}
_PJSIP_STATUS = r"Contact:\s+\S+\s+{}\s+(?P<status>\w+)\s+(?P<ms>\S+)"
_REGISTRAR = re.compile(r"(?m)^/registrar/contact/(?P<aor>\S+);@(?P<hash>\w+)\s*: (?P<json>{.*})")
#: As much of a contact's hash as `pjsip show contacts` shows.
_HASH_LENGTH = 10


async def peer_truth(
    asterisk: Asterisk, username: str, technology: Technology | None = None
) -> PeerTruth:
    """`sip show peer`, or the one contact of PJSIP's registrar and what it is known to do.

    Where nobody is registered PJSIP knows neither user agent nor contact any more: they are "".
    """
    if (technology or asterisk.technology) == "SIP":
        return _of_chan_sip(await asterisk.aio.cli(f"sip show peer {username}"))
    # The list of contacts cuts a long address off, so the database tells that.
    database = _REGISTRAR.finditer(await asterisk.aio.cli("database show registrar"))
    mine = [found for found in database if found["aor"] == username]
    if not mine:
        return PeerTruth(*_NOWHERE, "UNKNOWN", "", "")
    (found,) = mine
    contact = json.loads(found["json"])
    shown = await asterisk.aio.cli("pjsip show contacts")
    status = re.search(_PJSIP_STATUS.format(found["hash"][:_HASH_LENGTH]), shown)
    where = re.match(r"sip:[^@]*@([^:;]*):(\d+)", contact["uri"])
    assert where is not None, contact
    return PeerTruth(
        host=where[1],
        port=where[2],
        status=_status(status["status"], status["ms"]) if status else "gone this moment",
        useragent=contact["user_agent"],
        regcontact=_as_registered(contact["uri"]),
    )


async def device_state(asterisk: Asterisk, username: str) -> str:
    """The dial plan's DEVICE_STATE, such as "INUSE", from a session of the oracle."""
    session = await connect(asterisk.ami_host, asterisk.ami_port, (), lambda _event: None)
    try:
        await session.log_in(asterisk.oracle_username, asterisk.oracle_secret)
        device = f"DEVICE_STATE({asterisk.technology}/{username})"
        return (await session.request(Request("Getvar", (("Variable", device),)))).get("Value")
    finally:
        session.close(PbxUnavailable("the oracle has answered"))


def _status(word: str, ms: str) -> str:
    return f"OK ({max(1, int(float(ms)))} ms)" if word == "Avail" else _PJSIP_WORDS[word]


def _as_registered(uri: str) -> str:
    given = re.match(r"(sip:[^@]*@).*;x-ast-orig-host=(\S+)", uri)
    return given[1] + given[2] if given else uri


def _of_chan_sip(text: str) -> PeerTruth:
    def value(name: str) -> str:
        found = re.search(rf"(?m)^\s*{re.escape(name)}\s*: ?(.*)$", text)
        assert found is not None, text
        return found[1].strip()

    host, _, port = value("Addr->IP").rpartition(":")
    where = (host, port) if host else _NOWHERE
    return PeerTruth(*where, value("Status"), value("Useragent"), value("Reg. Contact"))
