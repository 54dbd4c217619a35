"""Where a recording goes by the words of a request; nothing leaves the record roots."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given, strategies as st

from pbxapi.faults import Fault
from pbxapi.recordings.plan import folder_in, is_file_name, names_of, place_in, plan_move

ROOTS = (
    PurePosixPath("/var/spool/monitor"),
    PurePosixPath("/mnt/nas"),
    PurePosixPath("/mnt/nas/in"),
)

#: Whatever could be a way out, between what could not.
WORDS = st.sampled_from(
    ["..", ".", "", "/", "//", "mnt", "nas", "in", "/mnt/nas", "/mnt/nas/", "var/spool/monitor",
     "\0", "~", "%2e%2e", "..%2f", "\\..\\", "...", ". .", "x" * 300, "ř" * 128, "\ud800", "etc"]
)  # fmt: skip
PATHS = st.lists(WORDS | st.text(max_size=5), max_size=6).map("/".join) | st.text(max_size=20)


def is_inside(path: str) -> bool:
    """By another way than the code: nothing but names below a root."""
    names = path.split("/")[1:]
    safe = all(name not in ("", ".", "..") and "\0" not in name for name in names)
    return safe and any(path.startswith(f"{root}/") for root in ROOTS)


@given(recording=PATHS, filename=st.none() | PATHS, path=st.none() | PATHS)
def test_no_path_leaves_the_roots(recording: str, filename: str | None, path: str | None) -> None:
    for source in (recording, "/mnt/nas/" + recording, "/var/spool/monitor/a.wav"):
        try:
            plan = plan_move(ROOTS, source, filename, path)
        except Fault:
            continue
        assert is_inside(plan.source.path)
        assert is_inside(plan.target.path)
        for place in plan:
            assert is_file_name(place.name)
            assert all(map(is_file_name, place.folder.below))
            assert PurePosixPath(place.folder.root) in ROOTS


@given(path=PATHS)
def test_what_is_a_place_is_read_as_the_same_place_again(path: str) -> None:
    for prefix in ("", "/mnt/nas/"):
        place = place_in(ROOTS, prefix + path)
        assert place is None or place_in(ROOTS, place.path) == place


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/mnt/nas", "/mnt/nas", ()),
        ("/mnt/nas/2018/", "/mnt/nas", ("2018",)),
        ("/mnt/nas/in/x", "/mnt/nas/in", ("x",)),
        ("//mnt//nas/./inner", "/mnt/nas", ("inner",)),
    ],
)
def test_a_folder_belongs_to_its_innermost_root(
    path: str, root: str, below: tuple[str, ...]
) -> None:
    names = names_of(path)
    assert names is not None
    assert folder_in(ROOTS, names) == (root, below)


@pytest.mark.parametrize("path", ["/mnt", "/", "/mnt/nas2", "/mnt/na", "/var/spool/monitor2/x"])
def test_a_folder_beside_or_above_a_root_is_outside(path: str) -> None:
    names = names_of(path)
    assert names is not None
    assert folder_in(ROOTS, names) is None


def test_the_root_of_all_may_be_a_record_root() -> None:
    place = place_in((PurePosixPath("/"),), "/a.wav")
    assert place is not None
    assert (place.path, place.folder.path) == ("/a.wav", "/")


def test_a_move_to_where_it_is_is_nothing() -> None:
    for filename, path in (("a.wav", None), (None, "/mnt/nas/"), ("a.wav", "/mnt/nas")):
        assert plan_move(ROOTS, "/mnt//nas/a.wav", filename, path).is_nothing


@pytest.mark.parametrize(
    "recording", ["a.wav", "/mnt/nas", "/mnt/nas/", "/mnt/nas/x/", "/etc/x", "/mnt/nas/../x"]
)
def test_a_call_record_that_names_no_file_in_a_root_is_no_source(recording: str) -> None:
    with pytest.raises(Fault, match="811 Source file"):
        plan_move(ROOTS, recording, "b.wav", None)
