"""Every parameter of every action with hostile values; the far sides tell what came of it.

The client is HTTP, the far sides are the simulator (AMI and FastAGI, byte by byte), PostgreSQL, the
disk and the log. `PBXAPI_FUZZ_SECONDS=300 pytest tests/security -s` goes on for so long, from
`PBXAPI_FUZZ_SEED`, and prints what it has done.
"""

import itertools
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

import pytest

from pbxapi.actions import ACTIONS
from pbxapi.redaction import is_secret_name
from tests.security.lab import PASSWORD, PIN, USER, Lab, running
from tests.security.oracle import agi_complaints, complaints
from tests.security.values import SECRET, Value, hostile, plain
from tests.services.ports import Ports
from tests.services.postgres import Database
from tests.services.waiting import eventually
from tests.web.http_client import Reply, ask

SECONDS: Final = float(os.environ.get("PBXAPI_FUZZ_SECONDS", "0"))
SEED: Final = int(os.environ.get("PBXAPI_FUZZ_SEED", "1"))
#: Rounds over all parameters of all actions, where no time is given.
ROUNDS: Final = 2
FORM: Final = b"Content-Type: application/x-www-form-urlencoded"
MULTIPART: Final = b"Content-Type: multipart/form-data; boundary=BoUnDaRy"

