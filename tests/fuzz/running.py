"""What the targets have in common: how they are started, and how input is cut."""

import logging
import random
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

#: Seconds that one input may take, and megabytes that the process may.
_LIMITS = ("-timeout=20", "-rss_limit_mb=2048")


def quiet() -> None:
    """Refusals are logged by the thousand: nobody reads them here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def start(one_input: Callable[[bytes], None], write_seeds: Callable[[Path], None]) -> int:
    """Fuzz until a limit on the command line is met; the first argument is the corpus."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    write_seeds(corpus)
    import atheris  # noqa: PLC0415 - regression tests cut input without it

    atheris.Setup([*sys.argv, *_LIMITS], one_input)
    atheris.Fuzz()
    return 0


def pieces(data: bytes) -> Iterator[bytes]:
    """The same cuts for the same data: some single bytes, some long stretches."""
    chance = random.Random(zlib.crc32(data))
    most = chance.choice((1, 7, 100, 5000)) if len(data) < 2000 else chance.choice((300, 5000))
    while data:
        size = chance.randint(1, most)
        yield data[:size]
        data = data[size:]
