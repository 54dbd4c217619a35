#!/bin/sh
# venv.sh PYTHON EXTRAS: this project, editable, in .venv. Needs no root.
set -eu
python=$1 extras=$2
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed; none of python3.13, 3.12, 3.11, python3 is one." >&2
    exit 1
fi
if [ ! -x .venv/bin/python ]; then
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    elif "$python" -m pip --version >/dev/null 2>&1; then
        # Debian without python3-venv: pip of the system installs into an environment without one.
        "$python" -m venv --without-pip .venv
    else
        echo "$python has neither ensurepip nor pip: install the package python3-venv." >&2
        exit 1
    fi
fi
if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$extras]"
else
    "$python" -m pip --python .venv/bin/python install --quiet -e ".[$extras]"
fi
