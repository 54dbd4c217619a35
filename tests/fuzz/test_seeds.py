"""What fuzzing begins with, and what it has found: all of it goes through, without atheris."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import agi_world, ami_world, http_world
from tests.fuzz.seeds import write_agi, write_ami, write_http

#: Inputs that broke something once.
FOUND = {
    "ami": [
        b"Asterisk Call Manager/7.0.3\r\nEvent:a: b\r\n\r\n",
        b"Asterisk Call Manager/7.0.3\r\nEvent:\xff\xff: fz-3\r\nMessage: x\r\n\r\n",
    ],
}
#: Every so many of the slices of recorded sessions: the others say much the same.
EACH = 20


async def test_ami(tmp_path: Path) -> None:
    write_ami(tmp_path)
    seeds = sorted(tmp_path.iterdir())[::EACH]
    assert len(seeds) > 20
    for data in (*FOUND["ami"], *(seed.read_bytes() for seed in seeds)):
        await ami_world.exercise(data)


@pytest.mark.parametrize(
    ("write", "exercise"),
    [(write_agi, agi_world.exercise), (write_http, http_world.exercise)],
    ids=["agi", "http"],
)
def test_agi_and_http(
    tmp_path: Path, write: Callable[[Path], None], exercise: Callable[[bytes], None]
) -> None:
    write(tmp_path)
    for seed in tmp_path.iterdir():
        exercise(seed.read_bytes())
        exercise(seed.read_bytes()[:-3])
