"""What is done next about a move: whatever is on disk, no step takes the last copy away."""

import itertools

import pytest

from pbxapi.recordings.steps import Seen, Sight, State, Step, next_step

GONE, OURS, OTHER = Sight.GONE, Sight.OURS, Sight.OTHER
#: Everything that can be seen; two names of one file look alike.
EVERYTHING = [
    Seen(source, target, part, linked, folder)
    for source, target, part, linked, folder in itertools.product(
        Sight, Sight, Sight, (False, True), (False, True)
    )
    if folder or (target is part is GONE and not linked)
    if not linked or (source is target and source is not GONE)
]


def steps(state: State) -> dict[Seen, Step]:
    return {seen: next_step(state, seen) for seen in EVERYTHING}


def test_there_is_a_step_for_whatever_is_seen() -> None:
    assert len(EVERYTHING) > 30
    for state in State:
        assert set(steps(state)) == set(EVERYTHING)


@pytest.mark.parametrize("state", State)
def test_no_name_goes_unless_another_of_the_same_bytes_was_seen(state: State) -> None:
    for seen, step in steps(state).items():
        match step:
            case Step.REMOVE_SOURCE:
                assert seen.linked or (seen.source is OURS and seen.target is OURS)
            case Step.REMOVE_PART:
                assert seen.target is OURS
            case Step.UNDO:
                assert seen.source is not GONE, "it removes the part"
            case Step.RECORD:
                assert seen.target is OURS
            case Step.PUBLISH:
                assert (seen.part, seen.target) == (OURS, GONE)
            case Step.FORGET | Step.WAIT:
                pass


def test_what_nobody_can_tell_waits() -> None:
    nothing = Seen(GONE, GONE, GONE, linked=False, folder=True)
    assert {next_step(state, nothing) for state in State} == {Step.WAIT}


def test_a_share_that_is_not_mounted_is_waited_for() -> None:
    away = Seen(OURS, GONE, GONE, linked=False, folder=False)
    assert {next_step(state, away) for state in State} == {Step.WAIT}
    source_away = Seen(GONE, OURS, GONE, linked=False, folder=True, source_folder=False)
    assert next_step(State.RECORDED, source_away) is Step.WAIT


def test_a_source_that_was_written_to_stays() -> None:
    grown = Seen(OTHER, OURS, GONE, linked=False, folder=True)
    assert next_step(State.RECORDED, grown) is Step.FORGET


def test_a_copy_whose_source_was_deleted_gets_its_name() -> None:
    seen = Seen(GONE, GONE, OURS, linked=False, folder=True)
    assert next_step(State.COPIED, seen) is Step.PUBLISH
    assert next_step(State.COPIED, seen._replace(target=OTHER)) is Step.WAIT
