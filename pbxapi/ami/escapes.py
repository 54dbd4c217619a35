r"""C escapes in names of parties.

Events carry `CallerIDName` and `ConnectedLineName` escaped as in C, lists of queues carry them as
they are. Source: Asterisk main/manager_channels.c, ast_manager_build_channel_state_string_prefix(),
and main/utils.c, ast_escape_c(), 16 to 22.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def unescape(text: str) -> str:
    r"""The text that was escaped: `\n` is a line feed, `\'`, `\"`, `\?` and `\\` are themselves."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _MEANINGS.get(match[1], match[1]), text)
