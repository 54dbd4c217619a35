"""Writes the configuration of one Asterisk of the lab from `asterisk_templates/`.

`common` there is for every one, `SIP` and `PJSIP` for those with that driver. `@NAME@` in a
template is replaced; a name that is not known is an error. The project's own files in `dialplan/`
are taken as they are, so that what an administrator includes is what is tested.
"""

import array
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.services.lines import DID_PREFIX, DID_QUEUE, LINES, TRUNK, Line, Technology
from tests.services.trees import Tree

_TEMPLATES: Final = Path(__file__).resolve().parent / "asterisk_templates"
_DIALPLAN: Final = Path(__file__).resolve().parents[2] / "dialplan"
_MANAGER_SAMPLE: Final = _DIALPLAN / "manager.conf.sample"
_CDR_SAMPLE: Final = _DIALPLAN / "cdr_pgsql.conf.sample"

#: Modules decline to load, or log an ERROR, where their file is missing; an empty one is enough.
_EMPTY: Final = (
    *("cel", "acl", "udptl", "ccss", "pjproject", "pjsip_wizard", "pjsip_notify", "aeap"),
    *("res_http_media_cache", "cli_aliases", "amd", "websocket_client", "chan_websocket"),
    *("ari", "sorcery", "stasis", "say", "codecs", "dnsmgr", "enum"),
)
#: Not empty: these come with the package.
_PACKAGED: Final = ("res_parking", "confbridge")

_SAMPLE_RATE_HZ: Final = 8000
_TONE_HZ: Final = 440


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What differs from one lab to the next."""

    technologies: Sequence[Technology]
    ami_port: int
    sip_ports: Mapping[Technology, int]
    trunk_port: int
    rtp_first: int
    rtp_last: int
    secret: str
    oracle_username: str
    oracle_secret: str


def write(tree: Tree, directory: Path, settings: Settings) -> str:
    """Fill `directory` with all that `asterisk -C <directory>/etc/asterisk.conf` needs.

    Returns:
        The name of the daemon's AMI user, as the project's sample has it.
    """
    _make_folders(directory)
    etc = directory / "etc"
    values = _values(tree, directory, settings)
    for folder in ("common", *settings.technologies):
        for template in sorted((_TEMPLATES / folder).glob("*.conf")):
            _put(etc / template.name, _render(template.read_text(encoding="utf-8"), values))
    for sample in sorted(_DIALPLAN.glob("*.conf")):
        _put(etc / sample.name, sample.read_text(encoding="utf-8"))
    _write_lines(etc, settings.technologies)
    _put(etc / "modules_version.conf", _left_out(tree, settings.technologies))
    username, user = _daemon_user(settings.secret)
    _put(etc / "manager_pbxapi.conf", user)
    _fill_gaps(tree, etc)
    _write_tone(directory / "moh" / "tone.sln")
    return username


def write_cdr(etc: Path, dsn: str) -> None:
    """The project's sample of cdr_pgsql.conf, led to the database of that DSN."""
    url = urlsplit(dsn)
    values = {
        "hostname": url.hostname,
        "port": url.port,
        "dbname": url.path.removeprefix("/"),
        "user": url.username,
        "password": url.password or "unused",
    }
    text = _CDR_SAMPLE.read_text(encoding="utf-8")
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key}\s*=.*$", f"{key} = {value}", text)
        if count != 1:
            raise ValueError(f"{_CDR_SAMPLE} must have one {key}")
    _put(etc / "cdr_pgsql.conf", text)


def _make_folders(directory: Path) -> None:
    spool = ("monitor", "tmp", "outgoing", "recording", "voicemail")
    for name in ("etc", "run", "log", "lib/keys", "moh", "cache", *(f"spool/{n}" for n in spool)):
        (directory / name).mkdir(parents=True, exist_ok=True)


def _values(tree: Tree, directory: Path, settings: Settings) -> dict[str, str]:
    technology = settings.technologies[0]
    is_sip = technology == "SIP"
    return {
        "TREE": str(tree.root),
        "MODULES": str(tree.modules),
        "DIR": str(directory),
        "TECHNOLOGY": technology,
        "AMI_PORT": str(settings.ami_port),
        **{f"{driver}_PORT": str(port) for driver, port in settings.sip_ports.items()},
        "TRUNK_PORT": str(settings.trunk_port),
        "RTP_FIRST": str(settings.rtp_first),
        "RTP_LAST": str(settings.rtp_last),
        "ORACLE_USERNAME": settings.oracle_username,
        "ORACLE_SECRET": settings.oracle_secret,
        "TRUNK": TRUNK,
        "TRUNK_DIAL": f"SIP/{TRUNK}/${{EXTEN}}" if is_sip else f"PJSIP/${{EXTEN}}@{TRUNK}",
        "DID_PREFIX": DID_PREFIX,
        "DID_QUEUE": DID_QUEUE,
    }


