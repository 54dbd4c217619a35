"""The description of the legacy surface: valid, and neither more nor less than the code does."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from pbxapi.actions import ACTIONS
from pbxapi.actions.registry import SHARED_ERRORS
from pbxapi.faults import REASONS
from pbxapi.web.app import DESCRIPTION_PATH, LegacyApi, make_app
from pbxapi.web.openapi import describe
from pbxapi.web.openapi_texts import PARAMETERS
from pbxapi.web.params import merge, parse_query, parse_urlencoded
from tests.contract.world import FakeGatekeeper, make_ports

PATH = "/api/api.php"
DOCUMENT = describe(PATH)
CASES = [
    case
    for file in sorted((Path(__file__).parents[1] / "contract" / "cases").glob("*.json"))
    for case in json.loads(file.read_text("utf-8"))
]


def validator(reference: str) -> Draft202012Validator:
    """Of a schema of the document, which refers to others."""
    return Draft202012Validator({"$ref": reference, "components": DOCUMENT["components"]})


ANSWER = Draft202012Validator(
    DOCUMENT["components"]["responses"]["Answer"]["content"]["application/json"]["schema"]
    | {"components": DOCUMENT["components"]}
)


def params_of(case: dict[str, Any]) -> dict[str, str]:
    body = parse_urlencoded(case.get("form", "").encode())
    return dict(merge(parse_query(case["query"].encode()), body))


def facts(action: str) -> dict[str, Any]:
    entry: dict[str, Any] = DOCUMENT["x-pbxapi-actions"][action]
    return entry


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_has_the_actions_of_the_code() -> None:
    assert set(DOCUMENT["x-pbxapi-actions"]) == set(ACTIONS)
    (parameter,) = DOCUMENT["paths"][PATH]["get"]["parameters"]
    assert set(parameter["examples"]) == set(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)
def test_it_has_the_parameters_permission_and_codes_of_each_action(action: Any) -> None:
    entry = facts(action.name)
    schema = DOCUMENT["components"]["schemas"][entry["request"]["$ref"].rpartition("/")[2]]
    assert set(schema["properties"]) == {"username", "password", "action", *action.parameters}
    assert entry["permission"] == action.permission
    assert set(entry["errors"]) == {str(code) for code in (*SHARED_ERRORS, *action.errors)}
    assert schema["description"]


def test_no_parameter_and_no_code_is_described_that_the_code_has_not() -> None:
    read = {name for action in ACTIONS.values() for name in action.parameters}
    assert set(PARAMETERS) == read | {"username", "password"}
    errors = {code for action in ACTIONS.values() for code in action.errors}
    assert errors | set(SHARED_ERRORS) == set(REASONS)
    for action in ACTIONS.values():
        assert len(set(action.errors)) == len(action.errors)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_every_contract_case_is_an_answer_as_described(case: dict[str, Any]) -> None:
    answer = json.loads(case["answer"])
    assert [error.message for error in ANSWER.iter_errors(answer)] == []
    action = params_of(case).get("action")
    if action not in ACTIONS:
        assert answer["errno"] in {"100", "110", "120", "903"}
    elif "errno" in answer:
        assert answer["errno"] in facts(action)["errors"]
    else:
        assert validator(facts(action)["answer"]["$ref"]).is_valid(answer)
        # What the daemon has done is a request that the description allows, too.
        request = validator("#/components/schemas/Request")
        params = {n: v for n, v in params_of(case).items() if n in PARAMETERS or n == "action"}
        assert [error.message for error in request.iter_errors(params)] == []


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_code_of_an_action_has_a_contract_case(action: str) -> None:
    """So the codes that an action declares are those that it gives."""
    given = {
        json.loads(case["answer"]).get("errno")
        for case in CASES
        if params_of(case).get("action") == action
    }
    assert {str(code) for code in ACTIONS[action].errors} <= given


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"success": "true", "errno": "100"},
        {"success": "false", "errno": "999", "reason": "?"},
        {"success": True, "total": "0", "results": []},
        {"success": "true", "total": 0, "results": []},
        {"success": "true", "results": [{"queueName": "x"}]},
    ],
)
def test_what_is_no_answer_is_not_described(answer: dict[str, Any]) -> None:
    assert not ANSWER.is_valid(answer)


@pytest.mark.parametrize(
    ("params", "is_complete"),
    [
        ({"action": "originate", "dstNum": "1", "srcExtenId": "5"}, True),
        ({"action": "originate", "dstNum": "1"}, False),
        ({"action": "originate", "srcExtenId": "5"}, False),
        ({"action": "nothing"}, False),
        ({}, False),
    ],
)
def test_a_request_is_described_with_what_it_needs(
    params: dict[str, str], is_complete: bool
) -> None:
    credentials = {"username": "demo", "password": "demo"}
    request = validator("#/components/schemas/Request")
    assert request.is_valid(credentials | params) == is_complete


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)
def test_its_examples_are_complete_requests(action: Any) -> None:
    (parameter,) = DOCUMENT["paths"][PATH]["get"]["parameters"]
    example = parameter["examples"][action.name]["value"]
    assert action.is_complete(example)
    assert validator("#/components/schemas/Request").is_valid(example)


async def test_it_is_served_to_everybody() -> None:
    ports, _ = make_ports({})
    runner = web.AppRunner(make_app(LegacyApi(ports, FakeGatekeeper(), ()), PATH))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{DESCRIPTION_PATH}"
    try:
        async with ClientSession() as session, session.get(url) as response:
            assert response.status == 200
            assert await response.json() == DOCUMENT
    finally:
        await runner.cleanup()
