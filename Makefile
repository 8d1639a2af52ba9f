# Everything a person or CI does with this project, by name. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help demo demo-job demo-model mail up down status test test-trainer check check-infra e2e drill drill-job images bench bench-jobs bench-models bench-trainer bench-scoring lock setup setup-python setup-az \
  setup-trainer clean
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

demo-job: setup ## Fail a real job and show its mail, then evict a training job and see it go on
	@$(python) -m local.demo.job

demo-model: setup ## Deliver a real model through dev, int and pro, see a worse one taken back and a too big one refused
	@$(python) -m local.demo.model

mail: ## Print the mails that the local stack has sent
	@$(python) -m local mail

up: setup ## Start the local stack: Azure on this machine
	@$(python) -m local up

down: ## Stop the local stack and leave nothing running
	@test ! -d .local/run || $(python) -m local down

status: setup ## Show what of the local stack runs, and where
	@$(python) -m local status || true

test: check setup-az test-trainer ## Run all that CI runs: the checks and every test
	$(python) -m pytest

test-trainer: setup-trainer ## Test the trainer and scoring, with TensorFlow, in an environment of their own
	.tools/trainer/bin/python -m mypy --cache-dir .mypy_cache/trainer trainer scoring tests/trainer tests/scoring
	nice -n 10 .tools/trainer/bin/python -m pytest --numprocesses 2 --dist loadfile tests/trainer tests/scoring

drill: setup-trainer ## Kill a training run KILLS times, resume it, and compare it with one never interrupted, bit for bit
	@nice -n 10 .tools/trainer/bin/python -m trainer.drill --kills $(or $(KILLS),5)

drill-job: setup-trainer ## Take the node of a real training job away, and see it end as if nothing had happened
	@$(python) -m local.demo.training

images: setup ## Build the images of the trainer and of scoring, and run in each the test that its gate runs
	@$(python) -m local.shipped_images

bench-jobs: setup ## Measure how soon a failed job is a mail, and how fast a storm of failures is taken in
	@$(python) -m benchmarks.jobs

bench-models: setup ## Measure what a delivery adds to its deployments' own start, traffic shifts, and what an endpoint adds to a request
	@$(python) -m benchmarks.models

bench-trainer: setup-trainer ## Measure what checkpoints cost, what a kill loses and how soon a run is back
	@nice -n 10 .tools/trainer/bin/python -m benchmarks.trainer

bench-scoring: setup-trainer ## Measure scoring over HTTP beside a direct call of the model
	@nice -n 10 .tools/trainer/bin/python -m benchmarks.scoring

check: setup-python ## Check format, lint, types, import contracts and gates.yaml; seconds, and needs no container tools
	.venv/bin/ruff format --check --output-format concise .
	.venv/bin/ruff check --output-format concise .
	$(python) -m mypy
	cd local/demo/image && $(CURDIR)/$(python) -m mypy --config-file= --strict --explicit-package-bases --cache-dir=$(CURDIR)/.mypy_cache/image .
	.venv/bin/lint-imports --no-logo
	$(python) -m tidegate.gates gates.yaml

check-infra: setup-python ## Check infra/ alone: Bicep, data, policy, wiring, roles, pipelines and scripts; without Azure
	$(python) -m pytest tests/infra

e2e: setup-trainer ## Run the end-to-end tests alone, from push to promoted
	$(python) -m pytest tests/e2e

bench: setup ## Measure the image flow: indexing, overhead, copies, duplicates, growth; each beside its reference
	$(python) -m benchmarks

lock: setup-python ## Write the requirements again from pyproject.toml; UPGRADE=1 takes newer versions
	$(lock) pyproject.toml -o requirements.txt
	$(lock) pyproject.toml --group local --group test -c requirements.txt -o requirements/dev.txt
	$(lock) --group pyproject.toml:azure-cli -o requirements/azure-cli.txt
	$(lock) --group pyproject.toml:trainer-test -o requirements/trainer-test.txt
	$(lock) --group pyproject.toml:trainer -c requirements/trainer-test.txt -o requirements/trainer.txt
	$(lock) --group pyproject.toml:trainer-gpu -c requirements/trainer-test.txt -o requirements/trainer-gpu.txt
	$(lock) --group pyproject.toml:scoring -c requirements/trainer-test.txt -o requirements/scoring.txt
	$(lock) --group pyproject.toml:serving -c requirements/scoring.txt -o requirements/serving.txt
	$(lock) --group pyproject.toml:uv -o requirements/uv.txt
	$(lock) --group pyproject.toml:node -o requirements/node.txt

setup: ## Install what is missing: Python, packages, Azurite, the inference server, container tools
	@tools/setup

setup-python:
	@tools/setup python

setup-az: ## Install the az command line in .tools, for the tests that use it
	@tools/setup azure-cli

setup-trainer: ## Install TensorFlow and what scoring needs in .tools/trainer
	@tools/setup trainer

clean: down ## Remove what was made here: environments, tools, the state of the local stack
	rm -rf .venv .tools .local build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
