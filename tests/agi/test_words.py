"""The oracle against what Asterisk is known to do with such lines."""

import pytest

from tests.agi.words import BUFFER, words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"SET VARIABLE a b\n", [b"SET", b"VARIABLE", b"a", b"b"]),
        (b'  a\t "b c"  \n', [b"a", b"b c"]),
        (b'a""b c"d e"f', [b"ab", b"cd ef"]),
        (b'a "" b', [b"a", b"", b"b"]),
        (rb'"a\"b" c\ d \\', [b'a"b', b"c d", b"\\"]),
        (b'"a b', [b"a b"]),
        (b'a "b\nSET', [b"a", b"b"]),
        (b"a\x00b", [b"a"]),
        (b"x" * (BUFFER + 5), [b"x" * (BUFFER - 1)]),
    ],
)
def test_words_are_those_of_asterisk(line: bytes, expected: list[bytes]) -> None:
    assert words(line) == expected
