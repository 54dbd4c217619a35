"""Certificates that are signed by themselves, made by OpenSSL."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path, name: str, *options: str, days: int = 2) -> tuple[str, str]:
    """Paths of a certificate and of its key, both PEM; `options` stand for `-nodes`."""
    paths = (str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    files = ("-out", paths[0], "-keyout", paths[1])
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days {days}"
    subprocess.run(
        [*command.split(), *(options or ("-nodes",)), "-subj", f"/CN={name}", *files],
        check=True,
        capture_output=True,
        timeout=20,
    )
    return paths
