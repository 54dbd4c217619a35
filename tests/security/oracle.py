"""What Asterisk may be told for a request, header by header, and what each value has to be.

Nothing here is taken from the daemon: it is what the dial plan file and Asterisk read. An action of
AMI, a header, a variable or a command that is not in these tables is one that somebody has made up.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from pbxapi.simulator.fastagi import words
from pbxapi.simulator.server import Received

Params = Mapping[str, str]

#: The names of an action's headers, in order.
_SHAPES: Final = {
    "Originate": "Action ActionID Channel Context Exten Priority Timeout Async ChannelId"
    " OtherChannelId( Variable)+",
    "Hangup": "Action ActionID Channel",
    "Getvar": "Action ActionID Variable",
    "QueueAdd": "Action ActionID Queue Interface MemberName StateInterface Penalty Paused",
    "QueueRemove": "Action ActionID Queue Interface",
    "QueuePenalty": "Action ActionID Queue Interface Penalty",
    "QueuePause": "Action ActionID Queue Interface Paused",
}
#: What the daemon asks by itself at any time, with values that come from Asterisk alone.
_BY_ITSELF: Final = re.compile(
    r"QueueStatus|CoreShowChannels|Ping|DeviceStateList|SIP\w+|PJSIP\w+|Status|Login|Challenge"
)
_BY_ITSELF_VALUE: Final = re.compile(r"[\w./@: -]{0,200}")
#: How many of them a request may lead to at most.
_QUEUE_ACTIONS: Final = dict.fromkeys(("QueueAdd", "QueueRemove", "QueuePenalty", "QueuePause"), 8)
_ALLOWED: Final[dict[str, dict[str, int]]] = {
    "originate": {"Originate": 1},
    "dial": {"Getvar": 2, "Originate": 1},
    "spying": {"Originate": 1},
    "hangupcall": {"Hangup": 1},
    **dict.fromkeys(
        ("agentlogin", "agentlogout", "agentpause", "agentunpause", "agentadd", "agentremove"),
        _QUEUE_ACTIONS,
    ),
}
_VALUES: Final = {
    "ActionID": r"[\w-]+",
    "Context": r"pbxapi-(originated|dialled)",
    "Exten": r"s",
    "Priority": r"1",
    "Timeout": r"\d{4,7}",
    "Async": r"true",
    "ChannelId": r"pbxapi-[0-9a-f]{32}",
    "OtherChannelId": r"pbxapi-[0-9a-f]{32}-2",
    "Queue": r"sales|support|billing",
    "Interface": r"Local/1\d{3}@extensions-dialplanid-1",
    "MemberName": r"Jan Novák|Žofie Černá|Petr Svoboda|Eva Malá|Karel Dvořák|Jana Veselá",
    "StateInterface": r"PJSIP/Linka_1\d{3}",
    "Penalty": r"\d{1,10}",
    "Paused": r"0|1|true|false",
}
_ORIGINATED: Final = re.compile(r"Local/([0-9*#+]{1,40})@pbxapi-(originate|dialout|spying)/n")
_VARIABLE: Final = re.compile(r"__PBXAPI_([A-Z_]+)=([A-Za-z0-9_.~%-]*)")


def complaints(action: str, params: Params, received: Iterable[Received]) -> list[str]:
    """What is wrong with what Asterisk was told while this request was answered."""
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for message in received:
        if message.name in _SHAPES:
            counts[message.name] += 1
            wrong += _of_request(message, params)
        elif not _BY_ITSELF.fullmatch(message.name):
            wrong.append(f"action {message.name!r} is unknown")
        else:
            wrong += [
                f"{message.name}: {name}: {value!r}"
                for name, value in message.headers
                if not _BY_ITSELF_VALUE.fullmatch(value)
            ]
    allowed = _ALLOWED.get(action, {})
    wrong += [f"{n} times {name}" for name, n in counts.items() if n > allowed.get(name, 0)]
    return wrong


def _of_request(message: Received, params: Params) -> list[str]:
    names = " ".join(name for name, _ in message.headers)
    if not re.fullmatch(_SHAPES[message.name], names):
        return [f"headers of {message.name}: {names}"]
    if message.raw.count(b"\n") != len(message.headers) + 1 or message.action.complaint:
        return [f"lines of {message.name}: {message.raw!r}"]
    wrong = []
    for name, value in message.headers[1:]:
        known = _VALUES.get(name)
        is_right = (
            re.fullmatch(known, value) if known else _is_meant(message.name, name, value, params)
        )
        if not is_right:
            wrong.append(f"{message.name}: {name}: {value!r}")
    return wrong


def _is_meant(action: str, name: str, value: str, params: Params) -> bool:
    """Whether a header holds what the request has, and nothing else."""
    match action, name:
        case "Hangup", "Channel":
            return value == params.get("channelName", "").replace("\\", "/") and value[:1] != "/"
        case "Getvar", "Variable":
            contexts = [params[key] for key in ("context", "hangupContext") if key in params]
            asked = re.fullmatch(r"DIALPLAN_EXISTS\(([\w.-]{1,79})\)", value, re.ASCII)
            return asked is not None and asked[1] in contexts
        case "Originate", "Channel":
            found = _ORIGINATED.fullmatch(value)
            return found is not None and (
                found[2] != "dialout" or found[1] == _number(params["dstNum"])
            )
        case "Originate", "Variable":
            return _is_variable(value, params)
        case _:
            return False


def _number(text: str) -> str:
    return re.sub(r"[ .()-]", "", text)


def _begins(parameter: str) -> Callable[[str, Params], bool]:
    """The parameter, perhaps cut; or the default, where it is absent."""

    def check(value: str, params: Params) -> bool:
        given = params.get(parameter)
        fallback = {"Dialer", "Spy", _number(params.get("dialerCid", params.get("spyCid", "")))}
        fields = {params.get(f"customCDR{n}", "") for n in range(1, 5)}
        if given is None:
            return any(text.startswith(value) for text in fallback | fields | {"000"})
        return bool(value) and given.startswith(value)

    return check


def _is_cid(value: str, params: Params) -> bool:
    """A number of the request or its default, or the custom field that it names."""
    given = {params.get("dialerCid"), params.get("spyCid")} - {None}
    fields = [params.get(f"customCDR{n}", "") for n in range(1, 5)]
    meant = {_number(text or "") for text in given} | {"000"}
    return value in meant or (
        any(text is not None and re.fullmatch("customCDR[1-4]", text) for text in given)
        and any(field.startswith(value) for field in fields)
    )


def _is_override(value: str, params: Params) -> bool:
    given = params.get("overrideCallerId")
    return value == _number(given) if given is not None else _is_cid(value, params)


def _is_recording(value: str, params: Params) -> bool:
    """Inside the root, under the name that was asked for."""
    folder, _, name = value.rpartition("/")
    given = params.get("monitorFilename")
    named = given is None or name in {given, f"{given}.wav"}
    safe = re.fullmatch(r"[\w .+@#=~:/-]+", value) is not None and ".." not in value.split("/")
    return named and safe and "/records" in folder


def _same(parameter: str) -> Callable[[str, Params], bool]:
    return lambda value, params: value == params.get(parameter)


def _matches(pattern: str) -> Callable[[str, Params], bool]:
    return lambda value, _params: re.fullmatch(pattern, value) is not None


_ACCOUNTS: Final = r"PJSIP/Linka_1\d{3}"
#: Variables of the dial plan, and what each may hold.
_VARIABLES: Final[dict[str, Callable[[str, Params], bool]]] = {
    "ACCOUNTS": _matches(_ACCOUNTS),
    "SPY_LINE": _matches(_ACCOUNTS),
    "SPY": lambda value, params: value == params["dstChannelName"].replace("\\", "/"),
    "DST": lambda value, params: value == _number(params["dstNum"]),
    "DIALPLAN": _matches("1"),
    "OUTROUTE": _matches("1"),
    "CID_NUM": _is_cid,
    "CID_NAME": lambda value, params: any(
        _begins(name)(value, params) for name in ("dialerName", "spyName")
    ),
    "OVERRIDE_CID": _is_override,
    "SRC_TIMEOUT": _matches(r"\d{1,4}"),
    "DST_TIMEOUT": _matches(r"\d{1,4}"),
    "RECORD": _is_recording,
    "MONITOR": _matches("1"),
    "MACRO": _same("macro"),
    "CONTEXT": _same("context"),
    "HANGUP_CONTEXT": _same("hangupContext"),
    "CARD": _matches(r"[\w-]{20,64}"),
    "AGI": _matches(r"127\.0\.0\.1:\d+"),
    "NOT_AFTER": _matches(r"\d{10}\.\d{3}"),
}


def _is_variable(value: str, params: Params) -> bool:
    found = _VARIABLE.fullmatch(value)
    if found is None or found[1] not in _VARIABLES:
        return False
    return _VARIABLES[found[1]](unquote_to_bytes(found[2]).decode(), params)


_AGI: Final = re.compile(
    r"(?:CDR\(customCDR[1-4]\)|SHARED\(PBXAPI_CDR(?:[1-4](?:_\d)?)?,[\w./@;:-]+\))"
)


def agi_complaints(commands: Iterable[bytes], fields: set[str]) -> list[str]:
    """What is wrong with what FastAGI said to Asterisk, where requests had these custom fields."""
    wrong = []
    for command in commands:
        given = [word.decode("utf-8", "surrogateescape") for word in words(command)]
        if len(given) != 4 or [word.upper() for word in given[:2]] != ["SET", "VARIABLE"]:
            wrong.append(f"command {command!r}")
        elif not _AGI.fullmatch(given[2]):
            wrong.append(f"variable {given[2]!r}")
        elif not _is_field(given[2], given[3], fields):
            wrong.append(f"value {given[3]!r}")
    return wrong


def _is_field(variable: str, value: str, fields: set[str]) -> bool:
    if variable.startswith("CDR("):
        return value in fields
    if variable.startswith("SHARED(PBXAPI_CDR,"):
        return re.fullmatch(r"[1-4](_\d)?(&[1-4](_\d)?)*", value) is not None
    part = unquote_to_bytes(value).decode()
    is_encoded = re.fullmatch(r"[A-Za-z0-9_.~%-]+", value) is not None
    return is_encoded and any(part in field for field in fields)
