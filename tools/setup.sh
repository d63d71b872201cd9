#!/bin/sh
# Makes .venv with the pinned requirements and fetches the face models.
# Usage: tools/setup.sh PYTHON [dev]     Says what it does, does nothing twice.
set -eu
cd "$(dirname "$0")/.."
python=$1
kind=${2:-run}

as_root_install() {  # package: installs a Debian package when that is possible here
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $* (Debian) ..."
        apt-get install -y -q "$@" >/dev/null 2>&1 ||
            { apt-get update -q >/dev/null && apt-get install -y -q "$@" >/dev/null; }
    else
        return 1
    fi
}

command -v "$python" >/dev/null || as_root_install python3.11 || {
    echo "Likeness needs Python 3.11: install it, or name yours with PYTHON=..." >&2
    exit 2
}

if [ ! -x .venv/bin/pip ]; then
    rm -rf .venv
    "$python" -m venv .venv 2>/dev/null || {
        rm -rf .venv
        as_root_install python3.11-venv && "$python" -m venv .venv
    } || {
        echo "Python's venv module is missing: install the package python3.11-venv." >&2
        exit 2
    }
fi

requirements=requirements.txt
[ "$kind" = dev ] && requirements=requirements-dev.txt
wanted=$(cat requirements.lock "$requirements" | sha256sum | cut -c1-64)
stamp=.venv/.installed-$kind
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Python packages into .venv (a few minutes the first time) ..."
    # Each file by its digest; then torch, whose build depends on the machine, and what tests need.
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    .venv/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
    echo "$wanted" >"$stamp"
fi

.venv/bin/python -m tools.fetch_faces --to models/faces

if [ "$kind" = dev ]; then
    .venv/bin/python -m dev.fetch_dev
    .venv/bin/python -m dev.fetch_astronaut
    command -v chromium >/dev/null || as_root_install chromium ||
        echo "No Chromium here: the browser tests will say so and skip."
    command -v chromium-headless-shell >/dev/null || as_root_install chromium-headless-shell ||
        echo "No Chromium without windows here: the browser tests take the whole one, a sixth slower."
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || as_root_install nginx-light ||
        echo "No nginx here: the test of the container's proxy will say so and skip."
fi
