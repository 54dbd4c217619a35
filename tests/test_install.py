"""`make install` and `make uninstall` into a folder: what lies where, and whose it is.

The environment is not made: a stand-in for Python only leaves the files that the script looks at.
That pip can install the program is shown by the environment of the tests.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.requirements import unavailable

ROOT = Path(__file__).parents[1]
#: Called as `-m venv FOLDER`, `-m compileall …`; and, inside of the environment, as `-m pip …`.
PYTHON = """#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin" "$3/lib"
echo "home = $3" >"$3/pyvenv.cfg"
cp "$0" "$3/bin/python"
printf '#!%s/bin/python\\n' "$3" >"$3/bin/pbxapi"
chmod +x "$3/bin/pbxapi"
"""
INSTALLED = {
    "etc/pbxapi": 0o750,
    "etc/pbxapi/pbxapi.toml": 0o640,
    "etc/systemd/system/pbxapi.service": 0o644,
    "etc/systemd/system/pbxapi.socket": 0o644,
    "etc/sysusers.d/pbxapi.conf": 0o644,
    "etc/tmpfiles.d/pbxapi.conf": 0o644,
    "srv/pbxapi/bin/pbxapi": 0o755,
}


class Host:
    """A folder that is installed into."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "host"
        self._python = tmp_path / "python"
        self._python.write_text(PYTHON)
        self._python.chmod(0o755)

    def make(self, target: str) -> str:
        done = subprocess.run(
            [
                *("make", "--no-print-directory", target, f"DESTDIR={self.root}"),
                *("PREFIX=/srv/pbxapi", f"PYTHON={self._python}"),
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def files(self) -> set[str]:
        """Everything but folders."""
        paths = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
        return {str(path.relative_to(self.root)) for path in paths}

    def text(self, path: str) -> str:
        return (self.root / path).read_text("utf-8")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.make("install")
    return made


def test_every_file_has_its_place_and_its_mode(host: Host) -> None:
    modes = {path: (host.root / path).stat().st_mode & 0o7777 for path in INSTALLED}
    assert modes == INSTALLED
    assert str((host.root / "usr/local/bin/pbxapi").readlink()) == "/srv/pbxapi/bin/pbxapi"
    assert host.files() == {
        *(path for path in INSTALLED if path != "etc/pbxapi"),
        *("usr/local/bin/pbxapi", "srv/pbxapi/bin/python", "srv/pbxapi/pyvenv.cfg"),
    }


def test_what_was_built_in_a_folder_names_the_place_where_it_will_be(host: Host) -> None:
    assert host.text("srv/pbxapi/bin/pbxapi") == "#!/srv/pbxapi/bin/python\n"
    assert host.text("srv/pbxapi/pyvenv.cfg") == "home = /srv/pbxapi\n"
    assert "ExecStart=/srv/pbxapi/bin/pbxapi " in host.text("etc/systemd/system/pbxapi.service")


def test_systemd_understands_what_is_installed(host: Host, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        unavailable("there is no systemd-analyze: install the package systemd")
    unit = tmp_path / "pbxapi.service"
    # The program is not where it will be.
    unit.write_text(
        host.text("etc/systemd/system/pbxapi.service").replace(
            "/srv/pbxapi", f"{host.root}/srv/pbxapi"
        )
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", unit, host.root / "etc/systemd/system/pbxapi.socket"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_second_install_keeps_what_the_administrator_wrote_and_renews_the_rest(
    host: Host,
) -> None:
    kept = ("etc/pbxapi/pbxapi.toml", "etc/tmpfiles.d/pbxapi.conf")
    renewed = "etc/systemd/system/pbxapi.service"
    unit = host.text(renewed)
    for path in (*kept, renewed):
        (host.root / path).write_text("edited")
    host.make("install")
    assert [host.text(path) for path in kept] == ["edited", "edited"]
    assert host.text(renewed) == unit


def test_uninstall_leaves_the_configuration_and_drop_ins_and_says_so(host: Host) -> None:
    drop_in = host.root / "etc/systemd/system/pbxapi.service.d/records.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\n")
    said = host.make("uninstall")
    assert host.files() == {
        "etc/pbxapi/pbxapi.toml",
        str(drop_in.relative_to(host.root)),
    }
    assert f"{host.root}/etc/pbxapi" in said
    assert str(drop_in.parent) in said


def test_uninstall_removes_no_folder_that_is_no_environment(host: Host) -> None:
    (host.root / "srv/pbxapi/pyvenv.cfg").unlink()
    host.make("uninstall")
    assert "srv/pbxapi/bin/pbxapi" in host.files()
