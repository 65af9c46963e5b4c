#!/usr/bin/env bash
# Look at reports in headless Chromium, at four widths, by day and by night. Installs Debian's chromium where it is missing.
source "$(dirname "$0")/steps.sh"
if ! command -v chromium >/dev/null; then
    if [ "$(id -u)" != 0 ]; then
        echo "browser: chromium is missing; install it with 'apt-get install chromium' as root." >&2
        exit 1
    fi
    echo "browser: installing chromium (about a minute)"
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium >/dev/null
fi
PYTHONPATH=.collections python tests/browser/check_report.py "$@"
