"""AMI bytes through session, followers, stores and views, guided by coverage (atheris).

`python -m tests.fuzz.ami CORPUS -max_total_time=300`. Whatever comes in, cut anywhere: nothing may
rise but what is documented, no wait may outlive its session, and the same bytes give the same
messages. Inputs that broke this once are in `tests/ami/test_fuzzed.py`.
"""

import sys

import atheris

with atheris.instrument_imports(include=["pbxapi"]):
    from tests.fuzz.ami_world import exercise
    from tests.fuzz.seeds import write_ami

import asyncio

from tests.fuzz.running import quiet, start

_LOOP = asyncio.new_event_loop()


def one_input(data: bytes) -> None:
    """Called by atheris."""
    _LOOP.run_until_complete(exercise(data))


if __name__ == "__main__":
    quiet()
    sys.exit(start(one_input, write_ami))
