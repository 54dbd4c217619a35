"""queues.conf: what can be chosen of a queue and of its static members."""

from dataclasses import dataclass
from typing import Final

#: Number of the first queue of a call centre.
FIRST_EXTEN: Final = 70_000
_STRATEGIES: Final = ("rrmemory", "leastrecent", "ringall", "fewestcalls", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConfig:
    """A `member =>` line, or with `dynamic` a member that was added before the first start.

    Attributes:
        interface: Dial string that is called, as `Local/1000@extensions-dialplanid-1`.
        state_interface: Device whose state counts; "" = `interface` itself.
    """

    interface: str
    name: str
    state_interface: str = ""
    penalty: int = 0
    paused: bool = False
    dynamic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """One queue.

    Attributes:
        name: Its name.
        exten: Number in dial plan 1 at which it is reached; "" = none.
        strategy: ringall, leastrecent, fewestcalls and linear are played; any other takes members
            in turn, and says its own name.
        max_wait_s: Timeout of the application Queue; 0 = none.
        timeout_s: How long an agent rings.
        retry_s: Pause before the next attempt.
        maxlen: Callers that may wait; 0 = any number.
        join_empty: Whether a caller may join when nobody could take the call.
        leave_when_empty: Whether one who waits is sent away then.
        announce_s: Length of what is played to the agent before the caller is put through.
        ring_in_use: Whether agents who talk are called too.
        autopause: Whether an agent is paused who does not answer.
    """

    name: str
    exten: str = ""
    max_wait_s: float = 60.0
    strategy: str = "rrordered"
    timeout_s: float = 15.0
    retry_s: float = 1.0
    wrapuptime_s: int = 0
    servicelevel_s: int = 0
    weight: int = 0
    maxlen: int = 0
    join_empty: bool = True
    leave_when_empty: bool = False
    announce_s: float = 0.0
    ring_in_use: bool = False
    autopause: bool = False
    members: tuple[MemberConfig, ...] = ()


#: Of so many agents one serves a second queue, and one is a static member by his device alone.
_SECOND_QUEUE: Final = 4
_STATIC: Final = 7


def call_centre(
    queues: int, agents: int, technology: str, phones: tuple[str, ...]
) -> tuple[QueueConfig, ...]:
    """So many queues, at 70000 and on, and agents at these phones, who are spread over them."""
    members: list[list[MemberConfig]] = [[] for _ in range(queues)]
    for number, phone in enumerate(phones[:agents] if queues else ()):
        device = f"{technology}/{phone}"
        static = number % _STATIC == 0
        exten = phone.rpartition("_")[2]
        member = MemberConfig(
            interface=device if static else f"Local/{exten}@extensions-dialplanid-1",
            name=f"Agent {exten}",
            state_interface=device,
            penalty=number // max(1, queues) % 2,
            dynamic=not static,
        )
        members[number % queues].append(member)
        if number % _SECOND_QUEUE == 0 and queues > 1:
            members[(number + 1) % queues].append(member)
    return tuple(
        QueueConfig(
            name=f"queue{number}",
            exten=str(FIRST_EXTEN + number),
            strategy=_STRATEGIES[number % len(_STRATEGIES)],
            servicelevel_s=20,
            wrapuptime_s=number % 3,
            weight=number % 5,
            announce_s=float(number % 4 == 0),
            members=tuple(members[number]),
        )
        for number in range(queues)
    )
