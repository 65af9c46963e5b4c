#!/usr/bin/env bash
# Sourced by the other scripts: runs named steps one after the other, shows how long each took, and stops at the first that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BIN=$PWD/.venv/bin
export PATH=$BIN:$PATH ANSIBLE_CONFIG=$PWD/ansible.cfg LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1
export ANSIBLE_COLLECTIONS_PATH=$PWD/.collections

step() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        echo "== $name: passed in $((SECONDS - began)) s"
    else
        local status=$?
        echo "== $name: FAILED with status $status after $((SECONDS - began)) s" >&2
        exit "$status"
    fi
}
