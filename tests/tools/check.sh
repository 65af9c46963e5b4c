#!/usr/bin/env bash
# Lint and unit tests: what a developer runs after each step.
source "$(dirname "$0")/steps.sh"

step "ruff" ruff check plugins tests
step "yamllint" yamllint --strict .
step "mypy" mypy --no-error-summary plugins/module_utils plugins/plugin_utils
step "unit tests" pytest -q -n 2 tests/unit
step "ansible-lint" ansible-lint --offline -q --profile production roles playbooks site.yml
step "changelog" antsibull-changelog lint
