"""`make bench`: ratios measured side by side in one run.

Without a name all benches run and docs/benchmarks.md is written anew; with names these run and are
only printed. No figure is asserted: what a machine makes of them depends on the machine.
"""

import importlib
import sys
import time

from tests.bench import report

#: Modules beside this one, each with `run() -> list[Table]`.
BENCHES = ("ingest", "answers", "freshness", "cold_start", "cost", "originate", "storm")


def run(name: str) -> list[report.Table]:
    """The tables of one bench; where it lacks something, one that says what."""
    began = time.perf_counter()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        tables: list[report.Table] = importlib.import_module(f"tests.bench.{name}").run()
    except (ImportError, report.CannotRun) as error:
        tables = [report.missing(name, str(error))]
    for table in tables:
        print(table, flush=True)
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return tables


def main(names: list[str]) -> None:
    if unknown := set(names) - set(BENCHES):
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    tables = [table for name in names or BENCHES for table in run(name)]
    if not names:
        report.write(tables)


if __name__ == "__main__":
    main(sys.argv[1:])
