"""What is asked: the mix is kept, and nothing that cannot be sent gets through."""

from collections import Counter
from itertools import islice

import pytest

from pbxapi.actions import Parameters
from pbxapi.load.mix import BadMix, Mix, make_mix, parse_mix, parse_parameter


def encode(parameters: Parameters) -> bytes:
    return "&".join(f"{name}={value}" for name, value in parameters.items()).encode()


def asked(mix: Mix, count: int) -> list[tuple[str, bytes]]:
    return [(each.action, each.request) for each in islice(mix.questions(encode), count)]


def test_the_shares_are_kept_exactly() -> None:
    mix = make_mix(
        parse_mix("listcalls=8, queuestatus=2"), {("queuestatus", "queueName"): ["support"]}
    )
    actions = [action for action, _ in asked(mix, 30)]
    assert Counter(actions) == {"listcalls": 24, "queuestatus": 6}
    assert Counter(actions[:10]) == {"listcalls": 8, "queuestatus": 2}
    assert actions == [action for action, _ in asked(mix, 30)], "another order in another run"


def test_an_action_without_a_number_counts_once() -> None:
    assert parse_mix("listcalls,sipstatus=3,") == {"listcalls": 1, "sipstatus": 3}


def test_each_value_of_a_parameter_is_sent_in_turn() -> None:
    values = {("queuestatus", "queueName"): ["a", "b", "c"]}
    assert [request for _, request in asked(make_mix({"queuestatus": 1}, values), 4)] == [
        b"action=queuestatus&queueName=a",
        b"action=queuestatus&queueName=b",
        b"action=queuestatus&queueName=c",
        b"action=queuestatus&queueName=a",
    ]


def test_of_a_group_one_parameter_is_enough_and_the_shorter_list_begins_anew() -> None:
    values = {
        ("originate", "srcExtenInternalNum"): ["1000", "1001"],
        ("originate", "dstNum"): ["800"],
    }
    assert [request for _, request in asked(make_mix({"originate": 1}, values), 2)] == [
        b"action=originate&srcExtenInternalNum=1000&dstNum=800",
        b"action=originate&srcExtenInternalNum=1001&dstNum=800",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no action"),
        (" , ", "no action"),
        ("listcall", "no action 'listcall' .of agentadd, "),
        ("listcalls=1,listcalls=2", "twice"),
        ("listcalls=0", "from 1 to 1000"),
        ("listcalls=1001", "from 1 to 1000"),
        ("listcalls=-1", "from 1 to 1000"),
        ("listcalls=²", "from 1 to 1000"),
        ("listcalls=", "from 1 to 1000"),
    ],
)
def test_a_mix_that_is_none(text: str, why: str) -> None:
    with pytest.raises(BadMix, match=why):
        parse_mix(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("queueName=x", "ACTION.NAME=VALUE"),
        ("queuestatus.queueName", "ACTION.NAME=VALUE"),
        ("queuestatus.queueName=", "ACTION.NAME=VALUE"),
        ("queuestat.queueName=x", "no action"),
        ("queuestatus.queuename=x", "no parameter 'queuename' .of queueName"),
        ("listcalls.x=y", "of none"),
        ("queuestatus.password=x", "is not given as a parameter"),
    ],
)
def test_a_parameter_that_is_none(text: str, why: str) -> None:
    with pytest.raises(BadMix, match=why):
        parse_parameter(text)


def test_a_value_may_have_dots_and_equals_signs() -> None:
    text = "moverecord.path=/a.b/c=d"
    assert parse_parameter(text) == ("moverecord", "path", "/a.b/c=d")


def test_what_changes_something_is_refused_without_its_parameters() -> None:
    with pytest.raises(BadMix, match=r"originate needs --param originate\.srcExtenPublicNum\|"):
        make_mix({"originate": 1}, {("originate", "dstNum"): ["800"]})


def test_queuestatus_asks_for_the_queue_of_the_demo_where_none_is_given() -> None:
    assert make_mix({"queuestatus": 1}, {}).forms == {"queuestatus": [{"queueName": "support"}]}
    other = make_mix({"queuestatus": 1}, {("queuestatus", "queueName"): ["x"]})
    assert other.forms == {"queuestatus": [{"queueName": "x"}]}


def test_a_parameter_of_what_is_not_asked_is_a_slip() -> None:
    with pytest.raises(BadMix, match="which the mix does not have"):
        make_mix({"listcalls": 1}, {("queuestatus", "queueName"): ["x"]})
