"""The configuration: defaults, precedence, secrets, and everything that can be wrong with it."""

import dataclasses
import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pbxapi.config import Ami, Config, Database, Listen
from pbxapi.config_reading import load
from pbxapi.errors import UsageError
from pbxapi.redaction import Redactor

SECRET = "s3kr1t-hunter2"
WITH_SECRET = {"PBXAPI_AMI_SECRET": SECRET}

#: Every key of the contract with a value that is not the default.
FULL = f"""
[http]
listen = "unix:/run/pbxapi/http.sock"
path = "/api.php"
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
tls_certificate = "/etc/tls/chain.pem"
tls_key = "/etc/tls/key.pem"
max_connections = 100
max_connections_per_address = 10
[ami]
host = "pbx.example"
port = 15038
username = "api"
secret = "{SECRET}"
[fastagi]
listen = "[::1]:14573"
[database]
dsn = "postgresql://u:{SECRET}@db/pbx"
[records]
roots = ["/mnt/a", "/mnt/b"]
[originate]
ring_timeout = 20
[agents]
status_mode = "errno"
[security]
max_failures = 3
lockout_seconds = 120
[log]
level = "debug"
format = "console"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pbxapi.toml"


def load_text(file: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, WITH_SECRET if environ is None else environ)


def fault_of(file: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """The one line of the error, without the name of the file."""
    with pytest.raises(UsageError) as raised:
        load_text(file, text, environ)
    message = str(raised.value)
    assert message.isprintable()
    assert SECRET not in message
    assert Redactor().text(message) == message, "the reason is not taken for a secret"
    return message.removeprefix(f"{file}: ")


def test_every_key_has_the_default_of_the_contract() -> None:
    assert load(None, WITH_SECRET) == Config(ami=Ami(secret=SECRET))
    config = Config()
    assert str(config.http.listen) == "127.0.0.1:8080"
    assert config.http.path == "/api/api.php"
    assert config.http.trusted_proxies == ()
    assert (config.ami.host, config.ami.port) == ("127.0.0.1", 5038)
    assert (config.ami.username, config.ami.secret) == ("pbxapi", "")
    assert str(config.fastagi.listen) == "127.0.0.1:4573"
    assert config.database.dsn == "postgresql://pbxapi@/pbxapi"
    assert config.records.roots == (Path("/var/spool/asterisk/monitor"),)
    assert config.originate.ring_timeout == 30
    assert config.agents.status_mode == "reason"
    assert (config.security.max_failures, config.security.lockout_seconds) == (10, 60)
    assert (config.log.level, config.log.format) == ("info", "json")


def test_every_key_is_read_from_the_file(file: Path) -> None:
    config = load_text(file, FULL, {})
    assert config.http.listen == Listen(path="/run/pbxapi/http.sock")
    assert config.http.path == "/api.php"
    assert config.http.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("2001:db8::1/128"),
    )
    assert config.ami == Ami(host="pbx.example", port=15038, username="api", secret=SECRET)
    assert config.fastagi.listen == Listen("::1", 14573)
    assert config.database.dsn == f"postgresql://u:{SECRET}@db/pbx"
    assert config.records.roots == (Path("/mnt/a"), Path("/mnt/b"))
    assert config.originate.ring_timeout == 20
    assert config.agents.status_mode == "errno"
    assert (config.security.max_failures, config.security.lockout_seconds) == (3, 120)
    assert (config.log.level, config.log.format) == ("debug", "console")


def test_every_key_can_be_given_by_the_environment(file: Path) -> None:
    environ = {
        f"PBXAPI_{section}_{key}".upper(): ",".join(v) if isinstance(v, list) else str(v)
        for section, keys in tomllib.loads(FULL).items()
        for key, v in keys.items()
    }
    assert len(environ) == sum(len(dataclasses.fields(s)) for s in _sections(Config()))
    expected = load_text(file, FULL, {})
    assert load(None, environ) == expected
    assert load_text(file, "[ami]\nsecret = 'x'\n[log]\nlevel = 'error'", environ) == expected


def _sections(config: Config) -> list[Any]:
    return [getattr(config, part.name) for part in dataclasses.fields(config)]


def test_a_list_of_the_environment_is_comma_separated() -> None:
    def proxies(text: str) -> list[str]:
        config = load(None, {**WITH_SECRET, "PBXAPI_HTTP_TRUSTED_PROXIES": text})
        return [str(network) for network in config.http.trusted_proxies]

    assert proxies("") == []
    assert proxies(" 10.0.0.0/8 , ::1,") == ["10.0.0.0/8", "::1/128"]


def test_the_configuration_cannot_be_changed() -> None:
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.ami.port = 1  # type: ignore[misc]  # what must not be possible
    assert not hasattr(config.ami, "__dict__")


def test_names_of_others_in_the_environment_are_left_alone() -> None:
    others = {"PBXAPI_TEST_REQUIRE_ALL": "1", "PBXAPI_AMIGA_X": "1", "pbxapi_ami_x": "1", "A": ""}
    assert load(None, {**WITH_SECRET, **others}) == Config(ami=Ami(secret=SECRET))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("0.0.0.0:1", Listen("0.0.0.0", 1)),
        ("[::1]:65535", Listen("::1", 65535)),
        ("[0:0::1]:80", Listen("::1", 80)),
        ("localhost:80", Listen("localhost", 80)),
        ("pbx_1.example.:80", Listen("pbx_1.example.", 80)),
        ("unix:/run/x.sock", Listen(path="/run/x.sock")),
    ],
)
def test_an_address_to_listen_on_is_read_and_written(text: str, expected: Listen) -> None:
    assert Listen.parse(text) == expected
    assert Listen.parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be"),
        ("8080", "must be"),
        (":8080", "must be"),
        ("127.0.0.1", "must be"),
        ("::1:8080", "in brackets"),
        ("[::1]", "in brackets"),
        ("[::g]:80", "hex digits"),
        ("[127.0.0.1]:80", "expected|At least"),
        ("a b:80", "host name"),
        ("-a:80", "host name"),
        ("h:0", "from 1 to 65535"),
        ("h:65536", "from 1 to 65535"),
        ("h:-1", "from 1 to 65535"),
        ("h:http", "whole number"),
        ("h:", "whole number"),
        ("h:８０", "whole number"),
        ("unix:", "absolute path"),
        ("unix:x.sock", "absolute path"),
        ("unix:/a/../b", "absolute path"),
        ("unix:/a\nb", "control character"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
    ],
)
def test_an_address_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[htp]\n", "htp: there is no such section"),
        ("port = 1\n", "port: there is no such section"),
        ('["a\\nb"]\n', r"'a\nb': there is no such section"),
        ("http = 1\n", "http: must be a table, [http]"),
        ("[[http]]\n", "http: must be a table, [http]"),
        ("[http]\nlisten_on = 1\n", "http.listen_on: there is no such key"),
        ("[http]\npath_file = 'x'\n", "http.path_file: there is no such key"),
        ('[http]\n"\\u001b" = 1\n', r"http.'\x1b': there is no such key"),
        ("[http]\nlisten = 8080\n", "http.listen: must be text; it is 8080"),
        ("[http]\npath = 'api.php'\n", "http.path: must be the path of a URL"),
        ("[http]\npath = '/-/live'\n", "http.path: must not begin with '/-/'"),
        ("[http]\npath = '/{x}'\n", "http.path: must be the path of a URL"),
        ("[http]\npath = '/a?b'\n", "http.path: must be the path of a URL"),
        ("[http]\ntls_key = 'key.pem'\n", "http.tls_key: must be an absolute path"),
        ("[http]\ntrusted_proxies = '::1'\n", "http.trusted_proxies: must be a list of texts"),
        ("[http]\ntrusted_proxies = [1]\n", "http.trusted_proxies: must be a list of texts"),
        ("[http]\ntrusted_proxies = ['10.0.0.1/8']\n", "http.trusted_proxies: 10.0.0.1/8 has host"),
        ("[http]\ntrusted_proxies = ['a\\nb']\n", "http.trusted_proxies: "),
        ("[ami]\nport = '5038'\n", "ami.port: must be a whole number; it is '5038'"),
        ("[ami]\nport = true\n", "ami.port: must be a whole number; it is True"),
        ("[ami]\nport = 5038.0\n", "ami.port: must be a whole number; it is 5038.0"),
        ("[ami]\nport = 0\n", "ami.port: must be from 1 to 65535; it is 0"),
        ("[ami]\nport = 65536\n", "ami.port: must be from 1 to 65535; it is 65536"),
        ("[ami]\nhost = ''\n", "ami.host: must be a host name or an IP address; it is ''"),
        ('[ami]\nusername = "a\\nb"\n', r"ami.username: has a control character"),
        ("[fastagi]\nlisten = 'unix:/x'\n", "fastagi.listen: Asterisk reaches FastAGI by TCP only"),
        ("[records]\nroots = ['a']\n", "records.roots: must be an absolute path"),
        ("[records]\nroots = ['/a/../b']\n", "records.roots: must be an absolute path"),
        ("[originate]\nring_timeout = 0\n", "originate.ring_timeout: must be from 1 to 86400"),
        ("[originate]\nring_timeout = 1.5\n", "originate.ring_timeout: must be a whole number"),
        ("[agents]\nstatus_mode = 'x'\n", "agents.status_mode: must be one of reason, errno"),
        ("[security]\nmax_failures = 0\n", "security.max_failures: must be from 1 to 1000000"),
        ("[security]\nlockout_seconds = -1\n", "security.lockout_seconds: must be from 1 to"),
        ("[log]\nlevel = 'INFO'\n", "log.level: must be one of debug, info, warning, error, crit"),
        ("[log]\nformat = 'xml'\n", "log.format: must be one of json, console; it is 'xml'"),
        (f"[log]\nlevel = '{'x' * 99}'\n", "log.level: must be one of debug, info, warning, e"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_by_section_and_key(
    file: Path, text: str, fault: str
) -> None:
    message = fault_of(file, text)
    assert message.startswith(fault)
    assert len(message) < 200


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("HTTP_LISTN", "x", "http.listn (PBXAPI_HTTP_LISTN): there is no such key"),
        ("HTTP_", "x", "http.'' (PBXAPI_HTTP_): there is no such key"),
        ("AMI_PORT", "x", "ami.port (PBXAPI_AMI_PORT): must be a whole number; it is 'x'"),
        ("AMI_PORT", "", "ami.port (PBXAPI_AMI_PORT): must be a whole number; it is ''"),
        ("AMI_PORT", "1_0", "ami.port (PBXAPI_AMI_PORT): must be a whole number; it is '1_0'"),
        ("AMI_PORT", "9" * 5000, "ami.port (PBXAPI_AMI_PORT): must be a whole number; it is '9"),
        ("AMI_PORT", "0", "ami.port (PBXAPI_AMI_PORT): must be from 1 to 65535; it is '0'"),
        ("RECORDS_ROOTS", "/a,b", "records.roots (PBXAPI_RECORDS_ROOTS): must be an absolute"),
        ("LOG_LEVEL", "a\nb", "log.level (PBXAPI_LOG_LEVEL): must be one of debug, info, warning"),
        ("AMI_USERNAME", "\udcff", "ami.username (PBXAPI_AMI_USERNAME): has a control character"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_by_key_and_variable(
    file: Path, name: str, value: str, fault: str
) -> None:
    message = fault_of(file, "", {**WITH_SECRET, f"PBXAPI_{name}": value})
    assert message.startswith(fault)
    assert len(message) < 200


def test_all_faults_are_reported_at_once(file: Path) -> None:
    text = "[x]\n[http]\npath = 1\ny = 2\n[ami]\nport = 0\n"
    assert fault_of(file, text, {"PBXAPI_LOG_LEVEL": "x"}).split("; ") == [
        "x: there is no such section",
        "http.y: there is no such key",
        "http.path: must be text",
        "it is 1",
        "ami.port: must be from 1 to 65535",
        "it is 0",
        "ami.secret is missing",
        "give it, ami.secret_file, PBXAPI_AMI_SECRET or PBXAPI_AMI_SECRET_FILE",
        "log.level (PBXAPI_LOG_LEVEL): must be one of debug, info, warning, error, critical",
        "it is 'x'",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[ami\n", "is not TOML: .*at line 1, column 5"),
        (b"[ami]\nport = 1\nport = 2\n", "is not TOML: .*at line 3"),
        (b"[ami]\n\n# \xe9\n", r"is not UTF-8 \(at line 3\)"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
    ],
    ids=["syntax", "duplicate", "encoding", "nesting"],
)
def test_a_file_that_is_not_toml_is_one_line_with_the_position(
    file: Path, content: bytes, fault: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"^\S*pbxapi\.toml: {fault}") as raised:
        load(file, WITH_SECRET)
    assert str(raised.value).isprintable()


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(UsageError, match=r"pbxapi\.toml: cannot be read: No such file"):
        load(file, WITH_SECRET)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load(file.parent, WITH_SECRET)


def test_a_missing_ami_secret_is_an_error_that_says_where_to_give_it() -> None:
    with pytest.raises(UsageError) as raised:
        load(None, {})
    assert str(raised.value) == (
        "configuration: ami.secret is missing; give it, ami.secret_file, "
        "PBXAPI_AMI_SECRET or PBXAPI_AMI_SECRET_FILE"
    )


@pytest.mark.parametrize("text", ["", "[ami]\nsecret_file = 'not-for-us'\n"])
def test_commands_that_leave_asterisk_alone_need_not_read_its_secret(file: Path, text: str) -> None:
    file.write_text(text)
    assert load(file, {}, require_ami_secret=False) == Config()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("given_by", ["file", "environment"])
def test_a_secret_can_be_given_as_a_file(file: Path, ending: str, given_by: str) -> None:
    secret_file, dsn_file = file.with_name("secret"), file.with_name("dsn")
    secret_file.write_bytes(f" {SECRET} ".encode() + ending.encode())
    dsn_file.write_bytes(b"postgresql:///x" + ending.encode())
    if given_by == "file":
        text = f"[ami]\nsecret_file = '{secret_file}'\n[database]\ndsn_file = '{dsn_file}'\n"
        config = load_text(file, text, {})
    else:
        names = {"PBXAPI_AMI_SECRET_FILE": secret_file, "PBXAPI_DATABASE_DSN_FILE": dsn_file}
        config = load(None, {name: str(path) for name, path in names.items()})
    assert config == Config(ami=Ami(secret=f" {SECRET} "), database=Database(dsn="postgresql:///x"))


def test_a_secret_of_the_environment_beats_a_secret_file_of_the_file(file: Path) -> None:
    text = "[ami]\nsecret_file = '/does/not/exist'\n"
    assert load_text(file, text, WITH_SECRET).ami.secret == SECRET


def test_a_secret_file_of_the_environment_beats_a_secret_of_the_file(file: Path) -> None:
    secret_file = file.with_name("secret")
    secret_file.write_text(SECRET)
    environ = {"PBXAPI_AMI_SECRET_FILE": str(secret_file)}
    assert load_text(file, "[ami]\nsecret = 'other'\n", environ).ami.secret == SECRET


def test_a_relative_secret_file_lies_beside_the_configuration_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.with_name("ami").write_text(SECRET)
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_text(file, "[ami]\nsecret_file = 'ami'\n", {}).ami.secret == SECRET


def test_a_relative_secret_file_of_the_environment_lies_in_the_current_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ami").write_text(SECRET)
    monkeypatch.chdir(elsewhere)
    environ = {"PBXAPI_AMI_SECRET_FILE": "ami"}
    assert load_text(file, "", environ).ami.secret == SECRET


@pytest.mark.parametrize("given_by", ["file", "environment"])
def test_a_relative_secret_file_lies_among_the_credentials_of_systemd(
    file: Path, given_by: str
) -> None:
    credentials = file.parent / "credentials"
    credentials.mkdir()
    (credentials / "ami").write_text(SECRET)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    text = "[ami]\nsecret_file = 'ami'\n"
    if given_by == "environment":
        environ["PBXAPI_AMI_SECRET_FILE"] = "ami"
        text = ""
    assert load_text(file, text, environ).ami.secret == SECRET


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot read the file of that name in . (No such file or directory)"),
        (b"", "what '{}' holds must not be empty"),
        (b"\n", "what '{}' holds must not be empty"),
        (b"s3kr1t-hunter2\nmore\n", "what '{}' holds has a control character"),
        (b"s3kr1t-hunter2\xff", "'{}' is not UTF-8"),
        (b"s3kr1t-hunter2" * 2000, "'{}' has more than 16384 bytes"),
    ],
    ids=["missing", "empty", "newline", "lines", "encoding", "size"],
)
def test_a_secret_file_that_is_none_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("ami").write_bytes(content)
    message = fault_of(tmp_path / "pbxapi.toml", "", {"PBXAPI_AMI_SECRET_FILE": "ami"})
    assert message.startswith(f"ami.secret_file (PBXAPI_AMI_SECRET_FILE): {fault.format('ami')}")


@pytest.mark.parametrize(
    ("text", "environ", "fault"),
    [
        (
            f"[ami]\nsecret = '{SECRET}'\nsecret_file = 'x'\n",
            {},
            "ami.secret (in the file): give it or secret_file, not both",
        ),
        (
            "",
            {**WITH_SECRET, "PBXAPI_AMI_SECRET_FILE": "x"},
            "ami.secret (PBXAPI_AMI_SECRET): give it or secret_file, not both",
        ),
        ("[ami]\nsecrets = 'x'\n", WITH_SECRET, "ami.secrets (in the file): there is no such key"),
        (
            "[ami]\nsecret_file = 'ami'\n",
            {"CREDENTIALS_DIRECTORY": "/run/credentials/pbxapi.service"},
            (
                "ami.secret_file (in the file): cannot read the file of that name in /run"
                "/credentials/pbxapi.service (No such file or directory)"
            ),
        ),
        (
            "[ami]\nsecret_file = '/none'\n",
            {},
            "ami.secret_file (in the file): cannot read '/none' (No such file or directory)",
        ),
        (
            f"[ami]\nsecret_file = '{SECRET}'\n",
            {},
            "ami.secret_file (in the file): cannot read the file of that name in ",
        ),
        ("[ami]\nsecret = 1\n", {}, "ami.secret (in the file): must be text"),
        ("[ami]\nsecret = ['s3kr1t-hunter2']\n", {}, "ami.secret (in the file): must be text"),
        ("[ami]\nsecret = ''\n", {}, "ami.secret (in the file): must not be empty"),
        (
            '[ami]\nsecret = "s3kr1t-hunter2\\r\\n"\n',
            {},
            "ami.secret (in the file): has a control character",
        ),
        ("[ami]\nsecret_file = 1\n", {}, "ami.secret_file (in the file): must be text"),
        ("[ami]\nsecret_file = ''\n", {}, "ami.secret_file (in the file): must not be empty"),
        (
            '[ami]\nsecret_file = "\\u0000"\n',
            {},
            "ami.secret_file (in the file): has a control character",
        ),
        (
            "[database]\ndsn = 'mysql://u:s3kr1t-hunter2@h/d'\n",
            WITH_SECRET,
            "database.dsn (in the file): must be a URI that begins with postgresql://",
        ),
        ("", {"PBXAPI_AMI_SECRET": ""}, "ami.secret (PBXAPI_AMI_SECRET): must not be empty"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(
    file: Path, text: str, environ: dict[str, str], fault: str
) -> None:
    message = fault_of(file, text, environ)
    assert message.startswith(fault)
    assert SECRET not in message


def test_no_repr_shows_a_secret(file: Path) -> None:
    config = load_text(file, FULL, {})
    for part in [config, *_sections(config), [config], {"config": config}]:
        assert SECRET not in f"{part!r} {part!s} {part}"
    assert "u:" not in repr(config.database)
