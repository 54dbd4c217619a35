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
# The web server without its service, which is in the package apache2. Not everybody's PATH has sbin.
[ -x /usr/sbin/apache2 ] || need apache2 apache2-bin
[ -n "$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null)" ] || need initdb postgresql
[ -n "$(ls /usr/share/keyrings/debian-archive-keyring.* 2>/dev/null)" ] ||
    missing="$missing debian-archive-keyring"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

# nginx has no package without a service that starts at once and takes port 80, so it is unpacked into
# the cache. The libraries that it needs are there wherever git and Python are.
cache=${PBXAPI_CACHE:-.cache}
nginx=
[ -x /usr/sbin/nginx ] || [ -x "$cache/nginx/usr/sbin/nginx" ] || command -v nginx >/dev/null 2>&1 ||
    nginx=" nginx"
unpack_nginx() {
    folder=$(mktemp -d) && status=0
    { (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download nginx >/dev/null) &&
        mkdir -p "$cache" && dpkg-deb -x "$folder"/nginx_*.deb "$cache/nginx"; } || status=1
    rm -rf "$folder"
    return $status
}

[ -n "$missing$nginx" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not a Debian or Ubuntu machine; please install what these packages are there:$missing$nginx" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    echo "Neither root nor sudo, so these packages cannot be installed:$missing$nginx" >&2
    echo "Somebody with the right to it can: apt-get install$missing$nginx" >&2
    exit 0
fi

echo "Installing:$missing${nginx:+$nginx (unpacked only)}"
# Nobody is there to answer questions.
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update || echo "apt-get could not update its lists" >&2
unpacking=
[ -z "$nginx" ] || { unpack_nginx & unpacking=$!; }
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || $as_root apt-get -qq install -y --no-install-recommends $missing >/dev/null ||
    echo "apt-get could not install:$missing" >&2
[ -z "$unpacking" ] || wait "$unpacking" || echo "apt-get could not download: nginx" >&2
