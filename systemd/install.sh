#!/bin/sh
# Install pbxapi on this host, or take it off: `make install`, `make uninstall`.
#
# PREFIX   the virtual environment of the program
# DESTDIR  a folder to install into instead of /, for packages: nothing of this host is touched
# PYTHON   Python 3.11 or newer, for the environment
set -eu
umask 022

units=$DESTDIR/etc/systemd/system
etc=$DESTDIR/etc/pbxapi
command=$DESTDIR/usr/local/bin/pbxapi

say() { printf '%s\n' "$*"; }

on_systemd() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

install_program() {
	rm -rf build # what an earlier version has left would be installed too
	"$PYTHON" -m venv "$DESTDIR$PREFIX"
	"$DESTDIR$PREFIX/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade .
	if [ -n "$DESTDIR" ]; then
		# Scripts begin with the path of their interpreter, and tracebacks tell that of a module.
		"$PYTHON" -m compileall -q -f -s "$DESTDIR" "$DESTDIR$PREFIX/lib"
		grep -rlIF "$DESTDIR$PREFIX" "$DESTDIR$PREFIX/bin" "$DESTDIR$PREFIX/pyvenv.cfg" |
			xargs -r sed -i "s#$DESTDIR$PREFIX#$PREFIX#g"
	fi
	mkdir -p "${command%/*}"
	ln -sf "$PREFIX/bin/pbxapi" "$command"
}

install_units() {
	install -d "$units" "$DESTDIR/etc/sysusers.d" "$DESTDIR/etc/tmpfiles.d"
	sed "s#/opt/pbxapi/#$PREFIX/#" systemd/pbxapi.service >"$units/pbxapi.service"
	install -m 644 systemd/pbxapi.socket "$units/"
	install -m 644 systemd/pbxapi.sysusers "$DESTDIR/etc/sysusers.d/pbxapi.conf"
	# Says who the proxy is and, where it is not pbxapi, the daemon: the administrator's once it is there.
	[ -e "$DESTDIR/etc/tmpfiles.d/pbxapi.conf" ] ||
		install -m 644 systemd/pbxapi.tmpfiles "$DESTDIR/etc/tmpfiles.d/pbxapi.conf"
	[ -n "$DESTDIR" ] || systemd-sysusers pbxapi.conf
	if on_systemd; then
		systemd-tmpfiles --create pbxapi.conf
		systemctl daemon-reload
	fi
}

# What is there already is the administrator's.
install_configuration() {
	group=pbxapi
	[ -z "$DESTDIR" ] || group=$(id -g)
	[ -d "$etc" ] || install -d -m 750 -g "$group" "$etc"
	[ -e "$etc/pbxapi.toml" ] ||
		install -m 640 -g "$group" systemd/pbxapi.toml.sample "$etc/pbxapi.toml"
	[ -z "$DESTDIR" ] || return 0
	[ -e "$etc/ami-secret" ] ||
		(umask 077 && head -c 24 /dev/urandom | base64 >"$etc/ami-secret")
	[ -e "$etc/database-dsn" ] ||
		(umask 077 && echo 'postgresql://pbxapi@/pbxapi' >"$etc/database-dsn")
}

uninstall() {
	if on_systemd; then
		systemctl disable --quiet --now pbxapi.socket pbxapi.service 2>/dev/null || true
	fi
	rm -f "$units/pbxapi.service" "$units/pbxapi.socket" \
		"$DESTDIR/etc/sysusers.d/pbxapi.conf" "$DESTDIR/etc/tmpfiles.d/pbxapi.conf"
	# Only what is a virtual environment is removed.
	[ ! -e "$DESTDIR$PREFIX/pyvenv.cfg" ] || rm -rf "$DESTDIR$PREFIX" "$command"
	! on_systemd || systemctl daemon-reload
	say "pbxapi is gone. Left as they were: $etc, drop-ins in $units/pbxapi.service.d," \
		"the database, recordings, and the user pbxapi."
}

case $1 in
install)
	install_program
	install_units
	install_configuration
	say "pbxapi is in $DESTDIR$PREFIX, its configuration in $etc. What is next: docs/operations.md."
	;;
uninstall) uninstall ;;
esac
