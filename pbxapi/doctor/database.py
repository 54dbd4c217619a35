"""The database: whether it answers, its schema, what the daemon's role may, what is in it."""

from collections.abc import AsyncIterator

from pbxapi.directory import migrations
from pbxapi.directory.pool import Directory
from pbxapi.doctor.finding import Finding, fail, ok, some, warn
from pbxapi.doctor.patient import Named, Patient
from pbxapi.errors import DatabaseUnavailable, UsageError


async def schema(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the database can be asked, and whether its schema is that of this version."""
    try:
        status = await migrations.status(patient.config.database.dsn)
    except UsageError as error:
        yield fail(str(error), "see whether PostgreSQL runs, and mend [database] dsn")
        return
    if status.foreign:
        yield ok("it answers; schema pbxapi was made by somebody else, with views perhaps")
    elif status.problem:
        remedy = "" if "run `" in status.problem else "install the version that fits"
        yield fail(status.problem, remedy or "then check again")
        return
    else:
        yield ok(f"it answers; the schema is at {status.applied[-1]}")
    if status.missing_roles and not status.foreign:
        yield warn(
            f"the server lacks the role {', '.join(status.missing_roles)}",
            "run `pbxapi db upgrade` as a role that may create roles",
        )


async def rights(patient: Patient) -> AsyncIterator[Finding]:
    """What the role of the DSN may do."""
    async with Directory(patient.config.database.dsn) as directory:
        try:
            rows = await directory.fetch("rights")
        except DatabaseUnavailable as error:
            yield fail(f"the rights cannot be read: {error}", "see whether PostgreSQL is well")
            return
    missing = [f"{row['right']} on {row['name']}" for row in rows if row["has"] is False]
    absent = sorted({row["name"] for row in rows if row["has"] is None})
    if absent:
        yield fail(f"there is no {some(absent)}", "provide a table or a view of that name")
    if missing:
        yield fail(
            f"the role lacks {some(missing)}",
            "GRANT pbxapi_daemon to it, or run `pbxapi db upgrade` as the owner",
        )
    if not (absent or missing):
        yield ok("the role may all that the daemon does")


async def content(patient: Patient) -> AsyncIterator[Finding]:
    """What is in the directory; later areas compare Asterisk with it."""
    async with Directory(patient.config.database.dsn) as directory:
        try:
            rows = await directory.fetch("names")
        except DatabaseUnavailable as error:
            yield fail(f"the directory cannot be read: {error}", "see the lines above")
            return
    for row in rows:
        named = Named(row["id"], row["name"], row["technology"])
        patient.directory.setdefault(row["kind"], []).append(named)
    counts = {kind: len(found) for kind, found in patient.directory.items()}
    yield ok(
        f"the directory has {counts.get('line', 0)} lines,"
        f" {counts.get('account', 0)} accounts, {counts.get('queue', 0)} queues"
    )
    if not counts.get("user"):
        yield warn("nobody may use the API", "`pbxapi user add NAME --allow …`")
