"""Rows for tests, put in as an administrator's tool would."""

from pbxapi.access.passwords import hash_password
from tests.services.postgres import Database


async def add_lines(database: Database) -> None:
    """Two dial plans that share number 100, a line with two accounts, one with none, a trunk."""
    await database.execute(
        """
        INSERT INTO pbxapi.dialplans (id, name) VALUES (1, 'office'), (2, 'factory');
        INSERT INTO pbxapi.outroute (id, name) VALUES (5, 'Odchozí');
        INSERT INTO pbxapi.extensions
            (id, dialplan_id, internal_num, public_num, name, outroute_id, recording)
        VALUES (10, 1, '100', '299299000', 'Žofie', 5, true),
               (11, 2, '100', NULL, 'Press', NULL, false),
               (12, 1, '101', '+420299299001', '', 5, false);
        INSERT INTO pbxapi.extension_line (id, extension_id, sip_username, technology)
        VALUES (22, 10, 'Linka_100b', 'PJSIP'), (21, 10, 'Linka_100', 'SIP'),
               (23, 11, 'press', 'PJSIP');
        INSERT INTO pbxapi.sip (id, name, technology) VALUES (1, 'upc', 'SIP');
        """
    )


async def add_user(
    database: Database,
    name: str = "voipsun",
    password: str = "secretpwd",
    *,
    permissions: tuple[str, ...] = ("originate", "listcalls"),
    networks: tuple[str, ...] = (),
) -> None:
    """An enabled API user."""
    await database.execute(
        "INSERT INTO pbxapi.api_users (username, password_hash, permissions, networks)"
        " VALUES ($1, $2, $3, $4::text[]::cidr[])",
        name,
        hash_password(password),
        list(permissions),
        list(networks),
    )
