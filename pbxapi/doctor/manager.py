"""Asterisk's manager interface: the login, what the manager user may, what Asterisk is.

Nothing is tried that would change anything: ListCommands tells which actions a user may send
(Asterisk main/manager.c, action_listcommands()), an action that is missing there is one of a class
that he lacks, or of a module that is not loaded.
"""

import re
from collections.abc import AsyncIterator
from typing import Final

from pbxapi.ami.requests import Request
from pbxapi.ami.session import LoginRefused, connect
from pbxapi.doctor.finding import Finding, fail, ok, some, warn
from pbxapi.doctor.patient import Patient
from pbxapi.errors import PbxapiError, PbxRefused

#: Class of `write` → the actions that the daemon sends by it, whatever modules there are.
ACTIONS: Final = {
    "originate": ("Originate",),
    "call": ("Hangup",),
    "reporting": ("CoreShowChannels", "DeviceStateList", "Getvar"),
}
#: Module → those that are there with it, and the class.
MODULE_ACTIONS: Final = {
    "app_queue": ("agent", ("QueueAdd", "QueueRemove", "QueuePause", "QueuePenalty")),
    "chan_sip": ("reporting", ("SIPpeers", "SIPshowpeer", "SIPshowregistry")),
    "chan_pjsip": (
        "system",
        ("PJSIPShowEndpoints", "PJSIPShowAors", "PJSIPShowContacts", "PJSIPShowEndpoint"),
    ),
}
#: Without these the dial plan of ours does nothing (dialplan/README.md).
NEEDED: Final = (
    *("pbx_config", "app_dial", "app_stack", "res_agi", "func_callerid", "func_cdr"),
    *("func_channel", "func_cut", "func_dialplan", "func_env", "func_global", "func_logic"),
    *("func_strings", "func_timeout", "func_uri"),
)
#: Module → what is not there without it.
WANTED: Final = {
    "app_queue": "queues and agents",
    "app_chanspy": "spying",
    "app_mixmonitor": "recording",
    "cdr_pgsql": "call records in the database",
}
_DRIVERS: Final = {"SIP": "chan_sip", "PJSIP": "chan_pjsip"}
_TRIED: Final = range(16, 23)
_MANAGER: Final = "see dialplan/manager.conf.sample, then `manager reload`"


async def login(patient: Patient) -> AsyncIterator[Finding]:
    """Log in as the daemon does."""
    ami = patient.config.ami
    where = f"{ami.host}:{ami.port}"

    try:
        session = await connect(
            ami.host, ami.port, {"FullyBooted"}, lambda event: patient.events.add(event.event)
        )
    except (OSError, PbxapiError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield fail(
            f"nobody answers at {where}: {reason}",
            "see whether Asterisk runs, manager.conf: enabled, bindaddr, port; and [ami]",
        )
        return
    try:
        await session.log_in(ami.username, ami.secret)
    except LoginRefused as error:
        session.close(error)
        yield fail(
            f"Asterisk refuses the user {ami.username}: {error}",
            "the section of that name in manager.conf needs this secret and a `permit` for us",
        )
        return
    except PbxapiError as error:
        session.close(error)
        yield fail(f"{where} does not let us log in: {error}", "see whether that is Asterisk")
        return
    patient.session = session
    yield ok(f"logged in at {where} as {ami.username} ({session.banner})")


async def permissions(patient: Patient) -> AsyncIterator[Finding]:
    """Which actions the user may send; which events he hears, as far as that can be seen."""
    listed = await patient.ami.request(Request("ListCommands"))
    patient.may = frozenset(listed.fields)
    for permission, actions in ACTIONS.items():
        yield _permission(patient, permission, actions)
    if patient.events:
        yield ok("read class system: FullyBooted has come")
    else:
        yield fail(
            "read class system: FullyBooted has not come, so Asterisk is still starting, or the"
            " user may not hear it",
            f"`read = system,call,agent,dialplan`: {_MANAGER}",
        )


def _permission(patient: Patient, permission: str, actions: tuple[str, ...]) -> Finding:
    missing = [action for action in actions if action not in patient.may]
    if missing:
        return fail(
            f"write class {permission}: the user may not {some(missing)}",
            f"add it to `write`: {_MANAGER}",
        )
    return ok(f"write class {permission}: the user may {some(list(actions))}")


async def version(patient: Patient) -> AsyncIterator[Finding]:
    """Which Asterisk it is."""
    if "CoreSettings" not in patient.may:
        yield warn("the version of Asterisk cannot be asked for", _MANAGER)
        return
    told = (await patient.ami.request(Request("CoreSettings"))).get("AsteriskVersion")
    major = re.search(r"\d+", told)
    if major and int(major[0]) in _TRIED:
        yield ok(f"Asterisk {told}")
    else:
        yield warn(
            f"Asterisk {told} is none of those tried, 16 to 22", "try it before you rely on it"
        )


async def modules(patient: Patient) -> AsyncIterator[Finding]:
    """Modules, and the actions that come with them."""
    if "ModuleCheck" not in patient.may:
        yield warn(
            "write class system: the user may not ModuleCheck, so modules are not looked at",
            f"a PBX with PJSIP needs it: {_MANAGER}",
        )
        return
    needed = [name for name in NEEDED if not await _is_loaded(patient, name)]
    if needed:
        yield fail(f"not loaded: {some(needed)}", "`module load NAME.so`, and see modules.conf")
    else:
        yield ok("the modules of the dial plan are loaded")
    for name, what in WANTED.items():
        if await _is_loaded(patient, name):
            yield ok(f"{name} is loaded")
        else:
            yield warn(
                f"{name} is not loaded: no {what}", f"`module load {name}.so` if you want it"
            )
    for technology in sorted(patient.technologies):
        name = _DRIVERS[technology]
        if not await _is_loaded(patient, name):
            yield fail(
                f"{name} is not loaded, and accounts of the directory are {technology}",
                "load it, or mend `technology` of extension_line and sip",
            )
    for name, (permission, actions) in MODULE_ACTIONS.items():
        if await _is_loaded(patient, name):
            yield _permission(patient, permission, actions)


async def _is_loaded(patient: Patient, module: str) -> bool:
    try:
        await patient.ami.request(Request("ModuleCheck", (("Module", module),)))
    except PbxRefused:
        return False
    return True
