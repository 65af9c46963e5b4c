#!/usr/bin/env bash
# Every molecule scenario over one shared lab: `default` makes the nodes and destroys them, also after a failure.
source "$(dirname "$0")/steps.sh"
# Molecule believes what it wrote down when it was killed; a lab that a killed run left behind is taken down first.
molecule reset
step "molecule" molecule test --all --destroy always
