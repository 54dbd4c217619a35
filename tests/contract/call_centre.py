"""The agents of a contract case, and the queues of Asterisk that they are members of.

`agents` of a case is a table by number: `queues` with the penalty in each, `at` the id of the
account where the agent is logged in, `paused`. Every PIN is 1234. `queues_of_asterisk` are those
that Asterisk knows; without it the same as the directory. Members are those that the agents ought
to be, and those in `members`. `wrong_pins` are guesses made before the request, at these numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pbxapi.access.passwords import PasswordChecker, hash_password
from pbxapi.actions.ports import CallCentre
from pbxapi.agents.asking import Pbx
from pbxapi.agents.desk import AgentDesk
from pbxapi.agents.membership import Place, places
from pbxapi.agents.pins import AgentPins
from pbxapi.directory.agent import Agent, Assignment, Login, Queue
from pbxapi.directory.lines import Line
from tests.agents.asterisk import Asterisk, Directory, Listener

_PASSWORDS = PasswordChecker()
PIN_HASH = hash_password("1234")
QUEUES = {name: Queue(number, name) for number, name in enumerate(("FrontaIT", "Obchod"), start=1)}


class Agents(Directory):
    """The directory of a case, whose lines are those of the world."""

    def __init__(self, lines: Iterable[Line], case: Mapping[str, Any]) -> None:
        self._logins = {
            account.id: Login(line.id, line.internal_num, line.dialplan_id, account, False)
            for line in lines
            for account in line.accounts
        }
        table = case.get("agents", {})
        super().__init__(*(self._agent(number, facts) for number, facts in table.items()))
        self.down = case.get("directory", {}).get("down", False)
        self.writes_down = case.get("directory", {}).get("writes_down", False)

    def _agent(self, number: str, facts: Mapping[str, Any]) -> Agent:
        login = self._logins[facts["at"]] if "at" in facts else None
        return Agent(
            id=int(number),
            number=number,
            name=f"Agent_{number}",
            password_hash=PIN_HASH,
            queues=tuple(
                Assignment(QUEUES[name], penalty)
                for name, penalty in facts.get("queues", {}).items()
            ),
            login=login and replace(login, paused=facts.get("paused", False)),
        )

    async def queue_by_name(self, name: str, /) -> Queue | None:
        self._read()
        return QUEUES.get(name)

    async def log_in(
        self, agent_id: int, account_id: int, *, paused: bool, instead_of: Iterable[int] = ()
    ) -> None:
        gone = {number: replace(self.agents[number], login=None) for number in instead_of}
        login = replace(self._logins[account_id], paused=paused)
        self._write({**gone, agent_id: replace(self.agents[agent_id], login=login)})


def make_members(agents: Agents, case: Mapping[str, Any]) -> Asterisk:
    """Asterisk's queues in the state of a case."""
    asterisk = Asterisk(*case.get("queues_of_asterisk", QUEUES))
    asterisk.unknown = case.get("pbx", {}).get("never", False)
    for agent in agents.agents.values():
        asterisk.put(*places(agent))
    asterisk.put(*(Place(**member) for member in case.get("members", ())))
    return asterisk


def make_call_centre(
    agents: Agents, pbx: Pbx, asterisk: Asterisk, case: Mapping[str, Any]
) -> CallCentre:
    """What the actions of agents use."""
    pins = AgentPins(agents, _PASSWORDS, max_failures=3, lockout_s=60)
    for number in case.get("wrong_pins", ()):
        pins._attempts.failed(number, "127.0.0.1")
    return CallCentre(
        pins=pins,
        desk=AgentDesk(agents, pbx, asterisk, Listener()),
        status_mode=case.get("status_mode", "reason"),
    )
