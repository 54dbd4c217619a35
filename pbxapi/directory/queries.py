"""The statements of `queries.sql`, by name.

A statement begins with `-- name: its_name`; comment lines after that describe it. Text before the
first name describes the file.
"""

from importlib import resources
from typing import Final

_MARK = "-- name:"


def parse(text: str) -> dict[str, str]:
    """Statements by name, without their comments.

    Raises:
        ValueError: for a name that occurs twice, or one without a statement.
    """
    found: dict[str, list[str]] = {}
    statement: list[str] | None = None
    for line in text.splitlines():
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).strip()
            if name in found:
                raise ValueError(f"two statements are called {name!r}")
            statement = found[name] = []
        elif statement is not None and line.strip() and not line.startswith("--"):
            statement.append(line)
    if empty := [name for name, lines in found.items() if not lines]:
        raise ValueError(f"no statement under {empty}")
    return {name: "\n".join(lines).rstrip(";") for name, lines in found.items()}


QUERIES: Final = parse(
    resources.files("pbxapi.directory").joinpath("queries.sql").read_text(encoding="utf-8")
)
