"""A description of the legacy surface for machines: OpenAPI 3.1, made from the code's own tables.

OpenAPI knows operations by path and method, the legacy surface by the parameter `action`. So there
is one path whose request is one of a schema for each action, told apart by `action`; the extension
`x-pbxapi-actions` says which answer, permission and error codes belong to which.
"""

from typing import Any, Final

import pbxapi
from pbxapi.actions import ACTIONS, Action
from pbxapi.actions.registry import SHARED_ERRORS
from pbxapi.faults import REASONS
from pbxapi.web.openapi_texts import ANSWERS, PARAMETERS, ROWS, TEXT, Schema, record

_ABOUT: Final = """\
The HTTP API of the PBX. One URL; the parameter `action` chooses what is done. Parameters may stand
in the query string, or in a form that is posted; of two values the form's wins, then the last one.
An empty value counts as absent, parameters that an action does not know are ignored.

Every answer is HTTP 200, errors too: look at `success`. Values are strings, save those of
`sipstatus`. Texts of errors are fixed, only the words in braces are filled in."""

_HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The id under which the log tells of this request.",
        "schema": TEXT,
    },
    "X-Pbxapi-Call-Id": {
        "description": "Of `originate`, `dial`, `spying`: linkedid of the call that was begun.",
        "schema": TEXT,
    },
}


def describe(path: str) -> dict[str, Any]:
    """The OpenAPI document of the legacy surface at this path."""
    request = {"$ref": "#/components/schemas/Request"}
    form = {"schema": request}
    responses = {"200": {"$ref": "#/components/responses/Answer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "pbxapi", "version": pbxapi.__version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": {
            path: {
                "get": {
                    "operationId": "ask",
                    "summary": "Do an action, by query string",
                    "parameters": [_query_string(request)],
                    "responses": responses,
                },
                "post": {
                    "operationId": "askByForm",
                    "summary": "Do an action, by form",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/x-www-form-urlencoded": form,
                            "multipart/form-data": form,
                        },
                    },
                    "responses": responses,
                },
            }
        },
        "components": {
            "responses": {"Answer": _answer()},
            "schemas": {
                "Request": _request(),
                **{_name(action): _request_of(action) for action in ACTIONS.values()},
                "Success": record("Done.", success={"type": "string", "const": "true"}),
                "Error": _error(),
                **{f"{_title(action)}Answer": schema for action, schema in ANSWERS.items()},
                **ROWS,
            },
        },
        "x-pbxapi-actions": {action.name: _facts(action) for action in ACTIONS.values()},
        "x-pbxapi-errors": {str(code): reason for code, reason in REASONS.items()},
    }


def _title(action: str) -> str:
    return action[:1].upper() + action[1:]


def _name(action: Action) -> str:
    return f"{_title(action.name)}Request"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _query_string(request: Schema) -> Schema:
    """All parameters as one object that is spread over the query string."""
    return {
        "name": "request",
        "in": "query",
        "required": True,
        "style": "form",
        "explode": True,
        "description": "Its properties are the parameters of the query string.",
        "schema": request,
        "examples": {action.name: {"value": _example(action)} for action in ACTIONS.values()},
    }


def _request() -> Schema:
    return {
        "type": "object",
        "oneOf": [_ref(_name(action)) for action in ACTIONS.values()],
        "discriminator": {
            "propertyName": "action",
            "mapping": {
                action.name: f"#/components/schemas/{_name(action)}" for action in ACTIONS.values()
            },
        },
    }


def _request_of(action: Action) -> Schema:
    """Parameters of one action; of a group of `required` one at least has to be there."""
    single = [need for need in action.required if isinstance(need, str)]
    groups = [need for need in action.required if not isinstance(need, str)]
    known = [name for name in PARAMETERS if name in action.parameters]
    schema: Schema = {
        "type": "object",
        "description": _about(action),
        "properties": {
            "username": PARAMETERS["username"],
            "password": PARAMETERS["password"],
            "action": {"type": "string", "const": action.name},
            **{name: PARAMETERS[name] for name in known},
        },
        "required": ["username", "password", "action", *single],
    }
    if groups:
        choices = [{"anyOf": [{"required": [name]} for name in group]} for group in groups]
        schema["allOf"] = choices
    return schema


def _about(action: Action) -> str:
    return (action.handler.__doc__ or "").partition("\n\n")[0]


def _example(action: Action) -> dict[str, str]:
    """The shortest complete request."""
    needs = [need if isinstance(need, str) else need[0] for need in action.required]
    if action.name == "hangupcall":  # required too, but with a code of its own
        needs.append("channelName")
    named = {name: PARAMETERS[name]["examples"][0] for name in ("username", "password", *needs)}
    return named | {"action": action.name}


def _answer() -> dict[str, Any]:
    schemas = ["Error", "Success", *(f"{_title(action)}Answer" for action in ANSWERS)]
    return {
        "description": "What became of it; HTTP 200 in every case.",
        "headers": _HEADERS,
        "content": {"application/json": {"schema": {"oneOf": [_ref(name) for name in schemas]}}},
    }


def _error() -> Schema:
    return record(
        "It was not done; for 900 and 905 nobody may know.",
        success={"type": "string", "const": "false"},
        errno={"type": "string", "enum": [str(code) for code in REASONS]},
        reason=TEXT,
    )


def _facts(action: Action) -> dict[str, Any]:
    answer = f"{_title(action.name)}Answer" if action.name in ANSWERS else "Success"
    return {
        "permission": action.permission,
        "request": _ref(_name(action)),
        "answer": _ref(answer),
        "errors": [str(code) for code in sorted({*SHARED_ERRORS, *action.errors})],
    }
