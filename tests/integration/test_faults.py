"""The daemon when its parts fail: simulated Asterisk, real PostgreSQL, a proxy that misbehaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pbxapi.actions import ACTIONS
from pbxapi.simulator.options import Behaviour, ManagerUser, SimulatorOptions
from pbxapi.simulator.server import Simulator
from tests.services.daemon import PASSWORD, USERNAME, Daemon, StartDaemon, seed
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy, TcpProxy
from tests.services.waiting import eventually

SECRET = "a secret that no log may show"


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    options = SimulatorOptions(version=16, users=(ManagerUser(name="pbxapi", secret=SECRET),))
    async with Simulator(options) as running:
        for device in running.options.devices:
            running.configure(device.name, answer_after_s=0.1)
        yield running


@pytest_asyncio.fixture
async def proxy(tcp_proxy: MakeProxy, simulator: Simulator) -> TcpProxy:
    return await tcp_proxy(simulator.port)


@pytest_asyncio.fixture
async def daemon(
    proxy: TcpProxy, database: Database, start_daemon: StartDaemon
) -> AsyncIterator[Daemon]:
    """A daemon that reaches the simulator through the proxy, after its first list."""
    await seed(database, "SIP")
    started = await start_daemon(proxy.port, "pbxapi", SECRET, LOG_LEVEL="debug")
    await listed(started)
    yield started
    for secret in (SECRET, PASSWORD, "secretpwd"):
        assert secret not in started.log.read_text("utf-8")


async def listed(daemon: Daemon, times: int = 1) -> None:
    await eventually(
        lambda: len(daemon.events("cache.listed")) >= times, within_s=8, what="the channels listed"
    )


async def rows(
    daemon: Daemon, count: int, within_s: float = 3, status: str = ""
) -> list[dict[str, str]]:
    """The rows, once there are so many, and all have this status."""

    async def probe() -> Any:
        answer = await daemon.ask("listcalls")
        found = answer.data.get("results")
        if found is None or len(found) != count:
            return None
        return [found] if all(row["status"] == (status or row["status"]) for row in found) else None

    (found,) = await eventually(probe, within_s=within_s, what=f"{count} rows")
    return list(found)


def originates(simulator: Simulator) -> int:
    return len(simulator.received_actions("Originate"))


@pytest.mark.parametrize(
    "hostile", ["\r\nAction: Logoff", "\n", "\r", "\0", "\x1b[2J", "\x7f", "\x85"]
)
async def test_no_control_character_of_any_parameter_reaches_anybody(
    daemon: Daemon, simulator: Simulator, hostile: str
) -> None:
    """CR, LF, NUL and others in every parameter of every action: 902 with its name."""
    agent = {"agentNumber": "1000", "agentPin": "1234"}
    complete = {
        **dict.fromkeys(("agentlogout", "agentpause", "agentunpause", "agentstatus"), agent),
        "agentlogin": agent | {"srcSipUsername": "Linka_1000"},
        "agentadd": agent | {"queueName": "FrontaIT"},
        "agentremove": agent | {"queueName": "FrontaIT"},
        "sipstatus": {},
        "moverecord": {"cdrId": "1", "filename": "a.wav"},
        "originate": {"dstNum": "1001", "srcSipUsername": "Linka_1000"},
        "hangupcall": {"channelName": "SIP/x-00000001"},
        "listcalls": {},
        "queuestatus": {"queueName": "FrontaIT"},
        "dial": {"dstNum": "1001", "outrouteId": "1", "context": "ivr"},
        "spying": {"srcSipUsername": "Linka_1000", "dstSipUsername": "Linka_1001"},
    }
    before = len(simulator.received)
    for name, action in ACTIONS.items():
        for parameter in sorted(action.parameters):
            params = complete[name] | {parameter: f"1{hostile}2"}
            answer = await daemon.ask(name, **params)
            assert (answer.errno, answer.data["reason"]) == (
                "902",
                f"Invalid value of parameter {parameter}",
            )
    asked = [r.name for r in list(simulator.received)[before:]]
    assert {name for name in asked if not name.startswith(("SIPshow", "PJSIPShow"))} <= {
        "Ping",
        "CoreShowChannels",
        "QueueStatus",
        "SIPpeers",
        "DeviceStateList",
    }


@pytest.mark.parametrize("parameter", ["username", "password", "action"])
async def test_hostile_credentials_are_just_wrong(daemon: Daemon, parameter: str) -> None:
    everything = {"username": USERNAME, "password": PASSWORD, "action": "listcalls"}
    answer = await daemon.ask(**(everything | {parameter: "x\r\n\0"}))
    assert answer.errno == ("110" if parameter == "action" else "100")


async def test_hostile_text_arrives_at_asterisk_as_text(
    daemon: Daemon, simulator: Simulator
) -> None:
    name = '"A", B\\${SHELL(id)};Ž|&)(=%41'
    await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000", dialerName=name)
    (received,) = simulator.received_actions("Originate")
    assert len([key for key, _ in received.headers if key == "Action"]) == 1
    values = dict(value.split("=", 1) for key, value in received.headers if key == "Variable")
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")
    assert all(set(value) <= allowed for value in values.values())
    found = await rows(daemon, 2)
    assert {row["dst"] for row in found} == {"1001"}


async def test_wrong_ami_secret_is_said_loudly_and_mended_by_itself(
    simulator: Simulator, database: Database, start_daemon: StartDaemon
) -> None:
    await seed(database, "SIP")
    simulator.refuse_logins()
    daemon = await start_daemon(simulator.port, "pbxapi", SECRET)
    await eventually(lambda: daemon.events("ami.login_refused"), within_s=5, what="a complaint")
    assert {e["level"] for e in daemon.events("ami.login_refused")} == {"error"}
    assert (await daemon.ask("listcalls")).errno == "900"
    simulator.refuse_logins(refuse=False)
    await listed(daemon)
    assert (await daemon.ask("listcalls")).raw == b'{"success":"true","total":"0","results":[]}'


async def test_asterisk_that_boots_slowly_is_listed_when_it_has_booted(
    daemon: Daemon, simulator: Simulator
) -> None:
    simulator.delay_fully_booted(1.0)
    await simulator.restart(0.2, graceful=False)
    await listed(daemon, 3)


@pytest.mark.parametrize("graceful", [True, False])
async def test_restart_in_mid_call_leaves_no_dead_call(
    daemon: Daemon, simulator: Simulator, graceful: bool
) -> None:
    await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    await rows(daemon, 2)
    restarting = asyncio.create_task(simulator.restart(2.0, graceful=graceful))
    await asyncio.sleep(1)
    answer = await daemon.ask("listcalls")
    assert answer.data["success"] == "true"
    assert answer.data["total"] == ("0" if graceful else "2"), "hang-ups were told, or nothing was"
    await restarting
    await listed(daemon, 2)
    await rows(daemon, 0, within_s=3)
    answer = await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    assert answer.raw == b'{"success":"true"}'
    await rows(daemon, 2)


async def test_cut_connection_is_mended_and_the_calls_are_the_same(
    daemon: Daemon, simulator: Simulator, proxy: TcpProxy
) -> None:
    simulator.place_call("Linka_1002", "1003")
    before = await rows(daemon, 2, status="Up")
    simulator.configure("Linka_1005", behaviour=Behaviour.RINGS)
    await proxy.cut()
    simulator.place_call("Linka_1004", "1005")  # nobody tells the daemon
    after = await rows(daemon, 4)
    same = ("channelName", "src", "dst", "status", "context", "accountCode")
    assert [[r[k] for k in same] for r in after[:2]] == [[r[k] for k in same] for r in before]
    assert [(r["src"], r["dst"]) for r in after[2:]] == [("1004", "1005"), ("1004", "1005")]


async def test_connection_cut_in_the_middle_of_a_list(
    daemon: Daemon, simulator: Simulator, proxy: TcpProxy
) -> None:
    for number in range(4):
        simulator.place_call(f"Linka_{1000 + number}", f"{1010 + number}")
    await rows(daemon, 8)
    proxy.cut_after(1500, "to_client")  # the banner, the login and half of the list
    await proxy.cut()
    await rows(daemon, 8)
    await listed(daemon, 2)
    await rows(daemon, 8)


async def test_bytes_that_dribble_are_put_together(
    daemon: Daemon, simulator: Simulator, proxy: TcpProxy
) -> None:
    proxy.dribble(7, 0.0005)
    simulator.place_call("Linka_1002", "1003")
    await rows(daemon, 2, within_s=15)


async def test_silent_ami_is_noticed_and_nothing_rings_later(
    daemon: Daemon, simulator: Simulator, proxy: TcpProxy
) -> None:
    """Half-open: bytes go nowhere. The request fails within its 5 s, the list for 30 s does not."""
    proxy.stall()
    started = asyncio.get_running_loop().time()
    answer = await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    assert answer.errno == "900"
    assert 4.5 < asyncio.get_running_loop().time() - started < 6
    assert (await daemon.ask("listcalls")).data["success"] == "true"
    await eventually(
        lambda: daemon.events("ami.unavailable"), within_s=12, what="the loss is noticed"
    )
    proxy.resume()
    await listed(daemon, 2)
    await asyncio.sleep(1)
    assert simulator.channels == [], "the request was given up: nobody may ring now"


async def test_lost_answer_of_an_originate_is_not_asked_for_again(
    daemon: Daemon, simulator: Simulator
) -> None:
    simulator.drop_answers("Originate")
    answer = await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    assert answer.errno == "900"
    assert originates(simulator) == 1


async def test_the_same_request_twice_is_two_calls(daemon: Daemon, simulator: Simulator) -> None:
    for _ in range(2):
        await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    assert originates(simulator) == 2


async def test_without_the_database_known_users_go_on(
    simulator: Simulator, own_database: Database, start_daemon: StartDaemon
) -> None:
    await seed(own_database, "SIP")
    await own_database.execute(
        "INSERT INTO pbxapi.api_users (username, password_hash, permissions)"
        " SELECT 'stranger', password_hash, permissions FROM pbxapi.api_users"
    )
    daemon = await start_daemon(simulator.port, "pbxapi", SECRET, DATABASE_DSN=own_database.dsn)
    await listed(daemon)
    simulator.place_call("Linka_1002", "1003")
    before = await rows(daemon, 2)
    await asyncio.to_thread(own_database.server.stop)

    for _ in range(6):  # longer than a user is believed without a look
        answer = await daemon.ask("listcalls")
        assert [r["idChannel"] for r in answer.data["results"]] == [r["idChannel"] for r in before]
        await asyncio.sleep(1)
    assert (await daemon.ask("hangupcall", channelName=before[0]["channelName"])).errno == ""
    assert (
        await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    ).errno == "901"
    assert (await daemon.ask("listcalls", username="stranger")).errno == "901"

    await asyncio.to_thread(own_database.server.start)

    async def works() -> bool:
        answer = await daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
        return answer.errno == ""

    await eventually(works, within_s=5, what="the database is used again")


async def test_daemon_starts_without_database_and_asterisk(
    own_database: Database, start_daemon: StartDaemon, simulator: Simulator
) -> None:
    await seed(own_database, "SIP")
    await asyncio.to_thread(own_database.server.stop)
    daemon = await start_daemon(simulator.port, "pbxapi", SECRET, DATABASE_DSN=own_database.dsn)
    assert (await daemon.ask("listcalls")).errno == "901"
    await asyncio.to_thread(own_database.server.start)
    await rows(daemon, 0, within_s=6)


async def test_changed_password_and_rights_hold_within_five_seconds(
    daemon: Daemon, database: Database
) -> None:
    assert (await daemon.ask("listcalls")).errno == ""
    await database.execute("UPDATE pbxapi.api_users SET permissions = '{hangup}'")

    async def refused() -> bool:
        return (await daemon.ask("listcalls")).errno == "100"

    await eventually(refused, within_s=5.5, what="the right is gone")
    await database.execute("UPDATE pbxapi.api_users SET enabled = false")

    async def out() -> bool:
        return (await daemon.ask("hangupcall")).errno == "100"

    await eventually(out, within_s=5.5, what="the user is out")


async def test_sigterm_in_mid_request_answers_it_first(
    daemon: Daemon, simulator: Simulator
) -> None:
    simulator.slow_down("Originate", 1.0)
    request = asyncio.create_task(
        daemon.ask("originate", dstNum="1001", srcSipUsername="Linka_1000")
    )
    await eventually(
        lambda: simulator.received_actions("Originate"), within_s=3, what="the request is there"
    )
    code = await daemon.stop()
    assert (await request).raw == b'{"success":"true"}'
    assert code == 0


async def test_every_line_of_the_log_is_json_with_a_request_id_where_there_is_one(
    daemon: Daemon,
) -> None:
    answer = await daemon.ask("hangupcall", channelName="SIP/x-00000001")
    lines = [json.loads(line) for line in daemon.log.read_text("utf-8").splitlines()]
    ids = [line["request_id"] for line in lines if line["event"] == "request.refused"]
    assert answer.headers["X-Request-Id"] in ids


async def test_the_log_names_no_user_of_an_earlier_request(daemon: Daemon) -> None:
    """Requests of one kept connection: the second one's name was never believed."""
    await daemon.ask("hangupcall", channelName="SIP/x-00000001")
    answer = await daemon.ask("hangupcall", password="wrong")
    assert answer.errno == "100"
    last = daemon.events("request.refused")[-1]
    assert last["request_id"] == answer.headers["X-Request-Id"]
    assert not {"user", "action"} & last.keys()
