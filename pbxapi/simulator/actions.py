"""The manager actions about the session and about the PBX as a whole.

A handler gets the conversation and the action, and answers through the conversation. Wording and
order of headers: captures of both versions, main/manager.c of Asterisk 22.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.conversation import Conversation
from pbxapi.simulator.options import ManagerUser
from pbxapi.simulator.wire import Action

Handler = Callable[[Conversation, Action], None]

#: Seconds that Asterisk sleeps before it says that a login failed.
FAILED_LOGIN_DELAY_S: Final = 1.0
BANNER_VERSIONS: Final = {16: "5.0.4", 22: "11.0.0"}
ASTERISK_VERSIONS: Final = {16: "16.28.0~dfsg-0+deb11u4", 22: "22.10.1+dfsg+~cs6.17.60671434-1"}


@dataclass(frozen=True, slots=True)
class Command:
    """One action that can be sent.

    Attributes:
        write: Classes of which the user needs one; 0 = anybody may.
        driver: Technology that brings it; "" = it is always there.
    """

    name: str
    synopsis: str
    write: int
    run: Handler
    driver: str = ""


def challenge(conversation: Conversation, action: Action) -> None:
    """Challenge: the first half of an MD5 login."""
    if action.get("AuthType").lower() != "md5":
        conversation.error(action, "Must specify AuthType")
        return
    if not conversation.challenge:
        conversation.challenge = str(conversation.pbx.random.getrandbits(30))
    headers = f"Challenge: {conversation.challenge}\r\n"
    conversation.respond(action, "Success", headers=headers)


def login(conversation: Conversation, action: Action) -> None:
    """Login, plain or MD5; a failed one is answered late, and then the client is hung up on."""
    if conversation.user is not None:
        conversation.ack(action, "Already authenticated")
        return
    user = _authenticate(conversation, action)
    if user is None:
        _refuse_login(conversation, action)
        return
    conversation.user = user
    conversation.read, conversation.write = classes.parse(user.read), classes.parse(user.write)
    mask = classes.event_mask(action.get("Events"))
    conversation.events = conversation.read & mask if mask >= 0 else conversation.read
    conversation.pbx.announcer.refresh()
    conversation.ack(action, "Authentication accepted")
    if conversation.events & classes.SYSTEM:
        now = conversation.pbx.clock.time()
        if now >= conversation.faults.booted_at:
            conversation.line.write(fully_booted(conversation))
    _tell_successful_auth(conversation, action)


def fully_booted(conversation: Conversation) -> str:
    """The event FullyBooted, as every login gets it."""
    pbx = conversation.pbx
    now = pbx.clock.time()
    return (
        f"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: {int(now - pbx.started)}\r\n"
        f"LastReload: {int(now - pbx.reloaded)}\r\nStatus: Fully Booted\r\n\r\n"
    )


def _authenticate(conversation: Conversation, action: Action) -> ManagerUser | None:
    if conversation.faults.refuse_logins:
        return None
    name = action.get("Username")
    user = next((u for u in conversation.pbx.options.users if u.name.lower() == name.lower()), None)
    if user is None:
        return None
    if action.get("AuthType").lower() == "md5":
        expected = _md5_key(conversation.challenge, user.secret)
        return user if conversation.challenge and action.get("Key") == expected else None
    return user if action.get("Secret") == user.secret else None


def _md5_key(text: str, secret: str) -> str:
    return hashlib.md5((text + secret).encode(), usedforsecurity=False).hexdigest()


def _refuse_login(conversation: Conversation, action: Action) -> None:
    def refuse() -> None:
        conversation.error(action, "Authentication failed")
        conversation.line.close()

    conversation.line.hold()
    conversation.pbx.clock.call_later(FAILED_LOGIN_DELAY_S, refuse)


def _tell_successful_auth(conversation: Conversation, action: Action) -> None:
    pbx = conversation.pbx
    if not pbx.announcer.wanted & classes.SECURITY:
        return
    moment = datetime.fromtimestamp(pbx.clock.time(), UTC)
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
    local, remote = conversation.line.local_address, conversation.line.remote_address
    text = (
        f"EventTV: {stamp}\r\nSeverity: Informational\r\nService: AMI\r\nEventVersion: 1\r\n"
        f"AccountID: {action.get('Username')}\r\nSessionID: 0x{id(conversation):x}\r\n"
        f"LocalAddress: IPV4/TCP/{local[0]}/{local[1]}\r\n"
        f"RemoteAddress: IPV4/TCP/{remote[0]}/{remote[1]}\r\n"
        f"UsingPassword: 0\r\nSessionTV: {stamp}\r\n"
    )
    pbx.announcer.emit("SuccessfulAuth", classes.SECURITY, text)


def logoff(conversation: Conversation, action: Action) -> None:
    """Logoff."""
    conversation.respond(action, "Goodbye", "Thanks for all the fish.")
    conversation.line.close()


def ping(conversation: Conversation, action: Action) -> None:
    """Ping."""
    now = conversation.pbx.clock.time()
    conversation.respond(action, "Success", headers=f"Ping: Pong\r\nTimestamp: {now:.6f}\r\n")


def events(conversation: Conversation, action: Action) -> None:
    """Events: what the session gets from now on."""
    mask = classes.event_mask(action.get("EventMask"))
    if mask < 0:
        conversation.error(action, "Invalid event mask")
        return
    conversation.events = conversation.read & mask
    conversation.pbx.announcer.refresh()
    word = "On" if mask else "Off"
    conversation.respond(action, "Success", headers=f"Events: {word}\r\n")


def add_filter(conversation: Conversation, action: Action) -> None:
    """Filter: only adding is possible."""
    if action.get("Operation").lower() != "add":
        conversation.error(action, "Unknown operation")
        return
    try:
        conversation.filters.add(action.get("Filter"))
    except re.error:
        message = "Filter did not compile.  Check the syntax of the filter given."
        conversation.error(action, message)
        return
    conversation.ack(action, "Success")


def core_settings(conversation: Conversation, action: Action) -> None:
    """CoreSettings."""
    version = conversation.pbx.version
    headers = (
        f"AMIversion: {BANNER_VERSIONS[version]}\r\n"
        f"AsteriskVersion: {ASTERISK_VERSIONS[version]}\r\nSystemName: \r\nCoreMaxCalls: 0\r\n"
        "CoreMaxLoadAvg: 0.000000\r\nCoreRunUser: \r\nCoreRunGroup: \r\nCoreMaxFilehandles: 0\r\n"
        "CoreRealTimeEnabled: No\r\nCoreCDRenabled: Yes\r\nCoreHTTPenabled: Yes\r\n"
    )
    if version > 16:  # noqa: PLR2004 - the version
        headers += "SoundsSearchCustomDir: No\r\n"
    conversation.respond(action, "Success", headers=headers)


def core_status(conversation: Conversation, action: Action) -> None:
    """CoreStatus."""
    pbx = conversation.pbx
    started = datetime.fromtimestamp(pbx.started, UTC)
    reloaded = datetime.fromtimestamp(pbx.reloaded, UTC)
    calls = sum(channel.in_dialplan for channel in pbx.channels.values())
    headers = (
        f"CoreStartupDate: {started:%Y-%m-%d}\r\nCoreStartupTime: {started:%H:%M:%S}\r\n"
        f"CoreReloadDate: {reloaded:%Y-%m-%d}\r\nCoreReloadTime: {reloaded:%H:%M:%S}\r\n"
        f"CoreCurrentCalls: {calls}\r\n"
    )
    if pbx.version > 16:  # noqa: PLR2004 - the version
        headers += f"CoreProcessedCalls: {pbx.calls_processed}\r\n"
    conversation.respond(action, "Success", headers=headers)


def module_check(conversation: Conversation, action: Action) -> None:
    """ModuleCheck."""
    if _is_loaded(conversation, action.get("Module")):
        conversation.respond(action, "Success", headers="Version: \r\n")
    else:
        conversation.error(action, "Module not loaded")


def reload(conversation: Conversation, action: Action) -> None:
    """Reload, of one module or of all."""
    pbx, module = conversation.pbx, action.get("Module")
    known = not module or _is_loaded(conversation, module)
    if known:
        pbx.reload(module)
        conversation.ack(action, "Module Reloaded")
    else:
        conversation.error(action, "No such module")
    text = f"Module: {module or 'All'}\r\nStatus: {0 if known else 2}\r\n"
    pbx.announcer.emit("Reload", classes.SYSTEM, text)


def _is_loaded(conversation: Conversation, module: str) -> bool:
    driver = "chan_sip" if conversation.pbx.chan_sip else "chan_pjsip"
    return module.removesuffix(".so") in conversation.pbx.options.modules | {driver}


#: The actions of this module.
SESSION_COMMANDS: Final = (
    Command("Challenge", "Generate Challenge for MD5 Auth.", 0, challenge),
    Command(
        "CoreSettings",
        "Show PBX core settings (version etc).",
        classes.SYSTEM | classes.REPORTING,
        core_settings,
    ),
    Command(
        "CoreStatus",
        "Show PBX core status variables.",
        classes.SYSTEM | classes.REPORTING,
        core_status,
    ),
    Command("Events", "Control Event Flow.", 0, events),
    Command(
        "Filter",
        "Dynamically add filters for the current manager session.",
        classes.SYSTEM,
        add_filter,
    ),
    Command("Login", "Login Manager.", 0, login),
    Command("Logoff", "Logoff Manager.", 0, logoff),
    Command("ModuleCheck", "Check if module is loaded.", classes.SYSTEM, module_check),
    Command("Ping", "Keepalive command.", 0, ping),
    Command("Reload", "Send a reload event.", classes.CONFIG | classes.SYSTEM, reload),
)
