"""Requests drawn from the description of the API (schemathesis), against a daemon that runs.

`python -m tests.fuzz.described URL USERNAME PASSWORD --examples 2000` asks each action that often
by each method. All answers have to be as described; HTTP 200 alone is described.
"""

import argparse
import copy
import sys
from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from schemathesis.generation import GenerationMode
from yarl import URL

from pbxapi.actions import ACTIONS
from pbxapi.web.openapi import describe

_HARMLESS = r"^[^\x00-\x1f\x7f-\x9f]+$"


def _only(action: str, path: str, username: str, password: str) -> dict[str, Any]:
    """The description, as if there were one action and one user.

    Some values are the examples of their parameters, some have no control characters: else hardly a
    request would get past the first of the checks.
    """
    document = copy.deepcopy(describe(path))
    schemas = document["components"]["schemas"]
    name = document["x-pbxapi-actions"][action]["request"]["$ref"].rpartition("/")[2]
    request = schemas["Request"] = schemas[name]
    for name, schema in request["properties"].items():
        if "examples" in schema:
            harmless = {"pattern": _HARMLESS} | schema
            request["properties"][name] = {
                "anyOf": [{"enum": schema["examples"]}, harmless, schema]
            }
    request["properties"]["username"] = {"const": username}
    request["properties"]["password"] = {"const": password}
    request["additionalProperties"] = False
    (parameter,) = document["paths"][path]["get"]["parameters"]
    del parameter["examples"]
    return document


def ask(action: str, url: str, username: str, password: str, examples: int) -> Counter[str]:
    """Ask one action by GET and by POST; returns how often each code was the answer.

    Raises:
        Exception: of schemathesis, an answer was not as described.
    """
    where = URL(url)
    schema = schemathesis.openapi.from_dict(_only(action, where.path, username, password))
    schema.config.update(base_url=str(where.origin()))
    codes: Counter[str] = Counter()
    for method in ("GET", "POST"):
        operation = schema[where.path][method]

        @seed(1)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def try_one(case: Any) -> None:
            response = case.call(timeout=20)
            case.validate_response(response)
            codes[response.json().get("errno", "success")] += 1

        try_one()
    return codes


def main() -> int:
    """Ask all of them, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.described", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("username")
    parser.add_argument("password")
    parser.add_argument("--examples", type=int, default=2000)
    args = parser.parse_args()
    total = 0
    for action in ACTIONS:
        codes = ask(action, args.url, args.username, args.password, args.examples)
        total += codes.total()
        print(action, dict(codes.most_common()), flush=True)
    print(total, "requests, all answered as described")
    return 0


if __name__ == "__main__":
    sys.exit(main())
