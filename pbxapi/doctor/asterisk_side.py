"""What Asterisk has to know of the directory: contexts, queues, accounts."""

from collections.abc import AsyncIterator

from pbxapi import dialplan
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, queue_status
from pbxapi.cache.peers.asking import list_all
from pbxapi.cache.peers.peer import Key, Technology
from pbxapi.cache.peers.store import PeerStore
from pbxapi.doctor.finding import Finding, fail, ok, some, warn
from pbxapi.doctor.patient import Named, Patient
from pbxapi.errors import PbxRefused


async def contexts(patient: Patient) -> AsyncIterator[Finding]:
    """Contexts of ours, and those that the directory has a row for."""
    if "Getvar" not in patient.may:
        yield warn("contexts cannot be looked for", "see write class reporting above")
        return
    missing = [name for name in dialplan.CONTEXTS if not await _exists(patient, name)]
    if missing:
        yield fail(
            f"there is no context {some(missing)}",
            "copy dialplan/pbxapi.conf, `#include pbxapi.conf` in extensions.conf,"
            " `dialplan reload`; func_dialplan has to be loaded",
        )
    elif not await _exists(patient, dialplan.MARKED, dialplan.MARK):
        yield warn(
            "pbxapi.conf is that of another version",
            "copy dialplan/pbxapi.conf of this one, `dialplan reload`",
        )
    else:
        yield ok("the contexts of pbxapi.conf are there, and are those of this version")
    for kind, prefix in (("dialplan", "extensions-dialplanid-"), ("outroute", "dial_out_")):
        for row in patient.directory.get(kind, ()):
            name = f"{prefix}{row.id}"
            if await _exists(patient, name):
                yield ok(f"context {name} is there")
            else:
                yield fail(
                    f"there is no context {name}, for {kind} {row.name}",
                    "add it to extensions.conf: dialplan/README.md says what it has to offer",
                )


async def _exists(patient: Patient, *place: str) -> bool:
    """Whether there is a context, or an extension in it."""
    variable = f"DIALPLAN_EXISTS({','.join(place)})"
    try:
        answer = await patient.ami.request(Request("Getvar", (("Variable", variable),)))
    except PbxRefused:
        return False
    return answer.get("Value") == "1"


async def queues(patient: Patient) -> AsyncIterator[Finding]:
    """Queues of the directory that Asterisk does not know."""
    wanted = [row.name for row in patient.directory.get("queue", ())]
    if not wanted:
        return
    known: set[str] = set()

    def take(item: Message) -> None:
        if item.event == "QueueParams":
            known.add(item.get("Queue").lower())

    try:
        await patient.ami.request_list(queue_status(), take)
    except PbxRefused as error:
        yield warn(f"queues cannot be listed: {error}", "load app_queue if you want queues")
        return
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        yield warn(
            f"Asterisk does not know the queue {some(missing)}",
            "add it to queues.conf, or delete its row: nobody can log in there",
        )
    else:
        yield ok("Asterisk knows all queues of the directory")


async def accounts(patient: Patient) -> AsyncIterator[Finding]:
    """Accounts and trunks of the directory that Asterisk does not know."""
    rows = [*patient.directory.get("account", ()), *patient.directory.get("trunk", ())]
    if not rows:
        yield warn("the directory has no account", "fill extension_line, or make it a view")
        return
    store = PeerStore()
    listed = store.begin_list()
    try:
        await list_all(patient.ami, listed)
    except PbxRefused as error:
        yield fail(f"peers cannot be listed: {error}", "see the write classes above")
        return
    for _ in store.prepare(listed):
        pass
    store.replace(listed)
    missing = [f"{row.technology}/{row.name}" for row in rows if not _is_known(store, row)]
    if missing:
        yield warn(
            f"Asterisk does not know {some(missing)}",
            "add it to sip.conf or pjsip.conf, or mend the directory",
        )
    else:
        yield ok(f"Asterisk knows all {len(rows)} accounts and trunks of the directory")


def _is_known(store: PeerStore, row: Named) -> bool:
    technology: Technology = "SIP" if row.technology == "SIP" else "PJSIP"
    return store.peer(Key(technology, row.name)) is not None
