"""What the description of the API says about parameters and answers: texts and JSON schemas.

Names, permissions and error codes are not here: they are those of the code (`pbxapi.actions`).
"""

from typing import Any, Final

from pbxapi.actions.recording import FORMATS
from pbxapi.actions.values import MAX_CHARACTERS, MAX_RING_S, MAX_WHOLE_NUMBER

Schema = dict[str, Any]


def _text(about: str, example: str, **more: Any) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_CHARACTERS,
        "description": about,
        "examples": [example],
        **more,
    }


def _number(about: str, example: str) -> Schema:
    about = f"{about} Digits, `*`, `#`, perhaps a leading `+`; blanks and `-.()` are ignored."
    return _text(about, example, pattern=r"^[ .()-]*\+?[0-9*# .()-]+$")


def _whole(about: str, example: str, greatest: int) -> Schema:
    return _text(f"{about} A whole number up to {greatest}.", example, pattern="^[0-9]+$")


def _line(whose: str, prefix: str) -> dict[str, Schema]:
    return {
        f"{prefix}ExtenPublicNum": _text(f"Public number of {whose}.", "299299000"),
        f"{prefix}ExtenInternalNum": _text(f"Internal number of {whose}.", "1000"),
        f"{prefix}ExtenId": _text(f"Id of {whose} in the table `extensions`.", "5"),
        f"{prefix}SipUsername": _text(
            f"SIP account of {whose}; only that account rings.", "Linka_1000"
        ),
    }


_DIALPLAN: Final = "Name of the dial plan, where several have this internal number."
_RING: Final = "How long it may ring, in seconds, at least 1."

#: Every parameter of every action.
PARAMETERS: Final[dict[str, Schema]] = {
    "username": _text("Name of the API user.", "demo"),
    "password": _text("Password of the API user.", "demo", format="password"),
    "dstNum": _number("The number to call.", "800123456"),
    **_line("the line that rings first (of the agent, in `agentlogin`)", "src"),
    **_line("the line that is listened to", "dst"),
    "dialplanName": _text(_DIALPLAN, "default"),
    "dialPlanName": _text(f"{_DIALPLAN} Another spelling of `dialplanName`.", "default"),
    "srcDialplanName": _text(f"{_DIALPLAN} Of the line that rings.", "default"),
    "dstDialplanName": _text(f"{_DIALPLAN} Of the line that is listened to.", "default"),
    **{
        f"customCDR{number}": _text(f"Stored in the call record as `customcdr{number}`.", "A-2041")
        for number in range(1, 5)
    },
    "monitorFilename": _text(
        "Name of the recording, without a folder. An extension that is none of "
        f"{', '.join(sorted(FORMATS))} gets `.wav`.",
        "call.wav",
    ),
    "monitorPath": _text(
        "Folder of the recording, inside a record root.", "/var/spool/asterisk/monitor"
    ),
    "monitorType": _text(
        "Which application of Asterisk records; `monitor` where it still has it.",
        "mixmonitor",
        pattern="^[Mm][Ii][Xx][Mm][Oo][Nn][Ii][Tt][Oo][Rr]$|^[Mm][Oo][Nn][Ii][Tt][Oo][Rr]$",
    ),
    "macro": _text(
        "Run as a Gosub into the context `macro-NAME`, on the called channel before it rings.",
        "announce",
        pattern="^[A-Za-z0-9_-]{1,70}$",
    ),
    "dialerCid": _text(
        "Number that the first telephone shows, or `customCDR1` to `customCDR4` for the value of "
        "that field.",
        "299299001",
    ),
    "dialerName": _text("Name that the first telephone shows.", "CRM"),
    "overrideCallerId": _number("Number that the called side sees.", "299299002"),
    "srcRingTimeout": _whole(_RING, "30", MAX_RING_S),
    "dstRingTimeout": _whole(_RING, "30", MAX_RING_S),
    "checkExten": _text("Any value: call only if the line is registered and free.", "1"),
    "checkIpHost": _text("Call only if the line is registered from this address.", "192.0.2.7"),
    "checkIpContact": _text("Call only if the line's Contact has this address.", "192.0.2.7"),
    "outrouteName": _text("Name of the outbound route; this or `outrouteId`.", "outbound"),
    "outrouteId": _text("Id of the outbound route; this or `outrouteName`.", "1"),
    "context": _text(
        "Context that the call enters once it is answered.",
        "connected",
        pattern="^[A-Za-z0-9_.-]{1,79}$",
    ),
    "hangupContext": _text(
        "Context that is run where nobody answered.",
        "not-connected",
        pattern="^[A-Za-z0-9_.-]{1,79}$",
    ),
    "dstChannelName": _text("Channel that is listened to.", "PJSIP/Linka_1001-00000001"),
    "spyCid": _number("Number that the listening telephone shows.", "000"),
    "spyName": _text("Name that the listening telephone shows.", "Spy"),
    "channelName": _text(
        "Channel to hang up, as `listcalls` tells it; `\\` is read as `/`.",
        "PJSIP/Linka_1001-00000001",
    ),
    "queueName": _text("Name of the queue.", "Queue_70000"),
    "agentNumber": _text("Number of the agent.", "1000"),
    "agentPin": _text("PIN of the agent.", "1234", format="password"),
    "penalty": _whole("Penalty in this queue; 0 where it is new to him.", "1", MAX_WHOLE_NUMBER),
    "cdrId": _whole("Id of the call record whose recording is meant.", "10000", 2**63 - 1),
    "filename": _text("New name of the file, without a folder.", "moved.wav"),
    "path": _text("New folder, inside a record root; made if need be.", "/var/spool/asterisk/old"),
}


