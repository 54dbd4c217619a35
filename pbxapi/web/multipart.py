r"""The fields of `multipart/form-data` as PHP reads them.

Source: php-src main/rfc1867.c (8.2): `rfc1867_post_handler` and the `multipart_buffer_*` functions.
`tests/web/test_multipart.py` compares it with the real PHP.

What a client can rely on: a part with a `filename` is an uploaded file and no field; what stands
before the first boundary counts for nothing, multipart within multipart is text like any other; a
transfer encoding is not undone; parts that nobody ends are read as far as they go. A body without
its boundary has no fields.
"""

from typing import Final

from pbxapi.web.params import MAX_VARIABLES, Pairs

#: PHP's max_multipart_body_parts: max_input_vars and max_file_uploads together.
MAX_PARTS: Final = MAX_VARIABLES + 20

_QUOTES: Final = b"\"'"
#: What C's isspace() takes for a blank.
_BLANKS: Final = b" \t\n\v\f\r"


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that the header names; empty where it names none."""
    at = content_type.find(b"boundary")
    if at < 0:
        at = content_type.lower().find(b"boundary")
    _, equals, text = content_type[at:].partition(b"=") if at >= 0 else (b"", b"", b"")
    if not equals:
        return b""
    if text.startswith(b'"'):
        quoted, end, _ = text[1:].partition(b'"')
        return quoted if end else b""
    return text.partition(b",")[0].partition(b";")[0]


def parse_multipart(body: bytes, boundary: bytes) -> Pairs:
    """Names and values of the fields, in their order."""
    pairs: Pairs = []
    parts, at = 0, 0
    while parts < MAX_PARTS and len(pairs) < MAX_VARIABLES:
        at = _after_boundary(body, at, b"--" + boundary)
        if at < 0:
            break
        disposition, at = _read_disposition(body, at)
        if disposition is None:
            continue
        parts += 1
        name, is_file = _parse_disposition(disposition)
        if name is None and not is_file:
            break  # garbled, says PHP, and reads no further
        value, at = _read_value(body, at, b"\n--" + boundary)
        if name is not None and not is_file:
            pairs.append((name, value))
    return pairs


def _after_boundary(body: bytes, at: int, boundary: bytes) -> int:
    """Where the headers of the next part begin; -1 where there is none."""
    while (end := body.find(b"\n", at)) >= 0:
        line, at = body[at:end].removesuffix(b"\r"), end + 1
        if line == boundary:
            return at
    return -1


def _read_disposition(body: bytes, at: int) -> tuple[bytes | None, int]:
    """Value of the first Content-Disposition, and where the headers end.

    A line without a colon continues the one before; one that nobody ends belongs to the value.
    """
    headers: list[tuple[bytes, bytes]] = []
    while (end := body.find(b"\n", at)) >= 0:
        line, at = body[at:end].removesuffix(b"\r").partition(b"\0")[0], end + 1
        if not line:
            break
        name, colon, value = line.partition(b":")
        if colon and line[0] not in _BLANKS:
            headers.append((name, value.lstrip(_BLANKS)))
        elif headers:
            headers[-1] = (headers[-1][0], headers[-1][1] + line)
    found = (value for name, value in headers if name.lower() == b"content-disposition")
    return next(found, None), at


def _parse_disposition(text: bytes) -> tuple[bytes | None, bool]:
    """Name of the field, and whether it is an uploaded file."""
    name: bytes | None = None
    is_file = False
    text = text.lstrip(_BLANKS)
    while text:
        pair, text = _split_word(text, ord(";"))
        text = text.lstrip(_BLANKS)
        if b"=" not in pair:
            continue
        key, value = _split_word(pair, ord("="))
        if key.lower() == b"name":
            name = _unquote(value)
        elif key.lower() == b"filename":
            is_file = True
    return name, is_file


def _split_word(text: bytes, stop: int) -> tuple[bytes, bytes]:
    """What stands before the first `stop` that is not within quotes, and what follows it."""
    at = 0
    while at < len(text) and text[at] != stop:
        at = _end_of_quoted(text, at) if text[at] in _QUOTES else at + 1
    rest = at
    while rest < len(text) and text[rest] == stop:
        rest += 1
    return text[:at], text[rest:]


def _end_of_quoted(text: bytes, at: int) -> int:
    """The place after the quotation that begins here."""
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at : at + 2] == bytes((ord("\\"), quote)) else 1
    return min(at + 1, len(text))


def _unquote(text: bytes) -> bytes:
    text = text.lstrip(_BLANKS)
    quote = text[:1] if text[:1] and text[0] in _QUOTES else b""
    if not quote:
        words = text.split(None, 1)
        return words[0].replace(b"\\\\", b"\\") if words else b""
    plain = bytearray()
    at = 1
    while at < len(text) and text[at : at + 1] != quote:
        if text[at : at + 2] in {b"\\\\", b"\\" + quote}:
            at += 1
        plain.append(text[at])
        at += 1
    return bytes(plain)


def _read_value(body: bytes, at: int, delimiter: bytes) -> tuple[bytes, int]:
    """The value that begins here, and where the line of its boundary begins."""
    end = body.find(delimiter, at)
    if end >= 0:
        return body[at:end].removesuffix(b"\r"), end + 1
    for length in range(min(len(delimiter), len(body) - at), 0, -1):
        if body.endswith(delimiter[:length]):
            return body[at : len(body) - length].removesuffix(b"\r"), len(body)
    return body[at:], len(body)
