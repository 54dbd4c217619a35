"""The endurance run by hand: `python -m tests.endurance --minutes 60 --seed 1 [--json FILE]`."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.endurance.run import run

FIGURES = (
    *("requests", "errors", "longest_s", "faults", "originates", "compared_at_the_end"),
    *("descriptors", "threads", "rss_mib", "inside", "slowness", "slow_answers"),
    *("slopes_per_minute",),
)


def text_of(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['seconds'] / 60:.1f} minutes, seed {report['seed']}"]
    lines += [f"{name}: {report[name]}" for name in FIGURES]
    wrong = report["wrong"]
    lines += [f"WRONG ({len(wrong)}):", *wrong[:50]] if wrong else ["nothing was wrong"]
    return "\n".join(lines)


def main() -> int:
    """Run, tell; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="the report for machines")
    parser.add_argument("--log", type=Path, help="copy of the daemon's log")
    parser.add_argument("--kill", action="store_true", help="kill the daemon now and then, too")
    args = parser.parse_args()
    report = asyncio.run(run(args.minutes * 60, args.seed, args.log, kill=args.kill))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    print(text_of(report))
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
