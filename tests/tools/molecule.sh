#!/usr/bin/env bash
# Every molecule scenario over one shared lab: `default` makes the nodes and destroys them, also after a failure.
source "$(dirname "$0")/steps.sh"
step "molecule" molecule test --all --destroy always
