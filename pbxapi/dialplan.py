"""What the daemon relies on in `pbxapi.conf`: the contexts that calls enter, and which file it is.

The file says itself which it is, by an extension that nobody dials: so `pbxapi check` sees by AMI
what Asterisk has loaded, wherever that runs.
"""

from typing import Final

#: Where calls enter first, and where they go on.
CONTEXTS: Final = (
    *("pbxapi-originate", "pbxapi-originated", "pbxapi-dial", "pbxapi-target"),
    *("pbxapi-dialout", "pbxapi-dialled", "pbxapi-entered", "pbxapi-spying", "pbxapi-spy"),
)
#: The context with the extension.
MARKED: Final = "pbxapi-file"
#: SHA-256 of all other lines, its first eight hexadecimal digits.
MARK: Final = "ab3f9286"
