"""Record roots, and Asterisk's own files: what the doctor makes of them."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from pbxapi.config import Ami, Config, Records
from pbxapi.doctor import asterisk_files, disk
from pbxapi.doctor.finding import Finding, Level
from pbxapi.doctor.patient import Patient
from tests.doctor.host import SECRET, make_host


class Host:
    """A host on which all is well.

    Attributes:
        root: The one record root, to which Asterisk records.
        etc: Asterisk's own files.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.etc = make_host(folder)

    def patient(self, *roots: Path) -> Patient:
        config = Config(
            ami=Ami(port=5038, secret=SECRET), records=Records(roots=(self.root, *roots))
        )
        return Patient(config=config, environ={}, path=None, asterisk_folder=self.etc)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.etc / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def roots(self, *roots: Path) -> list[str]:
        """What is said of the roots."""
        return shown(disk.roots(self.patient(*roots), self.root))

    def files(self) -> list[str]:
        """What is said of Asterisk's files."""
        return shown(asterisk_files.look(self.patient()))


def shown(findings: Iterable[Finding]) -> list[str]:
    """Those that are not ok, each of which says what to do."""
    found = [finding for finding in findings if finding.level is not Level.OK]
    assert all(finding.remedy for finding in found)
    return [f"{finding.level.value} {finding.text}" for finding in found]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.edit("manager.conf", "PORT", "5038")
    return made


def test_all_is_well_and_nothing_is_left_behind(host: Host) -> None:
    assert (host.roots(), host.files()) == ([], [])
    assert list(host.root.iterdir()) == []


def test_a_root_that_is_not_there(host: Host) -> None:
    gone = host.root.parent / "gone"
    assert host.roots(gone) == [f"FAIL {gone}: No such file or directory"]


def test_a_root_that_is_a_file(host: Host) -> None:
    file = host.etc / "manager.conf"
    assert host.roots(file) == [f"FAIL {file} is no folder"]


def test_a_root_that_is_a_link(host: Host) -> None:
    link = host.root.parent / "link"
    link.symlink_to(host.root)
    assert host.roots(link) == [f"warn {link} leads to {host.root}"]


def test_a_root_that_cannot_be_written_to(host: Host) -> None:
    """Not even by root; and it is far from where Asterisk records to."""
    (line,) = host.roots(Path("/proc"))
    assert line.startswith("FAIL /proc cannot be written to as user ")
    texts = [found.text for found in disk.roots(host.patient(Path("/proc")), host.root)]
    assert any(text.startswith("/proc is another file system") for text in texts)


def test_asterisk_records_outside_of_the_roots(host: Host) -> None:
    elsewhere = host.etc / "monitor"
    assert shown(disk.roots(host.patient(), elsewhere)) == [
        f"warn Asterisk records to {elsewhere}, outside of [records] roots"
    ]


def test_where_asterisk_records_to(host: Host, tmp_path: Path) -> None:
    usual = Path("/usual")
    assert asterisk_files.monitor_folder(host.etc, usual) == host.root
    assert asterisk_files.monitor_folder(tmp_path / "gone", usual) == usual
    host.edit("asterisk.conf", "astspooldir", "astlogdir")
    assert asterisk_files.monitor_folder(host.etc, usual) == usual


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("manager.conf", "enabled = yes", "enabled = no", "FAIL .* AMI is not enabled"),
        ("manager.conf", "port = 5038", "port = 1", r"warn .*port is 1, \[ami\] port is 5038"),
        ("manager.conf", "pbxapi", "other", "FAIL .* has no user pbxapi"),
        ("manager.conf", f"secret = {SECRET}", "secret = x", "FAIL .* has another secret"),
        ("manager.conf", "read = system,call", "read = call", "FAIL .*`read` lacks system"),
        ("manager.conf", "write = originate,", "write = ", "FAIL .*`write` lacks originate"),
        ("manager.conf", "permit = 127.0.0.1/", "permit = 10.0.0.1/", "warn .*`permit` does not"),
        ("manager.conf", "permit = 127.0.0.1/", "permit = nonsense/", "warn .*`permit` does not"),
        ("extensions.conf", "#include pbxapi", "#include x", "warn .* does not include"),
        ("cdr_pgsql.conf", "pbxapi.cdr", "cdr", "warn .*writes to cdr"),
        ("cdr_pgsql.conf", "table", "tabule", "warn .*writes to no table"),
    ],
)
def test_a_file_of_asterisk_that_is_not_as_it_should_be(
    host: Host, name: str, old: str, new: str, expected: str
) -> None:
    host.edit(name, old, new)
    (line,) = host.files()
    assert re.match(expected, line), line


@pytest.mark.parametrize("classes", ["all", " CALL , system,agent,dialplan"])
def test_classes_as_asterisk_reads_them(host: Host, classes: str) -> None:
    host.edit("manager.conf", "read = system,call,agent,dialplan", f"read = {classes}")
    assert host.files() == []


@pytest.mark.parametrize("name", ["manager.conf", "extensions.conf", "cdr_pgsql.conf"])
def test_a_file_of_asterisk_that_is_not_there(host: Host, name: str) -> None:
    (host.etc / name).unlink()
    assert host.files() == [f"warn {host.etc / name}: No such file or directory"]
    remedies = [found.remedy for found in asterisk_files.look(host.patient()) if found.remedy]
    assert ["--asterisk-etc" in remedy for remedy in remedies] == [True]


def test_what_asterisk_would_not_understand_either(host: Host) -> None:
    (host.etc / "manager.conf").write_bytes(b"[general\n= \n]x[\n\xff\xfe=\n[]\n")
    assert all(line.startswith(("warn", "FAIL")) for line in host.files())


def test_includes_that_go_round_in_circles_end(host: Host) -> None:
    host.edit("extensions.conf", "pbxapi.conf", "extensions.conf")
    assert host.files() == ["warn extensions.conf does not include pbxapi.conf"]


def test_what_is_included_counts_as_if_it_stood_there(host: Host) -> None:
    user = (host.etc / "manager.conf").read_text("utf-8").partition("[pbxapi]")[2]
    host.edit("manager.conf", "[pbxapi]" + user, "#tryinclude gone.conf\n")
    assert host.files() == ["FAIL manager.conf has no user pbxapi"]
    (host.etc / "manager.d" / "pbxapi.conf").write_text(f"[pbxapi]{user}", "utf-8")
    assert host.files() == []
