"""Rules of the project that no other tool checks."""

import ast
import configparser
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from pbxapi.actions import ACTIONS
from pbxapi.commands.main import COMMANDS
from pbxapi.config import Config

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "pbxapi").rglob("*.py"))
UNIT = ROOT / "systemd" / "pbxapi.service"

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

_EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
_LOGGERS = {"_log", "log", "logger", "_logger"}
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: What is of one machine, or of where packages come from; the words are put together here so that
#: this file does not hold them.
_FOREIGN = tuple(
    "".join(parts)
    for parts in (("/wo", "rk/"), ("../sha", "red"), ("pypi", ".org"), ("deb.deb", "ian.org"))
)
#: Folders in which nothing is of the repository.
_NOT_OURS = re.compile(r"^(\.git|\.venv|\.cache|\.hypothesis|\..*_cache|build|dist|.*\.egg-info)$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_module = pytest.mark.parametrize("path", MODULES, ids=name)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 50


@each_module
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path))


@each_module
def test_a_module_is_of_one_idea(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_MODULE_LINES


@each_module
def test_no_function_is_long(path: Path) -> None:
    functions = (
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {n: length for n, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def log_calls(module: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _LEVELS
            and _is_logger(node.func.value)
        ):
            yield node


def _is_logger(node: ast.expr) -> bool:
    """`_log.…`, `self._log.…`, `_log.bind(…).…`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last in _LOGGERS


def bad_events(module: ast.AST) -> list[str]:
    """Calls of a logger whose event is no constant of the right form."""
    bad = []
    for call in log_calls(module):
        at = 1 if isinstance(call.func, ast.Attribute) and call.func.attr == "log" else 0
        event = call.args[at] if len(call.args) > at else None
        # An event may depend on a condition where both of its names stand there.
        choices = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
        for choice in choices:
            value = choice.value if isinstance(choice, ast.Constant) else None
            if not (isinstance(value, str) and _EVENT.fullmatch(value)):
                bad.append(f"line {call.lineno}: {ast.unparse(call)}")
    return bad


@each_module
def test_events_of_the_log_are_constants(path: Path) -> None:
    """So that an operator can search for them, and no fact hides in a text."""
    assert bad_events(tree(path)) == []


@pytest.mark.parametrize(
    ("code", "is_good"),
    [
        ('_log.info("ami.connected", host=host)', True),
        ('_log.info("a.b" if x else "a.c")', True),
        ('_log.info(f"ami.{x}")', False),
        ("_log.info(event)", False),
        ('_log.warning("AMI connected")', False),
        ('self._log.error("x")', False),
        ('_log.bind(x=1).info("x")', False),
        ('_log.log(level, "a.b")', True),
        ('_log.log(level, "a b")', False),
        ("_log.info()", False),
        ("math.log(2)", True),
    ],
)
def test_the_rule_for_events_sees_what_breaks_it(code: str, is_good: bool) -> None:
    assert (bad_events(ast.parse(code)) == []) == is_good


def test_events_are_found_at_all() -> None:
    assert sum(1 for path in MODULES for _ in log_calls(tree(path))) > 20


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_is_in_the_table_of_the_readme_and_has_contract_cases(action: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert action in rows
    assert (ROOT / "tests" / "contract" / "cases" / f"{action}.json").is_file()


def documented_keys() -> dict[str, str]:
    """Keys of the table in section Configuration, and their defaults as they stand there."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    _, _, section = text.partition("\n## Configuration\n")
    rows = re.findall(
        r"^\| (`[a-z_.`, ]+`) \| ([^|]*) \|", section.partition("\n## ")[0], re.MULTILINE
    )
    return {key: default for keys, default in rows for key in re.findall(r"`([^`]+)`", keys)}


def test_every_key_of_the_configuration_is_documented_and_no_other() -> None:
    keys = {}
    for section in fields(Config):
        assert section.default_factory is not MISSING
        for key in fields(type(section.default_factory())):
            keys[f"{section.name}.{key.name}"] = key.metadata["key"].is_secret
    expected = {*keys, *(f"{key}_file" for key, is_secret in keys.items() if is_secret)}
    assert set(documented_keys()) == expected


def test_the_documented_defaults_are_those_of_the_code() -> None:
    config = Config()
    documented = documented_keys()
    for section in fields(Config):
        for key in fields(getattr(config, section.name)):
            name_ = f"{section.name}.{key.name}"
            if name_ != "ami.secret":
                default = getattr(getattr(config, section.name), key.name)
                assert documented[name_] == f"`{_toml(default)}`", name_


def _toml(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"'


def our_files() -> Iterator[Path]:
    folders = [ROOT]
    while folders:
        for path in folders.pop().iterdir():
            if _NOT_OURS.match(path.name) or path.name == "__pycache__":
                continue
            if path.is_dir():
                folders.append(path)
            elif not path.name.startswith(".coverage"):
                yield path


def test_nothing_is_of_the_machine_that_it_was_written_on() -> None:
    looked_at = 0
    found = []
    for path in our_files():
        looked_at += 1
        content = path.read_bytes()
        found += [f"{name(path)}: {word}" for word in _FOREIGN if word.encode() in content]
    assert looked_at > 100
    assert found == []


#: Keys that systemd takes as a list, one line for each entry; any other may stand there once.
MAY_REPEAT = {"Environment", "LoadCredential", "SystemCallFilter"}


def repeated_keys(text: str) -> set[str]:
    """Keys that stand twice in one section."""
    sections = re.split(r"^\[.*\]$", text, flags=re.MULTILINE)
    keys = [Counter(re.findall(r"^(\w+)=", section, re.MULTILINE)) for section in sections]
    return {key for section in keys for key, times in section.items() if times > 1}


def test_only_lists_are_continued_in_the_unit() -> None:
    assert repeated_keys("[A]\nX=1\nY=1\nX=2\n[B]\nY=2\n") == {"X"}
    assert repeated_keys(UNIT.read_text("utf-8")) <= MAY_REPEAT


def unit() -> configparser.ConfigParser:
    """The unit; of a key that repeats, its last line."""
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#", ";"), interpolation=None, strict=False
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # how configparser is told to keep capitals
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


def test_the_service_is_restarted_isolated_and_stopped_gracefully() -> None:
    from pbxapi.web.server import GRACE_S  # noqa: PLC0415 - only here

    parsed = unit()
    assert set(parsed) == {"DEFAULT", "Unit", "Service", "Install"}
    service = parsed["Service"]
    assert re.fullmatch(r"/\S+/pbxapi serve --config /\S+", service["ExecStart"])
    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == "yes"
    assert float(service["TimeoutStopSec"]) > GRACE_S, "requests under way are answered first"
    assert service.get("ProcSubset") != "pid", "without /proc/stat there are no metrics process_…"
    assert "Requires" not in parsed["Unit"], "it must outlive a restart of Asterisk"
    assert "BindsTo" not in parsed["Unit"]


def anchors(page: Path) -> set[str]:
    """Those of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not (
            target.exists() and (not anchor or anchor in anchors(target))
        ):
            broken.append(link)
    return broken


PAGES = sorted(path for path in our_files() if path.suffix == ".md")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


def test_broken_links_are_seen() -> None:
    text = "[a](gone.md) [b](docs/operations.md#gone) [c](docs/operations.md#tls) [d](https://x/y)"
    assert broken_links(ROOT / "README.md", text) == ["gone.md", "docs/operations.md#gone"]


def test_every_folder_of_ours_is_in_the_table_of_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    folders = {path.parent.name for path in MODULES if path.parent.parent == ROOT / "pbxapi"}
    assert set(re.findall(r"^\| `(\w+)/`", text, re.MULTILINE)) == folders
    modules = {path.stem for path in MODULES if path.parent.name in {"pbxapi", "web"}}
    unsaid = {stem for stem in modules if not re.search(rf"`(web/)?{stem}(\.py)?`", text)}
    assert unsaid == {"__init__", "__main__"}


def test_every_command_is_in_the_table_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| `pbxapi (\w+)", text, re.MULTILINE)) == set(COMMANDS)
