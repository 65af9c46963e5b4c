#!/usr/bin/env bash
# Run a command, an ansible-playbook, whose experiments keep a Python running on their nodes: under emulation the start of Python is
# most of what a task takes. Without mitogen in the environment the command runs as it is, and as well, but longer.
set -euo pipefail
plugins=$("$(dirname "$1")/python" -c 'import ansible_mitogen, os; print(os.path.join(os.path.dirname(ansible_mitogen.__file__), "plugins", "strategy"))' 2>/dev/null) || plugins=
if [ -n "$plugins" ]; then
    # ansible-core announces that such plugins will go one day; the pinned version has them.
    export ANSIBLE_STRATEGY_PLUGINS=$plugins ANSIBLE_DEPRECATION_WARNINGS=false
    set -- "$@" -e experiment_strategy=mitogen_linear
fi
exec "$@"
