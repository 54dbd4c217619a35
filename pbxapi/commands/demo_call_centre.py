"""The call centre of the demo: its queues in the simulator, its agents in the directory.

Some agents are logged in from the beginning, on both sides alike; the others wait for `agentlogin`.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import asyncpg

from pbxapi.access.passwords import hash_password
from pbxapi.simulator.queue_config import MemberConfig, QueueConfig

#: PIN of every agent of the demo.
PIN: Final = "1234"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent.

    Attributes:
        number: What he logs in with.
        name: Member name in the queues.
        queues: Penalty by the queue that is assigned to him.
        line: Internal number at which he is logged in, or "".
    """

    number: str
    name: str
    queues: dict[str, int]
    line: str = ""


AGENTS: Final = (
    Agent("2001", "Jan Novák", {"sales": 0, "support": 1}, "1000"),
    Agent("2002", "Žofie Černá", {"sales": 0}, "1001"),
    Agent("2003", "Petr Svoboda", {"support": 0}, "1002"),
    Agent("2004", "Eva Malá", {"support": 0, "billing": 0}, "1003"),
    Agent("2005", "Karel Dvořák", {"sales": 1, "billing": 0}),
    Agent("2006", "Jana Veselá", {"support": 1}),
)
#: Number at which a queue is reached, by its name.
EXTENS: Final = {"sales": "901", "support": "902", "billing": "903"}
_STRATEGIES: Final = {"sales": "rrmemory", "support": "leastrecent", "billing": "ringall"}
_DIALPLAN: Final = "extensions-dialplanid-1"


def queues(technology: str) -> tuple[QueueConfig, ...]:
    """The queues, with the agents who are logged in and a static member at the reception."""
    reception = MemberConfig(interface=f"{technology}/Linka_1010", name="Reception", penalty=2)
    return tuple(
        QueueConfig(
            name=name,
            exten=exten,
            strategy=_STRATEGIES[name],
            servicelevel_s=20,
            wrapuptime_s=2,
            members=(*_logged_in(name, technology), *((reception,) if name == "sales" else ())),
        )
        for name, exten in EXTENS.items()
    )


def _logged_in(queue: str, technology: str) -> list[MemberConfig]:
    return [
        MemberConfig(
            interface=f"Local/{agent.line}@{_DIALPLAN}",
            name=agent.name,
            state_interface=f"{technology}/Linka_{agent.line}",
            penalty=agent.queues[queue],
            dynamic=True,
        )
        for agent in AGENTS
        if agent.line and queue in agent.queues
    ]


async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Write queues and agents into the directory; the lines are there already."""
    await connection.executemany(
        "INSERT INTO pbxapi.queues (name) VALUES ($1)", [(name,) for name in EXTENS]
    )
    pins = await asyncio.gather(*(asyncio.to_thread(hash_password, PIN) for _ in AGENTS))
    await connection.executemany(
        "INSERT INTO pbxapi.agents (number, name, full_name, pin_hash) VALUES ($1, $2, $2, $3)",
        [(agent.number, agent.name, pin) for agent, pin in zip(AGENTS, pins, strict=True)],
    )
    await connection.executemany(
        "INSERT INTO pbxapi.agent_queues (agent_id, queue_id, penalty)"
        " SELECT a.id, q.id, $3 FROM pbxapi.agents a, pbxapi.queues q"
        " WHERE a.number = $1 AND q.name = $2",
        [(a.number, queue, penalty) for a in AGENTS for queue, penalty in a.queues.items()],
    )
    await connection.executemany(
        "INSERT INTO pbxapi.agent_logins (agent_id, extension_line_id)"
        " SELECT a.id, l.id FROM pbxapi.agents a, pbxapi.extension_line l"
        " WHERE a.number = $1 AND l.sip_username = $2",
        [(agent.number, f"Linka_{agent.line}") for agent in AGENTS if agent.line],
    )
