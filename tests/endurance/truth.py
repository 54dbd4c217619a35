"""After the storm: what the daemon says, beside what the simulator tells another AMI session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.ami.session import AmiSession, connect
from pbxapi.errors import PbxUnavailable
from tests.endurance.world import World
from tests.services.ports import LOOPBACK
from tests.services.queue_traffic import Oracle, Row, comparable
from tests.services.waiting import eventually

#: Everything has been asked about again by then: peers are listed every 10 s, and a session that
#: was lost at the very end comes back within seconds.
AGREED_S: Final = 40
#: What `listcalls` and CoreShowChannels both tell; who calls whom is known from events alone.
_CHANNEL: Final = {"channelName": "Channel", "context": "Context", "status": "ChannelStateDesc"}
_NOT_LEGS: Final = ("Local/", "Message/")

Answers = dict[str, Any]


class Truth:
    """Compares everything, and says what is different."""

    def __init__(self, world: World, session: AmiSession) -> None:
        self._world = world
        self._session = session
        self._queues = Oracle(session)
        self.compared: dict[str, int] = {}

    async def differences(self, *, at_once: bool) -> list[str]:
        """What does not agree within `AGREED_S`.

        Args:
            at_once: Everything of a kind has to be equal at one moment, since nothing happens any
                more; else each thing at some moment, since it takes time to ask about all.
        """
        wrong: list[str] = []
        kinds = {"listcalls": self._compare_calls, "queuestatus": self._compare_queues}
        if at_once:  # round trips change without an event
            kinds |= {"sipstatus": self._compare_peers, "agents": self._compare_agents}
        for what, compare in kinds.items():
            different = await self._until_equal(compare, at_once=at_once)
            wrong += [f"{what}: {each}" for each in different]
        return wrong

    @staticmethod
    async def _until_equal(
        compare: Callable[[], Awaitable[dict[str, str]]], *, at_once: bool
    ) -> list[str]:
        missing: dict[str, str] | None = None

        async def equal() -> bool:
            nonlocal missing
            seen = await compare()
            if missing is not None and not at_once:
                seen = {key: text for key, text in seen.items() if key in missing}
            missing = seen
            return not missing

        with suppress(AssertionError):
            await eventually(equal, within_s=AGREED_S, what="they agree")
        return [f"{key}: {text}" for key, text in (missing or {}).items()]

    async def _list(self, action: str, event: str) -> list[dict[str, str]]:
        items: list[Message] = []
        await self._session.request_list(Request(action), items.append)
        return [dict(item.fields) for item in items if item.event == event]

    async def _compare_queues(self) -> dict[str, str]:
        before = await self._queues.queues()
        answers: dict[str, Row] = {}
        for name in before:
            data = (await self._world.daemon.ask("queuestatus", queueName=name)).data
            if "results" not in data:
                return {name: str(data)}
            answers[name] = comparable(data["results"][0])
        after = await self._queues.queues()
        self.compared["queues"] = len(answers)
        self.compared["members"] = sum(len(row["members"]) for row in answers.values())
        return {
            name: f"{answer} is {after[name]}"
            for name, answer in answers.items()
            if answer not in (before[name], after[name])
        }

    async def _compare_calls(self) -> dict[str, str]:
        before = await self._legs()
        data = (await self._world.daemon.ask("listcalls")).data
        after = await self._legs()
        if "results" not in data:
            return {"answer": str(data)}
        rows = {row["channelName"]: row for row in data["results"]}
        wrong = dict.fromkeys(rows.keys() - before.keys() - after.keys(), "is over")
        wrong |= dict.fromkeys((before.keys() & after.keys()) - rows.keys(), "is missing")
        for name in rows.keys() & after.keys() & before.keys():
            ours = {key: rows[name][key] for key in _CHANNEL}
            theirs = [
                {key: leg[header] for key, header in _CHANNEL.items()}
                for leg in (before[name], after[name])
            ]
            if ours not in theirs:
                wrong[name] = f"{ours} is {theirs[1]}"
            low, high = (_seconds(leg[name]["Duration"]) for leg in (before, after))
            if not low - 1 <= int(rows[name]["duration"]) <= high + 1:
                wrong[name] = f"{rows[name]['duration']} s is {low} s"
        self.compared["legs"] = max(self.compared.get("legs", 0), len(rows))
        return wrong

    async def _legs(self) -> dict[str, dict[str, str]]:
        channels = await self._list("CoreShowChannels", "CoreShowChannel")
        return {
            channel["Channel"]: channel
            for channel in channels
            if not channel["Channel"].startswith(_NOT_LEGS)
        }

    async def _compare_peers(self) -> dict[str, str]:
        contacts = {c["Endpoint"]: c for c in await self._list("PJSIPShowContacts", "ContactList")}
        data = (await self._world.daemon.ask("sipstatus")).data
        if "results" not in data:
            return {"answer": str(data)}
        wrong = {}
        for row in data["results"]:
            if row["type"] != "extension_line":
                continue
            expected = _peer(contacts.get(row["user"]))
            told = {key: row[key] for key in expected}
            if told != expected:
                wrong[row["user"]] = f"{told} is {expected}"
        self.compared["accounts"] = len(data["results"])
        return wrong

    async def _compare_agents(self) -> dict[str, str]:
        """Whoever is logged in by the directory is a member of all his queues, and no one else."""
        rows = await self._world.database.fetch(
            "SELECT a.name, q.name AS queue, s.penalty, l.paused, e.internal_num"
            " FROM pbxapi.agents a JOIN pbxapi.agent_logins l ON l.agent_id = a.id"
            " JOIN pbxapi.extension_line x ON x.id = l.extension_line_id"
            " JOIN pbxapi.extensions e ON e.id = x.extension_id"
            " JOIN pbxapi.agent_queues s ON s.agent_id = a.id"
            " JOIN pbxapi.queues q ON q.id = s.queue_id"
        )
        wanted = {
            (row["queue"], row["name"]): (
                f"Local/{row['internal_num']}@extensions-dialplanid-1",
                str(row["penalty"]),
                str(int(row["paused"])),
            )
            for row in rows
        }
        found = {
            (queue, name): (member["location"], member["penalty"], member["paused"])
            for queue, row in (await self._queues.queues()).items()
            for name, member in row["members"].items()
            if member["membership"] == "dynamic"
        }
        self.compared["memberships"] = len(wanted)
        return {
            f"{key}": f"{found.get(key)} should be {wanted.get(key)}"
            for key in sorted(wanted.keys() | found.keys())
            if wanted.get(key) != found.get(key)
        }


def _seconds(duration: str) -> int:
    hours, minutes, seconds = map(int, duration.split(":"))
    return (hours * 60 + minutes) * 60 + seconds


def _peer(contact: dict[str, str] | None) -> dict[str, str]:
    """A row of `sipstatus` as far as an endpoint's only contact tells it."""
    if contact is None:
        return {"host": "(Unspecified)", "port": "0"}
    milliseconds = (
        int(contact["RoundtripUsec"]) // 1000 if contact["RoundtripUsec"].isdigit() else 0
    )
    words = {
        "Reachable": f"OK ({milliseconds} ms)",
        "Unreachable": "UNREACHABLE",
        "NonQualified": "Unmonitored",
        "Unknown": "UNKNOWN",
    }
    return {
        "host": contact["ViaAddr"],
        "port": contact["ViaPort"],
        "useragent": contact["UserAgent"],
        "regcontact": contact["Uri"],
        "status": words[contact["Status"]],
    }


@asynccontextmanager
async def consulting(world: World) -> AsyncIterator[Truth]:
    """A second session that passes by the proxy."""
    session = await connect(LOOPBACK, world.pbx.port, (), lambda _event: None)
    await session.log_in("oracle", "oracle")
    try:
        yield Truth(world, session)
    finally:
        session.close(PbxUnavailable("that is all"))


async def until_nobody_calls(world: World, within_s: float) -> None:
    """Everybody hangs up."""

    async def silence() -> bool:
        return bool(await world.pbx.do("hang_up") == 0)

    await eventually(silence, within_s=within_s, what="all calls are over")
