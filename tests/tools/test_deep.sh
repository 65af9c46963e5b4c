#!/usr/bin/env bash
# What is too long for CI: the whole race test, a killed experiment, and the second experiment on guests.
source "$(dirname "$0")/steps.sh"
step "deep tests" pytest -q -s tests/deep
