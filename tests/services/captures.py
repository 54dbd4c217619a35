"""Recorded AMI sessions of real Asterisk, `tests/captures/<version>/<name>.ami`.

A file holds every byte that the server sent in one whole session, from the banner to the end.
"""

from pathlib import Path

VERSIONS = ("16", "22")

_FOLDER = Path(__file__).resolve().parents[1] / "captures"


def names(version: str) -> list[str]:
    """The recorded sessions of that version, sorted."""
    return sorted(path.stem for path in (_FOLDER / version).glob("*.ami"))


def read(version: str, name: str) -> bytes:
    """The bytes of one recorded session.

    Raises:
        FileNotFoundError: there is no such recording.
    """
    return (_FOLDER / version / f"{name}.ami").read_bytes()
