"""A PBX of peers that answers what the follower asks, and can be told to refuse."""

import asyncio
from collections import Counter
from collections.abc import Callable

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.errors import PbxRefused
from tests.cache.replay import message

UNKNOWN_COMMAND = (
    "Invalid/unknown command: {}. Use Action: ListCommands to show available commands."
)
#: What PJSIP answers where there is nothing to list; it really ends in a line feed.
EMPTY = {
    "PJSIPShowEndpoints": "No endpoints found\n",
    "PJSIPShowAors": "No AORs found\n",
    "PJSIPShowContacts": "No Contacts found\n",
}
DRIVER = {"SIP": "SIP", "PJS": "PJSIP"}

Headers = dict[str, str]


class PeersPbx:
    """Both drivers, unless one is taken away.

    Attributes:
        drivers: Those that are loaded.
        sip: Peers of chan_sip: PeerEntry without its name.
        agents: Their user agents.
        contacts: Contacts of PJSIP: AOR, which is the endpoint's name too → ContactList.
        refusals: Action → the error that answers it.
        asked: How often each action came, single peers as "SIPshowpeer 100".
        gate: Answers wait while it is closed; to the actions in `held` alone where there are any.
        most_at_once: Most single peers that were asked about at one time.
    """

    def __init__(self) -> None:
        self.drivers = {"SIP", "PJSIP"}
        self.sip: dict[str, Headers] = {}
        self.agents: dict[str, str] = {}
        self.registries: list[Headers] = []
        self.endpoints: list[str] = []
        self.configured: dict[str, str] = {}
        self.contacts: dict[str, list[Headers]] = {}
        self.registrations: list[Headers] = []
        self.device_states: Headers = {}
        self.refusals: dict[str, Exception] = {}
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.held: set[str] = set()
        self.most_at_once = 0
        self._at_once = 0

    def register(self, name: str, host: str, port: str = "5060", agent: str = "snom") -> None:
        """A telephone of chan_sip registers."""
        self.sip[name] = {"IPaddress": host, "IPport": port, "Status": "OK (7 ms)"}
        self.agents[name] = agent

    def contact(self, name: str, uri: str, status: str = "Reachable", us: str = "7000") -> None:
        """A telephone of PJSIP registers."""
        host = uri.rpartition("@")[2].partition(":")[0]
        self.contacts.setdefault(name, []).append(
            {
                "Uri": uri,
                "Status": status,
                "RoundtripUsec": us,
                "UserAgent": "snom",
                "ViaAddr": host,
                "ViaPort": "5060",
            }
        )
        if name not in self.endpoints:
            self.endpoints.append(name)

    async def request_list(
        self, request: Request, on_item: Callable[[Message], None], /
    ) -> Message:
        await self._receive(request)
        items = self._items(request)
        if not items and request.action in EMPTY:
            raise PbxRefused(EMPTY[request.action])
        for each in items:
            on_item(each)
        return message("Complete", EventList="Complete")

    async def request(self, request: Request, /) -> Message:
        await self._receive(request)
        name = dict(request.headers)["Peer"]
        if name not in self.sip:
            raise PbxRefused(f"Peer {name} not found.")
        entry = self.sip[name]
        return Message(
            "\r\n".join(
                (
                    "Response: Success",
                    f"Address-IP: {entry['IPaddress'].replace('-none-', '(null)')}",
                    f"Address-Port: {entry['IPport']}",
                    f"Status: {entry['Status']}",
                    f"SIP-Useragent: {self.agents.get(name, '')}",
                    f"Reg-Contact: sip:{name}@{entry['IPaddress']}:{entry['IPport']}",
                )
            ).encode()
        )

    async def _receive(self, request: Request) -> None:
        about = next((v for n, v in request.headers if n in ("Peer", "Endpoint")), "")
        what = f"{request.action} {about}".strip()
        self.asked[what] += 1
        self.order.append(what)
        self._at_once += bool(about)
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
            if not self.held or request.action in self.held:
                await self.gate.wait()
        finally:
            self._at_once -= bool(about)
        driver = "PJSIP" if request.action.startswith("PJSIP") else request.action[:3]
        if driver in ("SIP", "PJSIP") and driver not in self.drivers:
            raise PbxRefused(UNKNOWN_COMMAND.format(request.action))
        if request.action in self.refusals:
            raise self.refusals[request.action]

    def _items(self, request: Request) -> list[Message]:
        if request.action == "PJSIPShowEndpoint":
            return self._endpoint(dict(request.headers)["Endpoint"])
        items: dict[str, Callable[[], list[Message]]] = {
            "SIPpeers": self._peers,
            "SIPshowregistry": lambda: [message("RegistryEntry", **e) for e in self.registries],
            "PJSIPShowEndpoints": lambda: [
                message("EndpointList", ObjectName=name, Aor=name) for name in self.endpoints
            ],
            "PJSIPShowAors": self._aors,
            "PJSIPShowContacts": self._contacts,
            "PJSIPShowRegistrationsOutbound": self._registrations,
            "DeviceStateList": lambda: [
                message("DeviceStateChange", Device=device, State=state)
                for device, state in self.device_states.items()
            ],
        }
        return items[request.action]()

    def _peers(self) -> list[Message]:
        return [message("PeerEntry", ObjectName=name, **entry) for name, entry in self.sip.items()]

    def _aors(self) -> list[Message]:
        return [
            message(
                "AorList",
                ObjectName=name,
                QualifyFrequency="60",
                Contacts=",".join(f"{name}/{uri}" for uri in self._uris(name)),
            )
            for name in self.endpoints
        ]

    def _contacts(self) -> list[Message]:
        return [
            message("ContactList", ObjectName=f"{name};@{number}", **each)
            for name, contacts in self.contacts.items()
            for number, each in enumerate(contacts)
        ]

    def _registrations(self) -> list[Message]:
        """Each is followed by its credentials."""
        return [
            item
            for each in self.registrations
            for item in (
                message("OutboundRegistrationDetail", **each),
                message("AuthDetail", ObjectName=each["ObjectName"], Password="tajne"),
            )
        ]

    def _uris(self, name: str) -> list[str]:
        """What the AOR says it has: contacts that registered, and that of the configuration."""
        registered = [each["Uri"] for each in self.contacts.get(name, ())]
        return registered + ([self.configured[name]] if name in self.configured else [])

    def _endpoint(self, name: str) -> list[Message]:
        if name not in self.endpoints:
            raise PbxRefused(f"Unable to retrieve endpoint {name}\n")
        items = [
            message("EndpointDetail", ObjectName=name, FromUser=f"{name}-user"),
            message("AuthDetail", ObjectName=name, Password="tajne"),
            message("AorDetail", ObjectName=name),
        ]
        for each in self.contacts.get(name, ()):
            via = f"{each['ViaAddr']}:{each['ViaPort']}"
            fields = {**each, "URI": each["Uri"], "ViaAddress": via, "AOR": name}
            items.append(message("ContactStatusDetail", **fields))
        if name in self.configured:
            fields = {"URI": self.configured[name], "AOR": name, "UserAgent": ""}
            fields |= {"Status": "Reachable", "RoundtripUsec": "9000"}
            items.append(message("ContactStatusDetail", **fields))
        return items
