"""Recorded sessions of real Asterisk as messages, and a model of the PBX that sent them."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pbxapi.ami.message import Fields, Message
from pbxapi.ami.protocol import AmiProtocol
from pbxapi.cache.channels.calls import Leg, Owner, legs
from pbxapi.cache.channels.channel import REDUCERS, Channel, Channels
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.instant import Instant
from tests.services import captures

#: The recordings during which channels come and go.
CALLS: Final = [
    "agi",
    "agi-async",
    "chanspy",
    "dtmf-hold-setvar",
    "mixmonitor",
    "originate-answered",
    "originate-busy",
    "originate-failures",
    "originate-local",
    "originate-noanswer",
    "park",
    "phone-call",
    "queue-agi",
    "queue-call",
    "queue-call-agent-hangup",
    "queue-ring-noanswer-abandon",
    "queue-timeout-empty",
    "redirect",
    "transfer-attended-ami",
    "transfer-blind-ami",
    "transfer-blind-refer",
    "trunk-in-queue",
    "trunk-out",
    "trunk-out-busy",
    "utf8-long",
]
RECORDINGS: Final = [(version, name) for version in captures.VERSIONS for name in CALLS]

NOW: Final = Instant(1000.0, 1_795_460_000.0)


def message(event: str, **headers: str) -> Message:
    """An event made up by a test."""
    lines = [f"Event: {event}", *(f"{name}: {value}" for name, value in headers.items())]
    return Message("\r\n".join(lines).encode())


@functools.cache
def messages(version: str, name: str) -> tuple[Message, ...]:
    """Everything that Asterisk sent in that session."""
    return tuple(AmiProtocol().receive_data(captures.read(version, name)))


@functools.cache
def events(version: str, name: str) -> tuple[Message, ...]:
    """The events of that session that change channels."""
    return tuple(each for each in messages(version, name) if each.event in REDUCERS)


def follow(store: ChannelStore, events: tuple[Message, ...], now: Instant = NOW) -> None:
    for each in events:
        store.apply(each, now)


def quiet_moments(version: str, name: str, quiet_s: float = 0.4) -> list[int]:
    """How many messages had come whenever Asterisk had no more to say for a while."""
    stream = captures.read(version, name)
    path = Path(captures.__file__).parents[1] / "captures" / version / f"{name}.json"
    chunks = json.loads(path.read_text())["chunks"]
    protocol = AmiProtocol()
    counts, count, last_s = [], 0, 0.0
    for time_s, offset, length in chunks:
        if time_s - last_s > quiet_s and count:
            counts.append(count)
        count += len(protocol.receive_data(stream[offset : offset + length]))
        last_s = time_s
    assert count == len(messages(version, name))
    return counts


def owner_of(account: str) -> Owner | None:
    """The directory of the test PBX: the trunk upc, and the lines Linka_<number>."""
    if account == "upc":
        return Owner("trunk", "1")
    number = account.removeprefix("Linka_")
    return None if number == account else Owner("extension", "9" + number, number)


def rows(channels: Channels) -> list[str]:
    """The legs as short text, without technology and counter: "Linka_1005 1005→1000 Up"."""
    return [_row(leg) for leg in legs(channels, owner_of, NOW.monotonic)]


def _row(leg: Leg) -> str:
    account = leg.channel.partition("/")[2].rpartition("-")[0]
    return f"{account} {leg.src}→{leg.dst} {leg.status}"


def without_age(channels: Channels) -> dict[str, Channel]:
    """The channels with everything but the moment that they began."""
    return {uniqueid: each._replace(began=0.0) for uniqueid, each in channels.items()}


@dataclass
class Pbx:
    """What CoreShowChannels would answer: the last snapshot of each channel, from its events.

    Knows nothing of calls, unlike the cache that it checks.
    """

    channels: dict[str, dict[str, str]] = field(default_factory=dict)

    KEYS = (
        "Channel",
        "ChannelStateDesc",
        "CallerIDNum",
        "ConnectedLineNum",
        "AccountCode",
        "Context",
        "Exten",
        "Uniqueid",
        "Linkedid",
    )

    def apply(self, event: Message) -> None:
        if event.event == "Hangup":
            self.channels.pop(event.get("Uniqueid"), None)
            return
        prefixes = ["", "Dest"] if event.event in ("DialBegin", "DialState") else [""]
        if event.event in ("BlindTransfer", "AttendedTransfer"):
            prefixes = []
        for prefix in prefixes:
            self._take(event.fields, prefix, created=event.event == "Newchannel")
        if event.event == "Newexten" and event.get("Uniqueid") in self.channels:
            self.channels[event.get("Uniqueid")]["Application"] = event.get("Application")
        if event.event == "DialBegin" and event.get("DestUniqueid") in self.channels:
            self.channels[event.get("DestUniqueid")].setdefault("Application", "AppDial2")

    def _take(self, fields: Fields, prefix: str, *, created: bool) -> None:
        uniqueid = fields.get(prefix + "Uniqueid", "")
        if uniqueid in self.channels or created:
            snapshot = {key: fields[prefix + key] for key in self.KEYS if prefix + key in fields}
            self.channels.setdefault(uniqueid, {}).update(snapshot)

    def list_into(self, store: ChannelStore, now: Instant = NOW) -> None:
        """Let the store take a list of the moment."""
        collected = store.begin_list()
        for fields in self.channels.values():
            collected.item({"Event": "CoreShowChannel", "Duration": "00:00:00", **fields}, now)
        store.replace(collected)
