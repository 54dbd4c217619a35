"""How fast the large answers are, beside the same bytes as a constant and the ways of before."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from pbxapi.load.connection import Connection
from pbxapi.load.mix import make_mix
from pbxapi.load.tally import Tally
from pbxapi.load.target import Target
from tests.bench.answering import (
    HOST,
    PASSWORD,
    USERNAME,
    Pbx,
    run_constant,
    run_daemon,
    run_events,
    spawned,
)
from tests.bench.before import CannotAsk, asked, before
from tests.bench.pbx import simulated
from tests.bench.pictures import PATH
from tests.bench.report import CannotRun, Table, missing

SIZES = (0, 100, 1_000, 5_000)
QUEUES, AGENTS, PEERS = 200, 2_000, 5_000
#: Here sipstatus is asked for too.
PEERS_AT = 1_000
EVENTS_PER_S = 2_000
#: Clients that ask as fast as it goes; then requests a second at an even rate, for percentiles.
CLIENTS, MOST_PER_S = 8, 250
#: The even rate is this share of what goes at most, so that nobody waits for others.
SHARE = 0.25
ROUNDS, ROUND_S, EVEN_S = 2, 0.6, 1.6
SETTLE_S = 0.3

_SAME = (
    "The daemon's web path over pictures of a simulated PBX with 200 queues and 2,000 agents, in\n"
    "one process; the generator in another. Constant: an aiohttp handler that returns the same\n"
    f"bytes, in a process of its own, asked in turns with ours by {CLIENTS} clients as fast as it\n"
    f"goes. Percentiles are of requests at an even rate, at most {MOST_PER_S} a second, counted\n"
    f"from when each was due. Events: {EVENTS_PER_S:,} captured ones a second about all the\n"
    "queues, by a second AMI session; they, the simulator and the generator have the same cores.\n"
    "Wanted: 0.9 of the constant; p99 among events at most twice the idle one."
)
_HEAD = (
    *("channels", "action", "bytes", "requests/s", "constant", "ratio", "p99 idle"),
    *("constant's p99", "events/s", "requests/s", "p99 among events", "p99 ratio"),
)


def _ask(port: int, action: str, names: Sequence[str], rate: float | None, s: float) -> Tally:
    """What comes of one action, of queues of these names where there are any."""
    target = Target(HOST, port, PATH)
    values = {(action, "queueName"): names} if names else {}
    who = {"username": USERNAME, "password": PASSWORD}
    questions = make_mix({action: 1}, values).questions(
        lambda form: target.request({**who, **form})
    )
    clients = [Connection(target, 10.0) for _ in range(CLIENTS)]
    return asyncio.run(asked(questions, clients, rate, s))


def _body(port: int, action: str, names: Sequence[str]) -> bytes:
    target = Target(HOST, port, PATH)
    form = {"username": USERNAME, "password": PASSWORD, "action": action}
    form |= {"queueName": names[0]} if names else {}

    async def ask() -> bytes:
        connection = Connection(target, 10.0)
        answer = await connection.ask(target.request(form))
        connection.close()
        if answer.failure:
            raise CannotRun(f"{action} failed: {answer.failure}")
        return answer.body

    return asyncio.run(ask())


def _told(pipe: Pipe, what: object) -> int:
    pipe.send(what)
    answer: int = pipe.recv()
    return answer


@dataclass(frozen=True)
class Rig:
    """All that takes part, as ports and pipes."""

    daemon: Pipe
    port: int
    constant: Pipe
    constant_port: int
    events_port: int

    def row(self, channels: int, action: str, names: Sequence[str] = ()) -> tuple[str, ...]:
        body = _body(self.port, action, names)
        _told(self.constant, body)
        ours, limit = Tally(), Tally()
        for _ in range(ROUNDS):
            ours.merge(_ask(self.port, action, names, None, ROUND_S))
            limit.merge(_ask(self.constant_port, action, names, None, ROUND_S))
        took_s = ROUNDS * ROUND_S
        rate = min(MOST_PER_S, SHARE * ours.succeeded / took_s)
        idle = _ask(self.port, action, names, rate, EVEN_S)
        even = _ask(self.constant_port, action, names, rate, EVEN_S)
        _told(self.daemon, self.events_port)
        began = time.perf_counter()
        _ask(self.port, action, names, rate, SETTLE_S)
        busy = _ask(self.port, action, names, None, ROUND_S)
        among = _ask(self.port, action, names, rate, EVEN_S)
        events_per_s = _told(self.daemon, 0) / (time.perf_counter() - began)
        for tally in (ours, limit, idle, even, busy, among):
            if tally.failures:
                raise CannotRun(f"{action} failed: {dict(tally.failures)}")
        return (
            f"{channels:,}",
            action,
            f"{len(body):,}",
            f"{ours.succeeded / took_s:,.0f}",
            f"{limit.succeeded / took_s:,.0f}",
            f"{ours.succeeded / limit.succeeded:.2f}",
            f"{_p99_ms(idle):.1f} ms",
            f"{_p99_ms(even):.1f} ms",
            f"{events_per_s:,.0f}",
            f"{busy.succeeded / ROUND_S:,.0f}",
            f"{_p99_ms(among):.1f} ms",
            f"{_p99_ms(among) / _p99_ms(idle):.1f}",
        )


def _p99_ms(tally: Tally) -> float:
    return tally.latencies.percentile_s(99) * 1000


def _beside_the_constant() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    names = [f"queue{number}" for number in range(QUEUES)]
    with (
        spawned(run_constant) as constant,
        spawned(run_events, EVENTS_PER_S, QUEUES) as events,
    ):
        constant_port, events_port = constant.recv(), events.recv()
        for channels in SIZES:
            with ExitStack() as stack:
                peers = PEERS if channels == PEERS_AT else AGENTS
                size = {"channels": channels, "peers": peers, "queues": QUEUES, "agents": AGENTS}
                pbx = Pbx(stack.enter_context(simulated(**size)), channels, QUEUES, peers)
                daemon = stack.enter_context(spawned(run_daemon, pbx))
                rig = Rig(daemon, daemon.recv(), constant, constant_port, events_port)
                rows += [rig.row(channels, "listcalls"), rig.row(channels, "queuestatus", names)]
                if channels == PEERS_AT:
                    rows.append(rig.row(channels, "sipstatus"))
    return rows


def _beside_before() -> Table:
    """Ours and the ways of before, of one real Asterisk."""
    with before() as asterisk:
        ways = {"new AMI session": asterisk.by_ami, "ARI": asterisk.by_ari}
        with spawned(run_daemon, asterisk.pbx) as daemon:
            port = daemon.recv()
            rows = []
            for action, names in (("listcalls", []), ("queuestatus", [asterisk.queue])):
                ours = _ask(port, action, names, None, ROUND_S)
                rows.append((action, "pbxapi", *_figures(ours), "1"))
                for name, way in ways.items():
                    try:
                        tally = way(action, CLIENTS, ROUNDS * ROUND_S)
                    except CannotAsk as error:
                        rows.append((action, name, "-", "-", "-", str(error)))
                        continue
                    per_s = tally.succeeded / (ROUNDS * ROUND_S)
                    ratio = ours.succeeded / ROUND_S / max(per_s, 1e-9)
                    figures = _figures(tally, ROUNDS * ROUND_S)
                    rows.append(
                        (action, name, *figures, f"pbxapi answers {ratio:,.1f} times as many")
                    )
        return Table(
            "Answers, beside what api.php did",
            f"Real Asterisk {asterisk.version}, {asterisk.pbx.channels} live channels. As api.php\n"
            "did for each request: connect to AMI, log in, CoreShowChannels or QueueStatus, log\n"
            f"off; {CLIENTS} at a time, and without PHP, which came on top. ARI: GET /channels.",
            ("action", "way", "requests/s", "p50", "p99", ""),
            rows,
        )


def _figures(tally: Tally, took_s: float = ROUND_S) -> tuple[str, ...]:
    if tally.failures:
        raise CannotRun(f"failed: {dict(tally.failures)}")
    cuts = (tally.latencies.percentile_s(percent) * 1000 for percent in (50, 99))
    return f"{tally.succeeded / took_s:,.0f}", *(f"{cut:.1f} ms" for cut in cuts)


def run() -> list[Table]:
    """Two tables: beside the constant, and beside a real Asterisk that is asked each time."""
    tables = [Table("Answers", _SAME, _HEAD, _beside_the_constant())]
    try:
        tables.append(_beside_before())
    except CannotRun as error:
        tables.append(missing("Answers, beside what api.php did", str(error)))
    return tables
