"""How Asterisk cuts an AGI command line into words, as an oracle for our quoting.

A state machine after what parse_args() of res/res_agi.c does, the same in 16 and 22:

- blanks and tabs outside of quotes and without a backslash before them separate words;
- `"` begins and ends quoting anywhere, also inside a word, and begins a word (even an empty one)
  where it follows a separator;
- `\\` makes the next byte an ordinary one, inside of quotes and outside;
- the line ends at the first LF, as it was read by fgets(), or NUL, as it is a C string.
"""

import re

#: BUFFER is AGI_BUF_LEN of Asterisk 16, with fgets()' terminator.
BUFFER = 2048


def words(line: bytes) -> list[bytes]:
    """The words of the first command in these bytes."""
    text = re.split(rb"[\n\x00]", line[: BUFFER - 1], maxsplit=1)[0]
    found: list[bytearray] = []
    between, quoted, escaped = True, False, False
    for byte in text:
        char = bytes([byte])
        if char == b'"' and not escaped:
            quoted = not quoted
            if quoted and between:
                found.append(bytearray())
                between = False
        elif char in b" \t" and not quoted and not escaped:
            between = True
        elif char == b"\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                found.append(bytearray())
                between = False
            found[-1] += char
        escaped = False
    return [bytes(word) for word in found]
