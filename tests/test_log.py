"""Log lines: their form, how the standard library's records get there, and that no secret does."""

import asyncio
import io
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import structlog
from hypothesis import given, strategies as st

from pbxapi import log
from pbxapi.redaction import MASK, MAX_CHARACTERS, Redactor, is_secret_name

SECRET = "s3kr1t-hunter2"
FORMS = ("json", "console")


class Output:
    """What was logged since `start`."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def start(self, form: str = "json", level: str = "debug", **options: Any) -> Any:
        log.configure(level, form, stream=self.stream, **options)
        return structlog.get_logger()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def line(self) -> dict[str, Any]:
        """The one JSON line."""
        (line,) = self.text.splitlines()
        facts = json.loads(line)
        assert isinstance(facts, dict)
        return facts


def fail(text: str) -> None:
    raise ValueError(text)


def fail_in_many_ways(text: str) -> None:
    try:
        fail(text)
    except ValueError as error:
        raise ExceptionGroup(text, [KeyError(text), OSError(1, text)]) from error


@pytest.fixture
def output() -> Output:
    return Output()


def test_a_json_line_has_time_level_event_and_facts_in_this_order(output: Output) -> None:
    output.start().info("ami.connected", host="127.0.0.1", took_ms=1.5, tries=2, ok=True, who=None)
    facts = output.line()
    assert list(facts) == ["timestamp", "level", "event", "host", "took_ms", "tries", "ok", "who"]
    assert list(facts.values())[1:] == ["info", "ami.connected", "127.0.0.1", 1.5, 2, True, None]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", facts["timestamp"])
    assert datetime.now(UTC) - datetime.fromisoformat(facts["timestamp"]) < timedelta(minutes=1)


def test_a_console_line_has_the_same(output: Output) -> None:
    output.start("console").warning("ami.lost", host="::1", why="a b", name="Žižka", empty="", n=1)
    assert re.fullmatch(
        r'\S+Z warning  ami\.lost host=::1 why="a b" name=Žižka empty="" n=1\n', output.text
    )


@pytest.mark.parametrize("form", FORMS)
def test_lines_go_to_standard_error_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    log.configure("info", form)
    structlog.get_logger().info("daemon.started")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "daemon.started" in captured.err


def test_the_facts_of_a_request_are_on_every_line(output: Output) -> None:
    logger = output.start()
    facts = {"request_id": "r1"}
    log.set_request_facts(facts)
    facts["password"] = SECRET
    logger.info("a")
    logging.getLogger("asyncpg").warning("b")
    lines = [json.loads(line) for line in output.text.splitlines()]
    assert [(line["event"], line["request_id"], line["password"]) for line in lines] == [
        ("a", "r1", MASK),
        ("b", "r1", MASK),
    ]


def test_a_fact_cannot_take_the_place_of_the_head(output: Output) -> None:
    output.start().info("a", level="error", timestamp="never")
    assert (output.line()["level"], output.line()["timestamp"] != "never") == ("info", True)


def test_an_event_that_is_no_text_is_written_as_one(output: Output) -> None:
    output.start().info(["a", 1])
    assert output.line()["event"] == "['a', 1]"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_levels_below_the_configured_one_are_silent(output: Output, level: str) -> None:
    logger = output.start(level=level)
    names = ["debug", "info", "warning", "error", "critical"]
    for name in names:
        getattr(logger, name)("ours")
        getattr(logging.getLogger("asyncpg"), name)("theirs")
    loud = [json.loads(line)["level"] for line in output.text.splitlines()]
    assert loud == [name for name in names[names.index(level) :] for _ in range(2)]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_audited_is_written_at_any_level_and_as_all_else_is(
    output: Output, form: str
) -> None:
    audit = log.audit_logger()
    output.start(form, "critical").error("silent")
    log.set_request_facts({"request_id": "r1"})
    audit.info("audit.action", password=SECRET)
    assert len(output.text.splitlines()) == 1
    assert all(text in output.text for text in ("info", "audit.action", "r1", MASK))
    assert SECRET not in output.text


def test_a_silent_event_costs_next_to_nothing(output: Output) -> None:
    """A hundred times slower would still pass: this catches a pipeline that runs for nothing."""
    logger = output.start(level="warning")
    started = time.process_time()
    for _ in range(1000):
        logger.debug("a", fact="x" * 1000)
    assert time.process_time() - started < 0.3
    assert output.text == ""


def test_the_last_configuration_holds_for_loggers_that_exist(output: Output) -> None:
    logger = output.start(level="error")
    logger.info("a")
    output.start(level="info")
    logger.info("b")
    assert output.line()["event"] == "b"


@pytest.mark.parametrize(("level", "form"), [("trace", "json"), ("info", "xml")])
def test_an_unknown_level_or_form_is_refused(level: str, form: str) -> None:
    with pytest.raises(KeyError):
        log.configure(level, form)


@pytest.mark.parametrize("method", ["exception", "error"])
def test_a_traceback_is_one_fact(output: Output, method: str) -> None:
    logger = output.start()
    try:
        fail("why\nnot")
    except ValueError:
        getattr(logger, method)("request.failed", exc_info=True)
    facts = output.line()
    assert facts["level"] == "error"
    assert facts["exception"].startswith("Traceback (most recent call last):\n")
    assert facts["exception"].endswith("\nValueError: why\nnot")


def test_a_stack_is_one_fact(output: Output) -> None:
    logger = output.start()
    logger.info("a", stack_info=True)
    assert "test_a_stack_is_one_fact" in output.line()["stack"]


def test_records_of_the_standard_library_are_events(output: Output) -> None:
    output.start()
    logging.getLogger("asyncpg.pool").warning("took %d s", 5)
    facts = output.line()
    assert list(facts) == ["timestamp", "level", "event", "logger"]
    assert (facts["level"], facts["event"]) == ("warning", "took 5 s")
    assert facts["logger"] == "asyncpg.pool"


def test_tracebacks_and_stacks_of_the_standard_library_are_facts(output: Output) -> None:
    output.start()
    try:
        fail("why")
    except ValueError:
        logging.getLogger("asyncio").exception("failed", stack_info=True)
    facts = output.line()
    assert facts["exception"].endswith("ValueError: why")
    assert "test_tracebacks_and_stacks" in facts["stack"]


async def test_a_callback_that_fails_in_the_loop_is_logged_without_the_secret(
    output: Output,
) -> None:
    output.start()
    loop = asyncio.get_running_loop()
    loop.call_exception_handler(
        {"message": "lost", "exception": ValueError(f"password={SECRET}"), "password": SECRET}
    )
    facts = output.line()
    assert facts["logger"] == "asyncio"
    assert "ValueError: password=***" in facts["exception"]
    assert SECRET not in output.text


@pytest.mark.parametrize("arguments", [("%d", "x"), ("%s %s", 1), ("%(a)s", 1), ("%", 1)])
def test_a_record_whose_arguments_do_not_fit_is_logged_all_the_same(
    output: Output, arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    output.start()
    logging.getLogger("asyncpg").warning(*arguments)
    assert str(arguments[1]) in output.line()["event"]
    assert capsys.readouterr().err == ""


def test_a_record_that_cannot_be_logged_is_dropped_without_a_report(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report of `logging` would show the arguments as they are."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    output.start()
    logging.getLogger("asyncpg").warning("%s", Bad())
    assert (output.text, capsys.readouterr().err) == ("", "")


def test_the_access_log_of_aiohttp_is_off(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.start()
    logging.getLogger("aiohttp.access").error("GET /?password=%s", SECRET)
    assert (output.text, capsys.readouterr().err) == ("", "")


def test_a_stream_that_is_closed_does_not_break_the_caller(output: Output) -> None:
    logger = output.start()
    output.stream.close()
    logger.info("a")
    logging.getLogger("asyncpg").warning("b")


# Secrets ---------------------------------------------------------------------


@dataclass
class Login:
    username: str
    password: str


def _reprs() -> list[object]:
    return [
        Login("u", SECRET),
        {"password": SECRET},
        {"a": [{"b": ({"agentPin": SECRET},)}]},
        {b"password": SECRET.encode()},
        {("a", "b"): {"secret": SECRET}},
        [("username", "u"), ("password", SECRET)],
        [(b"agentPin", SECRET.encode())],
        ("Secret", SECRET),
        {"password": {"deeper": SECRET}},
        {"secret": [SECRET]},
        {f"password={SECRET}": 1},
        f"password={SECRET}".encode(),
        ValueError(f"dsn postgresql://u:{SECRET}@h/d is wrong"),
        frozenset({f"password={SECRET}"}),
        {"x": Login("u", SECRET)},
    ]


def _texts() -> list[str]:
    headers = f"Action: Login\r\nUsername: u\r\nSecret: {SECRET}\r\nKey: {SECRET}\r\n\r\n"
    form = (
        f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{SECRET}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="agentPin"; x=1\r\n'
        f"Content-Type: text/plain\r\n\r\n{SECRET}\r\n--b--\r\n"
    )
    mapping = {"username": "u", "password": f"my '{SECRET}' \" word {SECRET}", "x": 1}
    query = urlencode({"action": "agentlogin", "password": SECRET, "agentPin": SECRET, "x": "1"})
    return [
        f"GET /api/api.php?{query} HTTP/1.1",
        f"http://h/api.php?username=u&password={SECRET}",
        f"url=http://h/?password={SECRET}",
        f"?p%61ssword={SECRET}&agent%50in={SECRET}&+password={SECRET}&password%00x={SECRET}",
        f"/login?next={quote(f'/api.php?password={SECRET}&x=1', safe='')}",
        f"password=a,b;c'd\"e)f{SECRET}&x",
        f"password='a b {SECRET}' host=h",
        f"password='a'{SECRET}",
        f"password = {SECRET}",
        f"host=h password={SECRET} user=u",
        f"postgresql://u:{SECRET}@h:5432/d",
        f"postgresql://:{SECRET}@/d",
        f"postgresql://u:a/b?c#d@{SECRET}@h/d",
        f"connect('postgres://u:{SECRET}@h')",
        headers,
        headers.replace("\r\n", "\n"),
        repr(headers.encode()),
        f"Authorization: Basic {SECRET} {SECRET}",
        f"Proxy-Authorization:{SECRET}\r\nCookie: a=b; c={SECRET}",
        form,
        repr(form.encode()),
        json.dumps(mapping),
        json.dumps({"inner": json.dumps(mapping)}),
        repr(mapping),
        repr([mapping]),
        repr({"inner": repr(mapping)}),
        f"('password', 'my {SECRET}')",
        f"<MultiDictProxy('username': 'u', 'password': '{SECRET}')>",
        f"array('password' => '{SECRET}')",
        f"[\"password\"] => '{SECRET}'",
        f"{{'password': 'cut off {SECRET}",
        f"$argon2id$v=19$m=65536,t=3,p=4${SECRET}${SECRET}",
        f"\npassword={SECRET}\npin={SECRET}",
        repr(f"\npassword={SECRET}\npin={SECRET}\nPIN: {SECRET}"),
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [*_reprs(), *_texts()], ids=lambda value: ascii(value)[:60])
def test_a_secret_in_a_value_is_masked(output: Output, form: str, value: object) -> None:
    output.start(form).info("a", value=value)
    assert SECRET not in output.text
    assert MASK in output.text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", _texts(), ids=lambda value: ascii(value)[:60])
def test_a_secret_in_a_message_is_masked(output: Output, form: str, text: str) -> None:
    logger = output.start(form)
    logger.info(text)
    logging.getLogger("aiohttp.server").error("cannot read %s", text)
    assert SECRET not in output.text
    assert output.text.count(MASK) >= 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", _texts(), ids=lambda value: ascii(value)[:60])
def test_a_secret_in_a_traceback_is_masked(output: Output, form: str, text: str) -> None:
    logger = output.start(form)
    try:
        fail_in_many_ways(text)
    except ExceptionGroup as error:
        logger.error("a", exc_info=error)  # noqa: TRY400 - errors are logged with what was caught
        logging.getLogger("asyncio").error("b", exc_info=error)  # noqa: TRY400 - as above
    assert SECRET not in output.text
    assert output.text.count("ExceptionGroup") >= 2


SECRET_NAMES = (
    "password Password passwd user_password password_hash agentPin pin PIN pin_hash agentpin "
    "agent_pin secret ami_secret Secret Key key dsn DSN database_dsn Authorization Cookie pwd "
    "token api_key passphrase p%61ssword +password agent%50in password%00x credentials "
    "CREDENTIALS_DIRECTORY X-Auth-Token"
)


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_the_name_of_a_secret_is_known(output: Output, name: str) -> None:
    assert is_secret_name(name)
    output.start().info("a", **{name: SECRET})
    assert output.line()[name] == MASK


INNOCENT_NAMES = (
    "ping ping_interval_s mapping spinning pinned Pinned keys monkey host username agentNumber "
    "InvalidPasswordError dstNum sipPing passed compass"
)


@pytest.mark.parametrize("name", INNOCENT_NAMES.split())
def test_an_innocent_name_keeps_its_value(output: Output, name: str) -> None:
    assert not is_secret_name(name)
    output.start().info("a", **{name: "value"})
    assert output.line()[name] == "value"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/api/api.php?username=u&action=listcalls",
        "asyncpg.InvalidPasswordError: password authentication failed for user x",
        "SIP/Linka_1000-0000000a",
        "postgresql://pbxapi@/pbxapi",
        "{'a': 1, 'b': ('c', 'd')}",
        "Žižka <1000>: a=b; c: d",
        "",
    ],
)
def test_an_innocent_text_stays_as_it_is(output: Output, text: str) -> None:
    output.start().info("a", text=text)
    assert output.line()["text"] == text


def test_only_the_value_of_a_secret_is_masked(output: Output) -> None:
    output.start().info(
        "a", url=f"http://h/?username=u&password={SECRET}&action=dial", dsn_given=None, has_pin=True
    )
    assert output.line()["url"] == "http://h/?username=u&password=***&action=dial"
    assert (output.line()["dsn_given"], output.line()["has_pin"]) == (None, True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [SECRET, "a b/c?ž\"'\\", "%%%%", "lf\nlf", "\\n\\n"])
def test_a_known_secret_is_masked_wherever_it_occurs(
    output: Output, form: str, secret: str
) -> None:
    logger = output.start(form, secrets=["", "abc", secret])
    for text in (secret, quote(secret, safe=""), json.dumps(secret), repr(secret), f"x{secret}y"):
        logger.info("a", fact=text, facts=[text, {text: text}], abc="abc")
        logging.getLogger("asyncpg").warning("%s", text)
    for spelling in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelling not in output.text.replace("\n", "\r")
    assert output.text.count("abc") == 10


# Lines that cannot be forged, values that cannot break the log ---------------


HOSTILE = 'a\r\n{"level":"error"}\x1b[2J\0\x85\u2028\u2029\u202e\x7f\x9b\v\f\b\t\ud800é'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "say",
    [
        lambda logger: logger.info(HOSTILE),
        lambda logger: logger.info("a", value=HOSTILE),
        lambda logger: logger.info("a", value=[HOSTILE, {HOSTILE: HOSTILE}]),
        lambda logger: logger.info("a", **{HOSTILE: 1}),
        lambda _logger: logging.getLogger("aiohttp").error("%s", HOSTILE),
        lambda _logger: logging.getLogger(HOSTILE).error("a"),
    ],
    ids=["event", "value", "nested", "name", "message", "logger"],
)
def test_nothing_in_an_event_can_end_its_line(
    output: Output, form: str, say: Callable[[Any], None]
) -> None:
    say(output.start(form))
    assert output.text.endswith("\n")
    assert output.text[:-1].isprintable()


def test_a_traceback_in_the_console_cannot_forge_a_line(output: Output) -> None:
    logger = output.start("console")
    try:
        fail(HOSTILE)
    except ValueError:
        logger.exception("a", fact=1)
    first, *rest = output.text.removesuffix("\n").split("\n")
    assert first.endswith("Z error    a fact=1")
    assert len(rest) > 4
    assert all(line.startswith("    | ") and line.isprintable() for line in rest)


@given(st.text(), st.dictionaries(st.text(), st.text() | st.binary() | st.floats(), max_size=3))
@pytest.mark.parametrize("form", FORMS)
def test_any_text_makes_one_printable_line(form: str, event: str, facts: dict[str, Any]) -> None:
    output = Output()
    output.start(form).info(event, value=facts)
    assert output.text.endswith("\n")
    assert output.text[:-1].isprintable()
    if form == "json":
        assert list(output.line()) == ["timestamp", "level", "event", "value"]


def test_values_without_json_are_written_as_something_readable(output: Output) -> None:
    circle: list[Any] = []
    circle.append(circle)
    output.start().info(
        "a",
        inf=float("inf"),
        nan=float("nan"),
        data=b"\xff",
        group={1, 1.5} - {1.5},
        type_=int,
        keys={1: 2, None: 3, (1, 2): 4},
        circle=circle,
    )
    facts = output.line()
    assert (facts["inf"], facts["nan"], facts["data"]) == ("inf", "nan", "b'\\xff'")
    assert (facts["group"], facts["type_"]) == ([1], "<class 'int'>")
    assert facts["keys"] == {"1": 2, "None": 3, "(1, 2)": 4}
    assert json.dumps(facts["circle"]) == '[[[[[[["\\u2026"]]]]]]]'


def test_a_long_text_is_cut_off(output: Output) -> None:
    output.start().info("a", value="x" * 10**6)
    assert output.line()["value"] == "x" * MAX_CHARACTERS + "…"


def test_the_cut_never_uncovers_a_secret() -> None:
    redactor = Redactor([SECRET])
    for length in range(MAX_CHARACTERS - 60, MAX_CHARACTERS + 10, 3):
        text = redactor.text("x" * length + f" postgresql://u:hunter2@h {SECRET} ")
        assert not re.search("hunter2|s3k", text)


PIECES = r"""a \ ' " =' a=' a=" 'a':' \'a\':\' :// ://a: : a: a- password= 'password':' name=
    name=a; name="a"\n name='a'; % %3D \n => ['a']=> password: $argon2 @ a@b://c:d key pin"""
BLANK_PIECES = (" ", "\r\n", "name=a\r\n", "a:\n", "name=a;\n\n", "password =", "a =", "\n | | ")


@pytest.mark.parametrize("piece", [*PIECES.split(), *BLANK_PIECES])
def test_no_text_keeps_the_redaction_busy(piece: str) -> None:
    """Bound: ten times what the slowest takes; a quadratic pattern takes minutes."""
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    Redactor([SECRET]).text(text)
    assert time.process_time() - started < 3


def test_a_known_secret_in_a_traceback_is_masked(output: Output) -> None:
    logger = output.start(secrets=[SECRET])
    try:
        fail(f"the words {SECRET} have no name")
    except ValueError:
        logger.exception("a")
    assert SECRET not in output.text
