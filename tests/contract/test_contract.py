"""The legacy surface as a table: request and state → the exact bytes of the answer."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from pbxapi.actions import ACTIONS
from pbxapi.web.app import BARE_SUCCESS, LegacyApi, make_app
from tests.contract.world import FakeGatekeeper, make_ports

CASES = Path(__file__).parent / "cases"
PATH = "/api/api.php"


def _load() -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['about']}")
        for file in sorted(CASES.glob("*.json"))
        for case in json.loads(file.read_text("utf-8"))
    ]


@pytest.mark.parametrize("case", _load())
async def test_answer_is_exactly_this(case: dict[str, Any]) -> None:
    ports, pbx = make_ports(case)
    api = LegacyApi(ports, FakeGatekeeper(), ())
    runner = web.AppRunner(make_app(api, PATH), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    query = case["query"].replace("@255@", "x" * 255).replace("@256@", "x" * 256)
    url = URL(f"http://127.0.0.1:{port}{PATH}?{query}", encoded=True)
    form = case.get("form")
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(case.get("method", "GET"), url, data=form, headers=headers) as response,
        ):
            body = await response.read()
            assert body.decode() == case["answer"]
            assert response.status == 200
            assert response.headers["Content-Type"] == "application/json; charset=utf-8"
            call_id = response.headers.get("X-Pbxapi-Call-Id", "")
    finally:
        await runner.cleanup()
    if "sent" in case:
        sent = [[request.action, [list(h) for h in request.headers]] for request in pbx.sent]
        assert json.loads(json.dumps(sent).replace(call_id or "@call@", "@call@")) == case["sent"]
    for name, value in case.get("variables", {}).items():
        assert pbx.variables[name] == value
    for name in case.get("absent", ()):
        assert name not in pbx.variables
    if "moved" in case:
        assert pbx.recordings.moved == case["moved"]
    if "fields" in case:
        assert pbx.cards.fields == case["fields"]


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_action_has_cases_for_what_all_of_them_share(name: str) -> None:
    """An action is not done before its table has success, no permission where that can be seen."""
    cases = json.loads((CASES / f"{name}.json").read_text("utf-8"))
    answers = [case["answer"] for case in cases]
    success = '"success":true' if name in BARE_SUCCESS else '"success":"true"'
    assert any(success in answer for answer in answers)
    assert any('"errno":"900"' in answer for answer in answers)
