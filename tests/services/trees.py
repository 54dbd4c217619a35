"""Real Asterisk as Debian packages it: unpacked, never installed, cached between runs.

    python -m tests.services.trees        provides both versions, prints what it does

A tree is the package asterisk and all it depends on, extracted by mmdebstrap: no maintainer
script runs, no root is needed, and the system that runs the tests stays as it was. The program is
started through a dynamic loader that is told where the tree's libraries are (`Tree.command`).

Environment: PBXAPI_CACHE, the folder of the cache (default .cache in the repository; keep its
*.tar.zst in CI); PBXAPI_DEBIAN_MIRROR, where apt is not set up with a Debian mirror.
Exit status: 0 the trees are there, 3 this machine cannot have them, 1 anything else.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Debian suite that has the version. 16: the last packaged chan_sip; 22: sid's, PJSIP only.
SUITES: Final = {"16": "bullseye", "22": "sid"}

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_PACKAGES: Final = "asterisk,asterisk-core-sounds-en-gsm,base-files"
_KEYRINGS: Final = ("debian-archive-keyring", "debian-archive-removed-keys")
#: Documentation, translations and Perl: three quarters of the files, none of them used.
_LEFT_OUT: Final = (
    *(f"usr/share/{name}" for name in ("doc", "man", "info", "locale", "perl", "perl5")),
    *("usr/lib/*/perl*", "usr/bin/perl*", "var/cache/apt", "var/lib/apt"),
)
_EXIT_IMPOSSIBLE: Final = 3


class CannotProvision(Exception):
    """This machine has no way to a tree; the text says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Tree:
    """An unpacked Asterisk; nothing ever writes into it."""

    version: str
    root: Path

    @property
    def modules(self) -> Path:
        """Folder of the *.so modules."""
        return _only(self.root, "usr/lib/asterisk/modules", "usr/lib/*/asterisk/modules")

    def command(self, wrapper: Path) -> str:
        """Text of the executable script `wrapper`, which runs this Asterisk.

        Asterisk executes its own argv[0] at `core restart now`, so that has to be the script.
        """
        libraries = ":".join(str(path) for path in self._libraries())
        return (
            "#!/bin/sh\n"
            'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"\n'
            f"exec '{self._loader()}' --argv0 '{wrapper}' --library-path '{libraries}' "
            f"'{self.root}/usr/sbin/asterisk' \"$@\"\n"
        )

    def _libraries(self) -> list[Path]:
        patterns = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib")
        found = [path for pattern in patterns for path in sorted(self.root.glob(pattern))]
        return list(dict.fromkeys(path.resolve() for path in found))

    def _loader(self) -> Path:
        # bullseye's loader has no --argv0 yet: its C library was taken out of the tree, and the
        # machine's own, newer and compatible, takes its place.
        own = sorted(self.root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"))
        return own[0] if own else _only(Path("/"), "lib*/ld-linux-*.so.*", "lib/*/ld-linux-*.so.*")


def _only(root: Path, *patterns: str) -> Path:
    found = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    if not found:
        raise FileNotFoundError(f"{root} has none of {', '.join(patterns)}")
    return found[0]


def cache_folder() -> Path:
    """Where trees are kept."""
    return Path(os.environ.get("PBXAPI_CACHE") or _REPOSITORY / ".cache").resolve()


def find(version: str) -> Tree | None:
    """The tree, unpacked from the cached archive if need be; None where there is neither."""
    root = cache_folder() / f"asterisk-{version}"
    if not root.is_dir():
        if not _archive(version).is_file():
            return None
        with _locked(version):
            if not root.is_dir():
                _unpack(version, root)
    return Tree(version, root)


def provide(version: str) -> Tree:
    """The tree, built from the packages of a Debian mirror if it is not in the cache.

    Raises:
        CannotProvision: there is no such mirror, or a tool is missing.
    """
    tree = find(version)
    if tree is None:
        with _locked(version):
            if not _archive(version).is_file():
                _build(version)
        tree = find(version)
        assert tree is not None
    return tree


def _archive(version: str) -> Path:
    return cache_folder() / f"asterisk-{version}.tar.zst"


@contextmanager
def _locked(version: str) -> Iterator[None]:
    """One process at a time works on a version."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"asterisk-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(version: str, root: Path) -> None:
    part = _emptied(root.with_name(root.name + ".part"))
    part.mkdir()
    _run(["tar", "--zstd", "-xf", _archive(version), "-C", part])
    part.rename(root)


def _build(version: str) -> None:
    for tool in ("mmdebstrap", "zstd"):
        if shutil.which(tool) is None:
            raise CannotProvision(f"the command {tool} is missing: install the package {tool}")
    if platform.machine() not in {"x86_64", "aarch64"}:
        raise CannotProvision(f"not tried on {platform.machine()}")
    part = _emptied(cache_folder() / f"asterisk-{version}.build")
    _run(_mmdebstrap(SUITES[version], part))
    _strip(part)
    archive = _archive(version)
    _run(["tar", "--zstd", "-cf", archive.with_suffix(".part"), "-C", part, "."])
    archive.with_suffix(".part").rename(archive)
    _emptied(part)


def _mmdebstrap(suite: str, target: Path) -> list[str | Path]:
    keyrings = [path for path in map(_keyring, _KEYRINGS) if path is not None]
    if not keyrings:
        raise CannotProvision("Debian's keys are missing: install debian-archive-keyring")
    return [
        *("mmdebstrap", "--quiet", "--variant=extract"),
        "--mode=root" if os.geteuid() == 0 else "--mode=chrootless",
        *(f"--keyring={path}" for path in keyrings),
        # The signature still counts; an old release is just not renewed any more.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Languages "none"',
        f"--include={_PACKAGES}",
        *(suite, target, _mirror()),
    ]


def _keyring(name: str) -> Path | None:
    candidates = (Path(f"/usr/share/keyrings/{name}.{ending}") for ending in ("gpg", "pgp"))
    return next((path for path in candidates if path.is_file()), None)


def _mirror() -> str:
    """The Debian mirror that apt on this machine is set up with."""
    named = os.environ.get("PBXAPI_DEBIAN_MIRROR")
    if named:
        return named
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        known = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        known = []
    for uri in known:
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise CannotProvision(
        "apt here knows no Debian mirror, and only Debian has bullseye and sid: "
        "set PBXAPI_DEBIAN_MIRROR to the address of one"
    )


def _strip(root: Path) -> None:
    """Leave out what is not used, and do by hand what maintainer scripts would have done."""
    for pattern in _LEFT_OUT:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _take_out_old_c_library(root)
    sounds = root / "usr/share/asterisk/sounds"
    if not (sounds / "en").exists():
        (sounds / "en").symlink_to("en_US_f_Allison")
    # Who filled the cache need not be who runs the tests.
    _run(["chmod", "-R", "a+rX,u+w", root])


def _take_out_old_c_library(root: Path) -> None:
    """Only glibc before 2.33 names its files <library>-<version>.so, with links of the usual names.

    A newer one stays: its loader is able to start Asterisk.
    """
    for loader in root.glob("lib/*-linux-gnu/ld-2.??.so"):
        folder, version = loader.parent, loader.name.removeprefix("ld-")
        files = {loader, *folder.glob(f"lib*-{version}")}
        links = {path for path in folder.iterdir() if path.resolve() in files}
        names = set(folder.glob("ld-linux-*"))
        for path in files | links | names:
            path.unlink()


def _emptied(path: Path) -> Path:
    if path.exists():
        shutil.rmtree(path)
    return path


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise CannotProvision(f"{command[0]} failed:\n{tail}")


def _report(version: str) -> bool:
    """Provide a version, and say so, or why not."""
    started = time.monotonic()
    try:
        tree = provide(version)
    except CannotProvision as error:
        print(f"Asterisk {version} cannot be had: {error}", file=sys.stderr)
        return False
    print(f"Asterisk {version}: {tree.root} ({time.monotonic() - started:.1f} s)")
    return True


def main() -> int:
    """Provide all versions, side by side: each mostly waits for the mirror."""
    with ThreadPoolExecutor() as threads:
        provided = list(threads.map(_report, SUITES))
    return 0 if all(provided) else _EXIT_IMPOSSIBLE


if __name__ == "__main__":
    sys.exit(main())
