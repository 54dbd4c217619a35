"""A world for contract cases: ports in the state of a case, and what they were told."""

import ipaddress
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from pbxapi.access.users import PERMISSIONS, ApiUser, IpAddress
from pbxapi.actions.ports import Ports
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, encode
from pbxapi.cache.channels.calls import Owner
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.channels.view import CallList, Listing
from pbxapi.cache.instant import Instant
from pbxapi.cache.peers.pjsip import PjsipPicture
from pbxapi.cache.peers.store import Listed, PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.cache.queues.store import QueueStore
from pbxapi.cache.queues.view import QueueBoard
from pbxapi.directory.account import Account
from pbxapi.directory.devices import Device
from pbxapi.directory.lines import Line, Outroute
from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable
from pbxapi.faults import Fault
from pbxapi.recordings.journal import CallRecord
from pbxapi.recordings.plan import Plan
from tests.agents.asterisk import Asterisk
from tests.contract.call_centre import Agents, make_call_centre, make_members

NOW = 1_000_000.0
CONTEXTS = {"pospojeni", "nevyzvednuto"}
RECORDING = "/var/spool/asterisk/monitor/hovor.wav"


def _line(
    number: int, internal: str, dialplan: int, *accounts: tuple[str, str], **more: Any
) -> Line:
    return Line(
        id=number,
        dialplan_id=dialplan,
        dialplan_name={1: "prvni", 2: "druhy"}[dialplan],
        internal_num=internal,
        public_num=more.get("public"),
        name=f"Linka {internal}",
        outroute_id=more.get("outroute"),
        recording=more.get("recording", False),
        accounts=tuple(
            Account(id=number * 10 + i, sip_username=name, technology=technology)  # type: ignore[arg-type]  # out of a JSON file
            for i, (technology, name) in enumerate(accounts)
        ),
    )


LINES = (
    _line(5, "100", 1, ("SIP", "sip100"), ("PJSIP", "sip100b"), public="299299000", outroute=3),
    _line(6, "200", 1, ("SIP", "sip200"), recording=True),
    _line(7, "200", 2, ("SIP", "sip200druhy")),
    _line(9, "300", 1),
)


class FakeLines:
    """The directory's lines, from a table."""

    def __init__(self, *, down: bool = False) -> None:
        self._down = down

    def _find(self, **wanted: Any) -> tuple[Line, ...]:
        if self._down:
            raise DatabaseUnavailable("it is down")
        return tuple(
            line
            for line in LINES
            if all(value is None or getattr(line, name) == value for name, value in wanted.items())
        )

    async def by_public_num(self, number: str, /) -> tuple[Line, ...]:
        return self._find(public_num=number)

    async def by_internal_num(self, number: str, dialplan_id: int | None, /) -> tuple[Line, ...]:
        return self._find(internal_num=number, dialplan_id=dialplan_id)

    async def by_id(self, identifier: str, /) -> tuple[Line, ...]:
        return self._find(id=int(identifier)) if identifier.isdigit() else ()

    async def by_sip_username(self, name: str, /) -> tuple[Line, ...]:
        lines = self._find()
        return tuple(line for line in lines if name in {a.sip_username for a in line.accounts})

    async def dialplan_id(self, name: str, /) -> int | None:
        self._find()
        return {"prvni": 1, "druhy": 2}.get(name)

    async def outroute_by_name(self, name: str, /) -> Outroute | None:
        self._find()
        return Outroute(id=3, name=name) if name == "odchozi" else None

    async def outroute_by_id(self, identifier: str, /) -> Outroute | None:
        self._find()
        return Outroute(id=3, name="odchozi") if identifier == "3" else None


class FakeDevices:
    """The directory's accounts and trunks, from a table."""

    def __init__(self, *devices: Device, down: bool = False) -> None:
        self._devices = devices
        self._down = down

    def everybody(self) -> tuple[Sequence[Device], Sequence[Device]]:
        if self._down:
            raise DatabaseUnavailable("it was never read")
        by_id = sorted(self._devices, key=lambda device: device.id)
        return (
            [device for device in by_id if device.kind == "extension"],
            [device for device in by_id if device.kind == "trunk"],
        )