_AGENT: Final = {"agentNumber": "2005", "agentPin": PIN}
#: Requests that succeed; what an action is not listed with goes without.
GOOD: Final[dict[str, dict[str, str]]] = {
    "originate": {"srcExtenInternalNum": "1000", "dstNum": "1001"},
    "dial": {"outrouteName": "upc", "dstNum": "800123456", "context": "ivr"},
    "spying": {"srcExtenInternalNum": "1001", "dstExtenInternalNum": "1002"},
    "hangupcall": {"channelName": "PJSIP/Linka_1000-00000001"},
    "queuestatus": {"queueName": "support"},
    "agentlogin": {**_AGENT, "srcExtenInternalNum": "1004"},
    **dict.fromkeys(("agentstatus", "agentpause", "agentunpause", "agentlogout"), _AGENT),
    "agentadd": {**_AGENT, "queueName": "support", "penalty": "2"},
    "agentremove": {**_AGENT, "queueName": "support"},
    "moverecord": {"cdrId": "1", "filename": "first.wav", "path": ""},
}
#: What an optional parameter is like, for values that are built around a good one.
LIKE: Final = {
    "dialerCid": "777123456",
    "spyCid": "777123456",
    "overrideCallerId": "777123456",
    "monitorFilename": "call.wav",
    "srcRingTimeout": "5",
    "dstRingTimeout": "5",
    "hangupContext": "ivr",
    "checkIpHost": "127.0.0.1",
    "dialplanName": "main",
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class Tally:
    """What was done."""

    requests: int = 0
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        rows = [f"{self.requests} requests fuzzed"]
        for action, codes in sorted(self.codes.items()):
            refused = sum(codes.values()) - codes["0"]
            by_code = " ".join(f"{code}:{n}" for code, n in sorted(codes.items()) if code != "0")
            rows.append(f"{action:14} accepted {codes['0']:6} refused {refused:6}  {by_code}")
        return "\n".join(rows)


def targets() -> list[tuple[str, str]]:
    """Every action with every parameter that it reads, those that all read, and foreign names."""
    shared = ("username", "password", "action", "")
    return [
        (name, p) for name in sorted(ACTIONS) for p in (*sorted(ACTIONS[name].parameters), *shared)
    ]


def good(action: str, lab: Lab) -> dict[str, Value]:
    params = dict(GOOD.get(action, {}))
    if action == "moverecord":
        params["path"] = str(lab.records / "archive")
    if action == "hangupcall" and (channels := lab.simulator.channels):
        params["channelName"] = channels[-1]["Channel"]
    everything = {"username": USER, "password": PASSWORD, "action": action, **params}
    return {name: plain(text) for name, text in everything.items()}


def spoilt(action: str, parameter: str, chance: random.Random, lab: Lab) -> dict[str, Value]:
    """A good request with this parameter, and sometimes others, as hostile as can be."""
    params = good(action, lab)
    chosen = [parameter]
    if chance.random() < 0.2:
        chosen += chance.choices(sorted(ACTIONS[action].parameters) or [""], k=2)
    for name in chosen:
        value = hostile(chance, params[name].text if name in params else LIKE.get(name, ""))
        if not name:  # a name that nobody reads
            value, name = hostile(chance, ""), hostile(chance, "x").text  # noqa: PLW2901 - another name in the place of none
            if re.split(r"[\[. \0]", name)[0] in params or name in params:
                continue
        if is_secret_name(name):
            value = Value(SECRET.encode() + value.wire, SECRET + value.text)
        params[name] = value
    return params


def encoded(params: dict[str, Value]) -> bytes:
    return b"&".join(
        quote_from_bytes(name.encode()).encode() + b"=" + quote_from_bytes(value.wire).encode()
        for name, value in params.items()
    )


def multipart(params: dict[str, Value]) -> bytes | None:
    """The parameters as a form, where such a form can carry them."""
    if any(set(name) & set('"\r\n\0\\') or b"BoUnDaRy" in v.wire for name, v in params.items()):
        return None
    parts = [
        b'--BoUnDaRy\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (name.encode(), value.wire)
        for name, value in params.items()
    ]
    return b"".join(parts) + b"--BoUnDaRy--\r\n"


async def send(lab: Lab, params: dict[str, Value], chance: random.Random) -> Reply:
    """Send it in one of the ways that there are."""
    data = encoded(params)
    way = chance.randrange(3)
    if way == 0 and len(data) < 100_000:
        return await ask(lab.port, data)
    form = multipart(params) if way == 1 else None
    header, body = (FORM, data) if form is None else (MULTIPART, form)
    return await ask(lab.port, b"", header, method=b"POST", body=body)


def meaning(params: dict[str, Value]) -> dict[str, str]:
    """What the daemon has to understand: an empty value is none."""
    return {name: value.text for name, value in params.items() if value.text}


def check_answer(reply: Reply, params: dict[str, Value], action: str) -> str:
    """The code of the answer, "0" of a success; it is one JSON object in ASCII, and no crash."""
    assert reply.status == 200
    assert reply.body.isascii()
    assert b"\n" not in reply.body
    answer = reply.data
    code = str(answer.get("errno", "0"))
    assert code != "905", "a bug"
    read = {"username", "password", *ACTIONS[action].parameters}
    meant = meaning(params)
    if any(_CONTROL.search(text) for name, text in meant.items() if name in read):
        assert code != "0", "control characters were taken"
    if any(len(text) > 255 for name, text in meant.items() if name in read):
        assert code != "0", "more than 255 characters were taken"
    if answer.get("success") == "false":
        assert set(answer) == {"success", "errno", "reason"}
    return code


def check_log(lab: Lab, *, changes: bool) -> None:
    """Each line is one object, none has a secret, and the audit has one for what changes things."""
    lines = lab.new_lines()
    entries = lab.entries(lines)
    assert SECRET not in "".join(lines)
    assert "not-secret" not in "".join(lines), "the password of the database"
    assert all(line.isascii() for line in lines)
    audited = sum(entry["event"] == "audit.action" for entry in entries)
    assert audited == changes


async def attack(
    lab: Lab, action: str, parameter: str, chance: random.Random, tally: Tally
) -> None:
    """One request, and a look at all far sides."""
    params = spoilt(action, parameter, chance, lab)
    meant = meaning(params)
    lab.simulator.received.clear()
    reply = await send(lab, params, chance)
    named = meant.get("action", "")
    code = check_answer(reply, params, action)
    tally.requests += 1
    tally.codes.setdefault(action, Counter())[code] += 1
    tally.custom.update(meant.get(f"customCDR{n}", "") for n in range(1, 5))
    known = ACTIONS.get(named)
    check_log(lab, changes=known is not None and not known.reads_only)
    assert complaints(named, meant, lab.simulator.received) == [], meant
    assert agi_complaints(lab.commands, tally.custom) == []
    assert lab.statements == []
    if action == "moverecord" and code == "0":
        await check_recording(lab, meant)


async def check_recording(lab: Lab, meant: dict[str, str]) -> None:
    """The recording is where the call record says, under the name that was asked for."""
    (row,) = await lab.database.fetch("SELECT recordingfile FROM pbxapi.cdr WHERE id = 1")
    path = Path(row["recordingfile"])
    assert path.resolve().is_relative_to(lab.records)
    assert path.read_bytes() == b"RIFF"
    if "filename" in meant:
        assert path.name == meant["filename"]
    files = [found for found in lab.records.rglob("*") if found.is_file()]
    assert files == [path]


def plan(seconds: float, chance: random.Random) -> Iterator[tuple[str, str]]:
    """All targets in rounds, each round in another order; for some seconds, or some rounds."""
    until = time.monotonic() + seconds
    for number in itertools.count():
        if not seconds and number == ROUNDS:
            return
        order = targets()
        chance.shuffle(order)
        for target in order:
            if seconds and time.monotonic() > until:
                return
            yield target


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(SECONDS + 120)
async def test_no_parameter_of_any_action_is_syntax_anywhere(
    database: Database, ports: Ports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    tally = Tally()
    async with running(database, ports, tmp_path) as lab:
        tables, files = await lab.tables(), lab.files_outside()
        lab.new_lines()
        for action, parameter in plan(SECONDS, chance):
            await attack(lab, action, parameter, chance, tally)
        await eventually(lambda: lab.commands, within_s=10, what="custom fields came to Asterisk")
        assert agi_complaints(lab.commands, tally.custom) == []
        assert await lab.tables() == tables
        assert lab.files_outside() == files
        await good_requests_succeed(lab)
    with capsys.disabled():
        print(f"\n{tally}" if SECONDS else "", end="")


async def good_requests_succeed(lab: Lab) -> None:
    """What the attacks were built around is taken: a refusal of everything proves nothing."""
    for action in sorted(set(ACTIONS) - {"hangupcall", "moverecord"}):
        reply = await ask(lab.port, encoded(good(action, lab)))
        assert reply.data["success"] in ("true", True), (action, reply.data)
