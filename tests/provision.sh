#!/bin/sh
# Installs the packages that the tests need and this machine lacks: directly as root, else by sudo.
# What cannot be installed is said; the tests that need it then skip or fail, and say so too.
set -eu

missing=
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need mmdebstrap mmdebstrap
need sipp sip-tester
need zstd zstd
need php php-cli
need setpriv util-linux
need systemd-analyze systemd
[ -n "$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null)" ] || need initdb postgresql
[ -n "$(ls /usr/share/keyrings/debian-archive-keyring.* 2>/dev/null)" ] ||
    missing="$missing debian-archive-keyring"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not a Debian or Ubuntu machine; please install what these packages are there:$missing" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    echo "Neither root nor sudo, so these packages cannot be installed:$missing" >&2
    echo "Somebody with the right to it can: apt-get install$missing" >&2
    exit 0
fi

echo "Installing:$missing"
# Nobody is there to answer questions.
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
if ! { $as_root apt-get -qq update &&
    $as_root apt-get -qq install -y --no-install-recommends $missing >/dev/null; }; then
    echo "apt-get could not install:$missing" >&2
fi
