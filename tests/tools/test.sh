#!/usr/bin/env bash
# All that CI runs, the quick and telling parts first.
source "$(dirname "$0")/steps.sh"
began=$SECONDS
step "check" bash tests/tools/check.sh
step "sanity" bash tests/tools/sanity.sh
step "statistical simulations" pytest -q tests/simulation
step "reports in a browser" bash tests/tools/browser.sh
step "molecule" bash tests/tools/molecule.sh
step "the site playbook through ansible-runner" pytest -q -s tests/runner
echo "make test: everything passed in $(((SECONDS - began) / 60)) min $(((SECONDS - began) % 60)) s"
