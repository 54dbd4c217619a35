"""The JSON of rows that seldom change, encoded when they do and shared by all requests till then.

What is answered is byte for byte what the action's own encoder makes of all rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pbxapi.actions.kept import KeptRows
from pbxapi.web.encoding import encode

#: More queues than these are told anew for each request, the oldest answers first.
MAX_ANSWERS: Final = 1024
_EMPTY: Final = b'"results":[]'


class _Answer(NamedTuple):
    head: Mapping[str, Any]
    source: tuple[object, ...]
    parts: Sequence[Any]
    texts: Sequence[bytes]
    body: bytes


class KeptAnswers:
    """The answers of one action, whose member `results` has kept rows.

    Args:
        encode_answer: The action's encoder.
    """

    def __init__(self, encode_answer: Callable[[Mapping[str, Any]], bytes]) -> None:
        self._encode_answer = encode_answer
        self._answers: dict[str, _Answer] = {}

    def encode(self, data: Mapping[str, Any]) -> bytes:
        """The whole answer."""
        rows: KeptRows = data["results"]
        head = {**data, "results": []}
        known = self._answers.get(rows.name)
        if known is not None and known.source == rows.source and known.head == head:
            # What is the same object is equal at once: the newest source is the one to compare.
            answer = known._replace(source=rows.source)
        else:
            answer = self._tell(head, rows, known)
        if known is None and len(self._answers) >= MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[rows.name] = answer
        return answer.body

    def _tell(self, head: Mapping[str, Any], rows: KeptRows, known: _Answer | None) -> _Answer:
        parts = rows.parts()
        texts = list(known.texts[: len(parts)]) if known is not None else []
        old = known.parts if known is not None else ()
        for at, (part, before) in enumerate(zip(parts, old, strict=False)):
            if part != before:
                texts[at] = encode(rows.row(part))
        texts += [encode(rows.row(part)) for part in parts[len(texts) :]]
        before_rows, _, after_rows = self._encode_answer(head).partition(_EMPTY)
        body = b"".join((before_rows, _EMPTY[:-1], b",".join(texts), b"]", after_rows))
        return _Answer(head, rows.source, parts, texts, body)
