"""An agent of the call centre, with the queues that he serves and where he is logged in."""

from dataclasses import dataclass

from pbxapi.directory.account import Account


@dataclass(frozen=True, slots=True)
class Queue:
    """A row of `queues`."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A queue that an agent serves; the lower the penalty, the sooner he is called."""

    queue: Queue
    penalty: int


@dataclass(frozen=True, slots=True)
class Login:
    """Where an agent is logged in.

    Attributes:
        extension_id: The line; the next two are its number and dial plan.
        account: The account of the line whose state is that of the agent's telephone.
        paused: Whether he takes no calls from queues for now.
    """

    extension_id: int
    internal_num: str
    dialplan_id: int
    account: Account
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A row of `agents`, with his queues by name and his login.

    Attributes:
        number: What he logs in with.
        name: His member name in the queues, as Asterisk keeps it.
        password_hash: argon2id hash of his PIN.
        login: None while he is logged out.
    """

    id: int
    number: str
    name: str
    password_hash: str
    queues: tuple[Assignment, ...] = ()
    login: Login | None = None
