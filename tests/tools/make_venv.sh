#!/usr/bin/env bash
# Make the virtual environment from the pinned, hashed requirements.
# Usage: make_venv.sh VENV REQUIREMENTS   (PYTHON names the interpreter)
set -euo pipefail
venv=$1 requirements=$2 python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "make_venv: $("$python" --version 2>&1) cannot run ansible-core 2.19, which needs Python 3.11, 3.12 or 3.13; name one with PYTHON=python3.12." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "make_venv: installing python$version-venv, which Debian keeps apart from python$version"
        apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "python$version-venv" >/dev/null
    else
        echo "make_venv: the venv module of $python is missing; install it with 'apt-get install python$version-venv' as root." >&2
        exit 1
    fi
fi
echo "make_venv: making $venv with $(grep -c '^[a-z].*==' "$requirements") pinned packages (about a minute)"
"$python" -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