class FakeCards:
    """Remembers the fields of the one call."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def issue(self, fields: Mapping[str, str], /) -> str:
        self.fields = dict(fields)
        return "c" * 32


class FakePbx:
    """Takes requests down as Asterisk would read them."""

    def __init__(self, queues: Asterisk, *, down: bool = False, refuses: str = "") -> None:
        self._queues = queues
        self._down = down
        self._refuses = refuses
        self.sent: list[Request] = []
        self.cards = FakeCards()
        self.recordings = FakeRecordings()

    async def request(self, request: Request, /) -> Message:
        encode(request, "1")  # what cannot be sent must fail here too
        if self._down:
            raise PbxUnavailable("it is down")
        if request.action == "Getvar":
            name = dict(request.headers)["Variable"].removeprefix("DIALPLAN_EXISTS(")[:-1]
            return Message(f"Response: Success\r\nValue: {int(name in CONTEXTS)}".encode())
        self.sent.append(request)
        if self._refuses:
            raise PbxRefused(self._refuses)
        if request.action.startswith("Queue"):
            return await self._queues.request(request)
        return Message(b"Response: Success")

    def asterisk_time(self) -> float:
        return NOW

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the one Originate, decoded as the dial plan does."""
        (request,) = self.sent
        pairs = (value.partition("=") for name, value in request.headers if name == "Variable")
        return {name: unquote(value) for name, _, value in pairs}


class FakeRecordings:
    """Call records and the files that they name."""

    def __init__(self, *, down: bool = False, unknown: bool = False) -> None:
        self._down = down
        self._unknown = unknown
        self._records = {10000: RECORDING, 10001: "", 10002: "/mnt/nas/gone.wav", 10003: "/x.wav"}
        self.moved: list[list[str]] = []

    async def call_record(self, cdr_id: int, /) -> CallRecord | None:
        if self._down:
            raise DatabaseUnavailable("it is down")
        path = self._records.get(cdr_id)
        return None if path is None else CallRecord(cdr_id, path, frozenset({"1.1"}))

    async def move(self, record: CallRecord, plan: Plan, /) -> int:
        if record.recording != RECORDING:
            raise Fault(811, filename=plan.source.path)
        if self._unknown:
            raise PbxUnavailable("nobody can tell whether it is still being recorded")
        if plan.target.path == "/mnt/nas/taken.wav":
            raise Fault(812, filename=plan.target.path)
        self.moved.append([plan.source.path, plan.target.path])
        return 1


class FakeGatekeeper:
    """Three users with one password."""

    async def authenticate(
        self, username: str, password: str, address: IpAddress | None, /
    ) -> ApiUser:
        networks = () if username != "elsewhere" else ("192.0.2.0/24",)
        permissions = {"voipsun": PERMISSIONS, "elsewhere": PERMISSIONS, "nobody": frozenset[str]()}
        if username not in permissions or password != "secretpwd":
            raise Fault(100)
        user = ApiUser(
            id=1,
            username=username,
            permissions=frozenset(permissions[username]),
            networks=tuple(map(ipaddress.ip_network, networks)),
        )
        if not user.may_come_from(address):
            raise Fault(100)
        return user


def make_store(case: Mapping[str, Any]) -> ChannelStore:
    """The cache with the channels of a case."""
    store = ChannelStore()
    pbx = case.get("pbx", {})
    if pbx.get("never"):
        return store
    collected = store.begin_list()
    now = time.monotonic()
    for number, fields in enumerate(case.get("channels", ())):
        began = now - fields["age"]
        item = {"Uniqueid": f"u.{number}", "Linkedid": f"u.{number}", **fields}
        collected.item(item, Instant(now, NOW))
        collected.channels[f"u.{number}"] = collected.channels[f"u.{number}"]._replace(began=began)
    store.replace(collected)
    if "lost_for_s" in pbx:
        store.session_lost(now - pbx["lost_for_s"])
    return store


def make_queues(case: Mapping[str, Any]) -> QueueStore:
    """The cache with the queues of a case: headers of QueueParams, QueueMember and QueueEntry."""
    store = QueueStore()
    pbx = case.get("pbx", {})
    if pbx.get("never"):
        return store
    now = time.monotonic()
    collected = store.begin_list(NOW)
    for event, fields in case.get("queues", ()):
        lines = [f"Event: {event}", *(f"{name}: {value}" for name, value in fields.items())]
        store.item(collected, Message("\r\n".join(lines).encode()), Instant(now, NOW))
    store.end_list(collected, Instant(now, NOW))
    if "lost_for_s" in pbx:
        store.session_lost(now - pbx["lost_for_s"])
    return store


