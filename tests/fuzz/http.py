"""HTTP: query strings, forms, request lines, guided by coverage (atheris).

`python -m tests.fuzz.http CORPUS -max_total_time=300`.
"""

import sys

import atheris

with atheris.instrument_imports(include=["pbxapi"]):
    from tests.fuzz.http_world import exercise

from tests.fuzz.running import quiet, start
from tests.fuzz.seeds import write_http

if __name__ == "__main__":
    quiet()
    sys.exit(start(exercise, write_http))
