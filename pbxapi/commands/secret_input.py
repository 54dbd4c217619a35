"""Reads a password or PIN: from a prompt, or as one line of standard input.

Never from the command line, which every process of the host can read.
"""

import getpass
import sys
from typing import Final

from pbxapi.access.proof import MAX_CREDENTIAL_CHARS, is_credential
from pbxapi.errors import UsageError

#: Longest line worth reading: one with a line end that is still accepted, or else is not.
_MAX_LINE: Final = MAX_CREDENTIAL_CHARS + 2


def read_secret(what: str, *, is_new: bool = True) -> str:
    """The secret; `what` is what people call it. At a prompt a new one is asked for twice.

    Raises:
        UsageError: for one that nobody could log in with, or where there is no standard input.
    """
    if sys.stdin is None:  # closed, as by `<&-`
        raise UsageError(f"the {what} is asked for, or read from standard input: there is neither")
    secret = _prompt(what, is_new=is_new) if sys.stdin.isatty() else _one_line(what)
    if not secret:
        raise UsageError(f"the {what} is empty")
    if not is_credential(secret):
        raise UsageError(
            f"a {what} is text without control characters,"
            f" of at most {MAX_CREDENTIAL_CHARS} characters"
        )
    return secret


def _prompt(what: str, *, is_new: bool) -> str:
    try:
        secret = getpass.getpass(f"{what[0].upper()}{what[1:]}: ")
        again = getpass.getpass("Again: ") if secret and is_new else secret
    except EOFError:
        return ""
    if secret != again:
        raise UsageError(f"the two {what}s differ")
    return secret


def _one_line(what: str) -> str:
    try:
        return sys.stdin.readline(_MAX_LINE).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(f"the {what} is not text in the encoding of this locale") from None
    except OSError as error:
        raise UsageError(f"standard input: {error.strerror}") from None