def list_endpoint(picture: PjsipPicture, name: str, endpoint: Mapping[str, Any]) -> None:
    """An endpoint with an AOR of its own name, as the lists tell it."""
    contacts = endpoint.get("contacts", ())
    picture.take_endpoint({"ObjectName": name, "Aor": name})
    uris = [contact["Uri"] for contact in contacts] + endpoint.get("configured", [])
    aor = {"Contacts": ",".join(f"{name}/{uri}" for uri in uris)}
    aor["QualifyFrequency"] = endpoint.get("qualify", "60")
    picture.take_aor({"ObjectName": name, **aor})
    for number, fields in enumerate(contacts):
        picture.take_contact({"ObjectName": f"{name};@{number}", **fields})


def list_peers(listed: Listed, case: Mapping[str, Any]) -> None:
    """What the lists of a case say."""
    for name, fields in case.get("sip", {}).items():
        listed.sip.take_peer({"ObjectName": name, **fields})
    for fields in case.get("registry", ()):
        listed.sip.take_registration(fields)
    for name, endpoint in case.get("pjsip", {}).items():
        list_endpoint(listed.pjsip, name, endpoint)
    for fields in case.get("registrations", ()):
        listed.pjsip.take_registration(fields)


def make_peers(case: Mapping[str, Any]) -> PeerList:
    """The picture of peers of a case, told as Asterisk tells it.

    `sip` is a table of peers: headers of PeerEntry, and under `details` those of SIPshowpeer; none
    where nobody has asked yet. `registry`: items of SIPshowregistry. `pjsip`: endpoints, each with
    its items of PJSIPShowContacts and the AOR's QualifyFrequency. `registrations`: items of
    PJSIPShowRegistrationsOutbound. `device_states`: what events have told, by device.
    """
    store = PeerStore()
    pbx = case.get("pbx", {})
    if pbx.get("never"):
        return PeerList(store)
    listed = store.begin_list()
    list_peers(listed, case)
    for _ in store.prepare(listed):
        pass
    store.replace(listed)
    for name, fields in case.get("sip", {}).items():
        if "details" in fields:
            where = {"Address-IP": fields["IPaddress"], "Address-Port": fields["IPport"]}
            store.sip.take_details(name, where | {"Status": fields["Status"]} | fields["details"])
    for device, state in case.get("device_states", {}).items():
        store.device_state_change(device, state)
    store.freshness.listed()
    if "lost_for_s" in pbx:
        store.session_lost(time.monotonic() - pbx["lost_for_s"])
    return PeerList(store)


def make_ports(case: Mapping[str, Any]) -> tuple[Ports, FakePbx]:
    """Ports in the state of a case."""
    pbx_state = case.get("pbx", {})
    agents = Agents(LINES, case)
    members = make_members(agents, case)
    pbx = FakePbx(members, down=pbx_state.get("down", False), refuses=pbx_state.get("refuses", ""))
    owners = {name: Owner(*owner) for name, owner in case.get("owners", {}).items()}
    calls = CallList(make_store(case), owners.get)
    queues = QueueBoard(make_queues(case))

    def legs() -> Listing:
        return calls.legs(time.monotonic())

    def is_live(name: str) -> bool:
        return calls.is_live(name, time.monotonic())

    def states_of(technology: str, account: str) -> list[str]:
        return calls.states_of(technology, account, time.monotonic())

    directory = case.get("directory", {})
    devices = [Device(**device) for device in directory.get("devices", ())]

    is_down = case.get("directory", {}).get("down", False)
    lines = FakeLines(down=is_down)
    pbx.recordings = FakeRecordings(down=is_down, unknown=pbx_state.get("down", False))
    ports = Ports(
        pbx=pbx,
        lines=lines,
        legs=legs,
        is_live=is_live,
        queue=lambda name: queues.queue(name, time.monotonic()),
        states_of=states_of,
        peers=make_peers(case),
        devices=FakeDevices(*devices, down=directory.get("down", False)),
        cards=pbx.cards,
        call_centre=make_call_centre(agents, pbx, members, case),
        agi_address="127.0.0.1:4573",
        record_roots=(PurePosixPath("/var/spool/asterisk/monitor"), PurePosixPath("/mnt/nas")),
        recordings=pbx.recordings,
        ring_timeout_s=30,
    )
    return ports, pbx
