"""The files of a host on which all is well."""

from pathlib import Path

SECRET = "hush-hush-hush"
MANAGER_CONF = f"""
[general]
enabled = yes
port = PORT
#include "manager.d/*.conf"
[template](!)
writetimeout = 5000
[pbxapi](template)
secret = {SECRET}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = system,call,agent,dialplan
write = originate,call,agent,reporting,system
"""


def make_host(folder: Path) -> tuple[Path, Path]:
    """A record root, and Asterisk's own files; PORT in manager.conf is to be replaced."""
    root, etc = folder / "spool" / "monitor", folder / "etc"
    root.mkdir(parents=True)
    (etc / "manager.d").mkdir(parents=True)
    (etc / "manager.d" / "other.conf").write_text("[other]\nsecret = x\n")
    (etc / "asterisk.conf").write_text(f"[directories](!)\nastspooldir => {root.parent}\n")
    (etc / "manager.conf").write_text(MANAGER_CONF)
    (etc / "extensions.conf").write_text("[general]\n;--\n[x\n--;\n#include pbxapi.conf\n")
    (etc / "cdr_pgsql.conf").write_text("[global]\ntable = pbxapi.cdr ; ours\n")
    return root, etc
