"""C escapes in names of parties."""

import pytest

from pbxapi.ami.escapes import unescape


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("", ""),
        ("Žofie Černá", "Žofie Černá"),
        (r"O\'Neil \"Bob\"\?", 'O\'Neil "Bob"?'),
        (r"C:\\new", r"C:\new"),
        (r"a\nb\tc", "a\nb\tc"),
        (r"\\n", r"\n"),
        ("ends with \\", "ends with \\"),
    ],
)
def test_names_are_read_as_they_were_before_they_were_escaped(escaped: str, text: str) -> None:
    assert unescape(escaped) == text
