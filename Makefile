# Everything a person or CI does with this project, by name. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help demo up down status test check check-infra e2e bench lock setup setup-python setup-az clean
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
# The Node.js and uv that set-up found or installed, and Debian's runc, for an ordinary user too.
export PATH := $(CURDIR)/.tools/bin:$(PATH):/usr/sbin

python := .venv/bin/python
lock := .tools/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-annotate --no-header \
  $(if $(UPGRADE),--upgrade)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Start everything, push an image and watch it through the gates
	@$(python) -m local.demo

up: setup ## Start the local stack: Azure on this machine
	@$(python) -m local up

down: ## Stop the local stack and leave nothing running
	@test ! -x $(python) || $(python) -m local down

status: setup ## Show what of the local stack runs, and where
	@$(python) -m local status

test: check setup-az ## Run all that CI runs: the checks and every test
	$(python) -m pytest

check: setup-python ## Check format, lint, types, import contracts and gates.yaml; seconds, and needs no container tools
	.venv/bin/ruff format --check --output-format concise .
	.venv/bin/ruff check --output-format concise .
	$(python) -m mypy
	cd local/demo/image && $(CURDIR)/$(python) -m mypy --config-file= --strict --explicit-package-bases --cache-dir=$(CURDIR)/.mypy_cache/image .
	.venv/bin/lint-imports --no-logo
	$(if $(wildcard tidegate/gates.py),$(python) -m tidegate.gates gates.yaml)

check-infra: setup-python ## Check infra/ alone: Bicep, data, policy, wiring, roles, pipelines and scripts; without Azure
	$(python) -m pytest tests/infra

e2e: setup ## Run the end-to-end tests alone, from push to promoted
	$(python) -m pytest tests/e2e

bench: setup ## Measure: decisions, the runner, the local stack
	$(python) -m benchmarks

lock: setup-python ## Write the requirements again from pyproject.toml; UPGRADE=1 takes newer versions
	$(lock) pyproject.toml -o requirements.txt
	$(lock) pyproject.toml --group local --group test -c requirements.txt -o requirements/dev.txt
	$(lock) --group pyproject.toml:azure-cli -o requirements/azure-cli.txt
	$(lock) --group pyproject.toml:uv -o requirements/uv.txt
	$(lock) --group pyproject.toml:node -o requirements/node.txt

setup: ## Install what is missing: Python, packages, Azurite, container tools
	@tools/setup

setup-python:
	@tools/setup python

setup-az: ## Install the az command line in .tools, for the tests that use it
	@tools/setup azure-cli

clean: down ## Remove what was made here: environments, tools, the state of the local stack
	rm -rf .venv .tools .local build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
