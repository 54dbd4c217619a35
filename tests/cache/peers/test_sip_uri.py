"""URIs of contacts, and addresses that are the same however they are written."""

from ipaddress import ip_address

import pytest

from pbxapi.cache.peers.sip_uri import (
    SipUri,
    as_ip,
    as_registered,
    is_rewritten,
    parse,
    split_host_port,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:101a@192.0.2.7:5096;line=c5979f655562d46", SipUri("101a", "192.0.2.7", "5096")),
        ("sip:192.0.2.7", SipUri("", "192.0.2.7", "")),
        ("sips:a@phone.example.net", SipUri("a", "phone.example.net", "")),
        ("SIP:a@192.0.2.7", SipUri("a", "192.0.2.7", "")),
        (
            "sip:a@[2001:db8::1]:5060;transport=udp",
            SipUri("a", "2001:db8::1", "5060"),
        ),
        ('"Jan: @Novák" <sip:a@192.0.2.7:5060>;expires=60', SipUri("a", "192.0.2.7", "5060")),
        ("<sip:a@192.0.2.7?header=x>", SipUri("a", "192.0.2.7", "")),
        ("sip:a:secret@192.0.2.7", SipUri("a:secret", "192.0.2.7", "")),
        ("sip:df7jal23@xyz.invalid;transport=ws", SipUri("df7jal23", "xyz.invalid", "")),
        ("", None),
        ("tel:+420123", None),
        ("sip:", None),
        ("sip:a@", None),
        ("192.0.2.7", None),
    ],
)
def test_where_a_uri_leads(text: str, expected: SipUri | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sip:a@203.0.113.5:41822;x-ast-orig-host=10.0.0.7:5060",
            "sip:a@10.0.0.7:5060",
        ),
        (
            "sip:a@203.0.113.5:41822;x-ast-orig-host=10.0.0.7:0;line=x",
            "sip:a@10.0.0.7;line=x",
        ),
        (
            "sip:a@203.0.113.5:41822;transport=tcp;x-ast-orig-host=abc.invalid:5060",
            "sip:a@abc.invalid:5060;transport=tcp",
        ),
        (
            "sip:a@[2001:db8::9]:41822;x-ast-orig-host=2001:db8::1:5060",
            "sip:a@[2001:db8::1]:5060",
        ),
        (
            "sip:a@[2001:db8::9]:41822;x-ast-orig-host=[2001:db8::1]:5060",
            "sip:a@[2001:db8::1]:5060",
        ),
        ("sip:a@192.0.2.7:5060", "sip:a@192.0.2.7:5060"),
        (";x-ast-orig-host=10.0.0.7:5060", ";x-ast-orig-host=10.0.0.7:5060"),
    ],
)
def test_a_contact_as_the_telephone_gave_it(text: str, expected: str) -> None:
    assert as_registered(text) == expected
    assert is_rewritten(text) == ("x-ast-orig-host" in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7:5060", ("192.0.2.7", "5060")),
        ("192.0.2.7", ("192.0.2.7", "")),
        ("[2001:db8::1]:5060", ("2001:db8::1", "5060")),
        ("[2001:db8::1]", ("2001:db8::1", "")),
        ("2001:db8::1", ("2001:db8::1", "")),
        ("", ("", "")),
    ],
)
def test_host_and_port(text: str, expected: tuple[str, str]) -> None:
    assert split_host_port(text) == expected


@pytest.mark.parametrize(
    "text",
    ["192.0.2.7", " 192.0.2.7", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]", "::FFFF:c000:207"],
)
def test_one_address_however_written(text: str) -> None:
    assert as_ip(text) == ip_address("192.0.2.7")


@pytest.mark.parametrize(
    "text", ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "[2001:db8::0001]", "2001:db8::0:1"]
)
def test_one_address_of_version_6_however_written(text: str) -> None:
    assert as_ip(text) == ip_address("2001:db8::1")


@pytest.mark.parametrize(
    "text", ["", "phone.example.net", "192.0.2.256", "192.0.2", "192.0.2.0/24", "1", "192.0.02.7"]
)
def test_what_is_no_address(text: str) -> None:
    assert as_ip(text) is None
