# The targets that people and CI use; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Progress must appear while it happens, also where the output goes into a file or a CI log.
export PYTHONUNBUFFERED := 1
# ansible-core wants a UTF-8 locale; a bare machine may have none set.
export LC_ALL := C.UTF-8

PRESET ?= quick
INVENTORY ?= lab
ONLY ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: deps
deps: $(VENV)/.complete ## make the virtual environment with the pinned packages

$(VENV)/.complete: requirements.txt tests/tools/make_venv.sh
	@PYTHON="$(PYTHON)" bash tests/tools/make_venv.sh "$(VENV)" requirements.txt
	@touch $@

.PHONY: run
run: deps ## from a bare machine to the report of the first experiment
	@bash tests/tools/with_mitogen.sh $(BIN)/ansible-playbook site.yml -i $(INVENTORY) -e preset=$(PRESET)

.PHONY: check
check: deps ## lint and unit tests, within 3 minutes
	@bash tests/tools/check.sh

.PHONY: sanity
sanity: deps ## ansible-test sanity, with no ignore file
	@bash tests/tools/sanity.sh

.PHONY: molecule
molecule: deps ## every molecule scenario, on nodes that are made for it and destroyed
	@bash tests/tools/molecule.sh

.PHONY: test
test: deps ## all that CI runs
	@bash tests/tools/test.sh

.PHONY: test-deep
test-deep: deps ## what is too long for CI
	@bash tests/tools/test_deep.sh

.PHONY: bench
bench: deps ## speed as ratios inside one run; ONLY=name for a single one
	@$(BIN)/python tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY))

.PHONY: down
down: deps ## remove the lab: guests, taps, namespaces, files
	@$(BIN)/ansible-playbook playbooks/lab_down.yml -i $(INVENTORY)

.PHONY: clean
clean: ## remove what the targets made here (the lab itself: make down)
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis runner/artifacts
