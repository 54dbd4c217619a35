"""The dial plan file and what the daemon believes of it."""

import hashlib
import re
from pathlib import Path

from pbxapi import dialplan

FILE = Path(__file__).parent.parent / "dialplan" / "pbxapi.conf"
MARK = re.compile(r"(?<=^exten => )[0-9a-f]{8}(?=,1,Hangup\(\)$)", re.MULTILINE)


def test_the_file_is_marked_with_what_it_says() -> None:
    """If this fails the file was changed: write the new mark there and into pbxapi/dialplan.py."""
    text = FILE.read_text()
    (mark,) = MARK.findall(text)
    lines = "".join(line for line in text.splitlines(keepends=True) if mark not in line)
    assert mark == hashlib.sha256(lines.encode()).hexdigest()[:8] == dialplan.MARK


def test_it_has_the_contexts_that_calls_enter() -> None:
    contexts = set(re.findall(r"^\[([^]]+)\]", FILE.read_text(), re.MULTILINE))
    assert contexts >= {*dialplan.CONTEXTS, dialplan.MARKED}
