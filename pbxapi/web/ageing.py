"""The JSON of rows of which only an age grows, made as seldom as it can change.

A row's text is kept with the row, all rows as one template with a hole for each age, and the whole
answer until the next age grows by a second. What is answered is byte for byte what `encode` makes
of the rows with their ages filled in.
"""

from collections.abc import Mapping
from typing import Any, Final

from pbxapi.actions.ageing import AgeingRows
from pbxapi.cache.channels.rows import Row
from pbxapi.web.encoding import encode, encode_success

#: Instants this near to the next second of an age are not believed to be before it: sums of floats
#: are not exact.
MARGIN_S: Final = 1e-6


class AgeingAnswer:
    """The answer of one action, whose last member is `results` with ageing rows."""

    def __init__(self, *, bare_slashes: bool) -> None:
        self._bare_slashes = bare_slashes
        self._rows: object = None
        self._head: dict[str, Any] = {}
        self._template = b""
        self._began: list[float] = []
        self._body = b""
        self._from = self._until = 0.0

    def encode(self, data: Mapping[str, Any]) -> bytes:
        """The whole answer."""
        ageing: AgeingRows = data["results"]
        head = {**data, "results": []}
        if ageing.rows is not self._rows or head != self._head:
            self._rows, self._head = ageing.rows, head
            self._template = self._make_template(ageing)
            self._began = [row.began for row in ageing.rows]
        elif self._from <= ageing.now < self._until:
            return self._body
        return self._fill_in(ageing.now)

    def _fill_in(self, now: float) -> bytes:
        ages = [now - began for began in self._began]
        seconds = [int(age) if age > 0 else 0 for age in ages]
        fractions = (age - second for age, second in zip(ages, seconds, strict=True))
        self._body = self._template % tuple(seconds)
        self._from = now
        self._until = now + 1 - max(fractions, default=0.0) - MARGIN_S
        return self._body

    def _make_template(self, ageing: AgeingRows) -> bytes:
        for row in ageing.rows:
            if row.text is None:
                row.text = self._text(row, ageing)
        texts = b",".join([row.text for row in ageing.rows])  # type: ignore[misc]  # all filled in
        head = encode_success(self._head, bare_slashes=self._bare_slashes)
        return _literally(head.removesuffix(b"]}")) + texts + b"]}"

    def _text(self, row: Row, ageing: AgeingRows) -> bytes:
        """A row with a hole; what is before and behind it is encoded apart, so nothing else is."""
        values = ageing.make(row.leg)
        names = list(values)
        at = names.index(ageing.age)
        before = encode(
            {name: values[name] for name in names[:at]}, bare_slashes=self._bare_slashes
        )
        after = encode(
            {name: values[name] for name in names[at + 1 :]}, bare_slashes=self._bare_slashes
        )
        hole = b',"%b":"%%d",' % ageing.age.encode()
        return _literally(before[:-1]) + hole + _literally(after[1:])


def _literally(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
