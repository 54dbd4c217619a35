"""What has to be asked of Asterisk so that its queue members are those that they ought to be.

Pure: two sets of members in, requests out, each with what would undo it.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

from pbxapi.agents.membership import Key, Place, QueueMember, as_place, is_ours, key
from pbxapi.ami.requests import Request
from pbxapi.cache.queues.queue import key_of

#: Answers that mean that it is already as it ought to be (app_queue.c, manager_*(), 16 to 22).
ALREADY_THERE: Final = "Unable to add interface: Already there"
_NOTHING_TO_REMOVE: Final = frozenset(
    {
        "Unable to remove interface: Not there",
        "Unable to remove interface from queue: No such queue",
    }
)
_NOBODY_TO_PAUSE: Final = "Interface not found"


@dataclass(frozen=True, slots=True)
class Change:
    """One request, and what is so once Asterisk has granted it.

    Attributes:
        before: The member as it was; None where there was none.
        after: The member as it will be; None where there will be none.
    """

    before: Place | None
    after: Place | None

    @property
    def place(self) -> Place:
        """The member that it is about."""
        return cast("Place", self.after or self.before)

    @property
    def undone(self) -> "Change":
        """The change that takes this one back."""
        return Change(self.after, self.before)

    @property
    def request(self) -> Request:
        """What to ask for."""
        before, after = self.before, self.after
        where = (("Queue", self.place.queue), ("Interface", self.place.interface))
        if after is None:
            return Request("QueueRemove", where)
        if before is None:
            return Request(
                "QueueAdd",
                (
                    *where,
                    ("MemberName", after.name),
                    ("StateInterface", after.state_interface),
                    ("Penalty", str(after.penalty)),
                    ("Paused", _flag(after.paused)),
                ),
            )
        if before.penalty != after.penalty:
            return Request("QueuePenalty", (*where, ("Penalty", str(after.penalty))))
        return Request("QueuePause", (*where, ("Paused", _flag(after.paused))))

    def is_needless(self, refusal: str) -> bool:
        """Whether Asterisk refused it because it is so already, or there is nobody to pause."""
        if self.after is None:
            return refusal in _NOTHING_TO_REMOVE
        if self.before is None:
            return refusal == ALREADY_THERE
        return refusal == _NOBODY_TO_PAUSE

    def is_shown_by(self, there: QueueMember | None) -> bool:
        """Whether whoever has its place now is as it would have him."""
        is_he = there is not None and there.name == self.place.name
        if there is None or self.after is None:
            return is_he == (self.after is not None)
        return is_he and (there.penalty, there.paused) == (self.after.penalty, self.after.paused)


def difference(
    wanted: Iterable[Place], members: Iterable[QueueMember], names: Collection[str]
) -> tuple[Change, ...]:
    """How the members of these names become those that are wanted.

    What has to leave a place comes before what takes it.

    Args:
        wanted: Where agents ought to be; of two that want one place the first has it.
        members: All members of all queues.
        names: The agents that this is about; members of other names are never touched.
    """
    places: dict[Key, Place] = {}
    for place in wanted:
        places.setdefault(key(place), place)
    leaving: list[Change] = []
    changing: list[Change] = []
    for member in members:
        if member.name not in names or not is_ours(member):
            continue
        wanted_here = places.get(key(member))
        if wanted_here is not None and _is_the_same(wanted_here, member):
            del places[key(member)]
            changing += _adjustments(as_place(member), wanted_here)
        else:
            leaving.append(Change(as_place(member), None))
    joining = (Change(None, place) for place in places.values())
    return (*leaving, *changing, *joining)


def _is_the_same(place: Place, member: QueueMember) -> bool:
    same_device = key_of(place.state_interface) == key_of(member.state_interface)
    return place.name == member.name and same_device


def _adjustments(now: Place, wanted: Place) -> Iterator[Change]:
    """One change for each property, under the spelling that Asterisk has."""
    if now.penalty != wanted.penalty:
        adjusted = replace(now, penalty=wanted.penalty)
        yield Change(now, adjusted)
        now = adjusted
    if now.paused != wanted.paused:
        yield Change(now, replace(now, paused=wanted.paused))


def _flag(value: bool) -> str:
    return "true" if value else "false"


def insist(
    doubtful: Iterable[Change], wanted: Iterable[Place], certain: Iterable[Change]
) -> list[Change]:
    """Requests for what the picture cannot show yet: changes that may have been made or not.

    Asterisk answers in the order in which it was asked: what is asked for now has the last word
    over a request that it has not answered yet.

    Args:
        doubtful: Changes that were asked for.
        wanted: Where agents ought to be.
        certain: What is asked for anyway.
    """
    ought = {key(place): place for place in wanted}
    done = {key(change.place) for change in certain}
    by_key: dict[Key, list[Change]] = {}
    for change in doubtful:
        by_key.setdefault(key(change.place), []).append(change)
    return [
        each
        for place, changes in by_key.items()
        if place not in done
        for each in _insist_on(ought.get(place), changes)
    ]


def _insist_on(wanted: Place | None, doubtful: list[Change]) -> Iterator[Change]:
    """Requests after which a place is as it is wanted, whichever of the changes were made."""
    if wanted is None:
        yield Change(doubtful[0].place, None)
    elif any(change.before is None or change.after is None for change in doubtful):
        if any(change.place.name != wanted.name for change in doubtful):
            yield Change(wanted, None)
        yield Change(None, wanted)
    else:
        yield Change(replace(wanted, penalty=wanted.penalty + 1), wanted)
        yield Change(replace(wanted, paused=not wanted.paused), wanted)