def record(about: str, **properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "description": about,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}
_FLAG: Final[Schema] = {"type": "string", "enum": ["0", "1"]}
_OR_NULL: Final[Schema] = {"type": ["string", "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _php_array(of: Schema, about: str) -> Schema:
    """An object; but a list where PHP's array is one: when it is empty, or has the key 0 alone."""
    as_object = {"type": "object", "additionalProperties": of, "minProperties": 1}
    return {"description": about, "oneOf": [as_object, {"type": "array", "items": of}]}


def _sip_row(identifier: str) -> Schema:
    return record(
        "One SIP account or trunk.",
        id={"type": "integer"},
        type={"type": "string", "const": identifier},
        user=TEXT,
        host=TEXT | {"description": "`(Unspecified)` where it is not registered."},
        port={"type": "string", "pattern": "^[0-9]+$"},
        status=TEXT,
        useragent=TEXT,
        regcontact=TEXT,
        registry=_OR_NULL | {"description": "State of the trunk's own outbound registration."},
        **{f"{identifier}_id": _COUNT},
    )


_SUCCESS: Final[Schema] = {"type": "string", "const": "true"}

#: Rows of answers.
ROWS: Final[dict[str, Schema]] = {
    "Call": record(
        "One leg of a call.",
        channelName=TEXT,
        context=TEXT,
        src=TEXT,
        dst=TEXT,
        duration=_COUNT | {"description": "Seconds since the channel was created."},
        status=TEXT | {"description": "Asterisk's word: `Up`, `Ring`, `Ringing`, …"},
        accountCode=TEXT,
        sourceType={"type": "string", "enum": ["extension", "trunk", ""]},
        idChannel=TEXT,
    ),
    "Queue": record(
        "A queue and its counters, equal to Asterisk's own.",
        queueName=TEXT,
        max=TEXT,
        strategy=TEXT,
        calls=TEXT,
        holdTime=TEXT,
        talkTime=TEXT,
        completed=TEXT,
        abandoned=TEXT,
        serviceLevel=TEXT,
        serviceLevelPerf=TEXT,
        weight=TEXT,
        members=_php_array(_ref("QueueMember"), "Members by name."),
        waiters=_php_array(_ref("QueueWaiter"), "Callers by position, from 1."),
    ),
    "QueueMember": record(
        "An agent in a queue.",
        agentName=TEXT,
        channelStatus=TEXT,
        location=TEXT,
        loggedFrom=TEXT,
        membership=TEXT,
        penalty=_COUNT,
        callsTaken=_COUNT,
        lastCall=_COUNT | {"description": "Seconds since the epoch; 0: none."},
        isInCall=_FLAG,
        status=_COUNT,
        paused=_FLAG,
    ),
    "QueueWaiter": record(
        "A caller in a queue.",
        position=_COUNT,
        channel=TEXT,
        uniqueid=TEXT,
        callerIdNum=TEXT,
        callerIdName=TEXT,
        connectedLineNum=_OR_NULL,
        connectedLineName=_OR_NULL,
        wait=_COUNT | {"description": "Seconds."},
    ),
    "SipAccount": _sip_row("extension_line"),
    "SipTrunk": _sip_row("sip"),
}

#: Answers of the actions that have more to say than `{"success":"true"}`, by action.
ANSWERS: Final[dict[str, Schema]] = {
    "listcalls": record(
        "The calls that are going on, oldest channel first. `/` is not escaped here.",
        success=_SUCCESS,
        total=_COUNT,
        results={"type": "array", "items": _ref("Call")},
    ),
    "queuestatus": record(
        "The queue that was asked for.",
        success=_SUCCESS,
        results={"type": "array", "items": _ref("Queue"), "minItems": 1, "maxItems": 1},
    ),
    "sipstatus": record(
        "All accounts and trunks. Numbers and booleans are bare, `success` comes last.",
        total={"type": "integer"},
        results={"type": "array", "items": {"oneOf": [_ref("SipAccount"), _ref("SipTrunk")]}},
        success={"type": "boolean", "const": True},
        _debug={"type": "boolean", "const": False},
    ),
    "agentstatus": record(
        "What the agent does, in words.",
        success=_SUCCESS,
        reason=TEXT | {"examples": ["Agent 1000 is logged in. Line is free"]},
    ),
}
