"""Tables of figures, as text for whoever waits and as docs/benchmarks.md for whoever reads."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
#: The libraries that take part in what is measured.
LIBRARIES = ("aiohttp", "asyncpg", "panoramisk", "pyst2")

_INTRO = """\
# Benchmarks

Made by `make bench` from a clone; nothing here is written by hand. `python -m tests.bench NAME…`
runs some of the benches and only prints.

Every figure that counts is a **ratio**: what is compared ran side by side, in the same run, on the
same machine. The absolute figures are what this one machine made of them, with the load generators
on its cores too.
"""


class CannotRun(Exception):
    """A bench lacks something on this machine; the message says what."""


@dataclass(frozen=True)
class Table:
    """What one bench has measured: a title, what was done and what is wanted, and the rows."""

    title: str
    intro: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def __str__(self) -> str:
        """As Markdown, in columns that can be read as they are."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        rule = tuple("-" * width for width in widths)
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in (self.head, rule, *self.rows)
        ]
        return f"## {self.title}\n\n{self.intro}\n\n" + "".join(f"{line} |\n" for line in lines)


def missing(name: str, reason: str) -> Table:
    """The table of a bench that could not run here."""
    return Table(name, "Could not run here.", ("why",), [(" ".join(reason.split()),)])


def write(tables: Iterable[Table], page: Path = PAGE) -> None:
    """Write the page: this machine, then every table."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in machine())
    text = f"{_INTRO}\n| | |\n|---|---|\n{facts}\n" + "\n".join(map(str, tables))
    page.write_text(text, encoding="utf-8")


def machine() -> list[tuple[str, str]]:
    """What the figures were made on, and when."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("CPU", f"{len(os.sched_getaffinity(0))} cores, {_cpu_model()}"),
        ("memory", f"{memory:.1f} GiB"),
        ("system", f"{_system()}, {platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("libraries", versions),
    ]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown"