def _write_lines(etc: Path, technologies: Sequence[Technology]) -> None:
    for technology in technologies:
        template = (_TEMPLATES / technology / "line.template").read_text(encoding="utf-8")
        lines = "".join(_render(template, _line_values(line)) for line in LINES)
        _put(etc / f"lines-{technology}.conf", lines)
    for dialplan_id in (1, 2):
        mine = [line for line in LINES if line.dialplan_id == dialplan_id]
        _put(etc / f"lines-dialplan-{dialplan_id}.conf", _extensions(mine, technologies[0]))


def _line_values(line: Line) -> dict[str, str]:
    return {
        "USERNAME": line.username,
        "SECRET": line.secret,
        "DIALPLAN": str(line.dialplan_id),
        "NAME": line.name.replace('"', '\\"'),
        "NUMBER": line.number,
        "ACCOUNT_CODE": line.account_code,
        "NAT": "force_rport" if line.behind_nat else "no",
        "REWRITE": "yes" if line.behind_nat else "no",
        "QUALIFY_MS": str(line.qualify_ms),
        "QUALIFY_TIMEOUT": str(line.qualify_ms / 1000),
        "QUALIFY_S": str(line.qualify_s),
    }


def _extensions(lines: list[Line], technology: str) -> str:
    """An extension and a hint for each number; a number rings all its accounts."""
    text = []
    for number in dict.fromkeys(line.number for line in lines):
        accounts = [f"{technology}/{line.username}" for line in lines if line.number == number]
        everywhere = "&".join(accounts)
        text += [
            f"exten => {number},hint,{everywhere}",
            f"exten => {number},1,Dial({everywhere},30,tT)",
            " same => n,Goto(s-${DIALSTATUS},1)",
        ]
    text += ["exten => s-BUSY,1,Busy(1)", "exten => s-CONGESTION,1,Congestion(1)"]
    text += ["exten => s-CHANUNAVAIL,1,Congestion(1)", "exten => _s-.,1,Hangup()", ""]
    return "\n".join(text)


def _left_out(tree: Tree, technologies: Sequence[Technology]) -> str:
    """Voicemail, which comes in several flavours of which none is used, and the other driver."""
    patterns = ["app_voicemail*.so"]
    if "PJSIP" not in technologies:
        # Not res_pjproject: Debian's res_rtp_asterisk links to it.
        patterns += ["chan_pjsip.so", "res_pjsip*.so", "func_pjsip*.so"]
    names = (path.name for pattern in patterns for path in sorted(tree.modules.glob(pattern)))
    return "".join(f"noload => {name}\n" for name in names)


def _daemon_user(secret: str) -> tuple[str, str]:
    """Section and name of the daemon's AMI user, out of the sample that the project ships."""
    sample = _MANAGER_SAMPLE.read_text(encoding="utf-8")
    for section in re.split(r"(?m)^(?=\[)", sample):
        name = re.match(r"\[(\w+)\]", section)
        if name and name[1] != "general":
            user, count = re.subn(r"(?m)^\s*secret\s*=.*$", f"secret = {secret}", section)
            if count != 1:
                raise ValueError(f"{_MANAGER_SAMPLE}: [{name[1]}] must have one secret")
            return name[1], user
    raise ValueError(f"{_MANAGER_SAMPLE} has no AMI user")


def _fill_gaps(tree: Tree, etc: Path) -> None:
    for name in _EMPTY:
        (etc / f"{name}.conf").touch()
    for name in _PACKAGED:
        packaged = tree.root / "etc/asterisk" / f"{name}.conf"
        _put(etc / f"{name}.conf", packaged.read_text(encoding="utf-8"))


def _write_tone(path: Path) -> None:
    """One second of a tone as music on hold."""
    step = 2 * math.pi * _TONE_HZ / _SAMPLE_RATE_HZ
    samples = array.array("h", (int(6000 * math.sin(step * i)) for i in range(_SAMPLE_RATE_HZ)))
    if sys.byteorder == "big":
        samples.byteswap()
    path.write_bytes(samples.tobytes())


def _render(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", lambda match: values[match[1]], template)


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
