# `make help` explains each target. Set-up is remembered by stamp files inside what it made, so deleting .venv or
# node_modules is enough to start afresh. Registries are those of your own pip, uv and npm configuration.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PY := $(VENV)/bin/python
PACKAGES := $(VENV)/.stamp-packages
INSTALLED := $(VENV)/.stamp-houfu
NODE_PACKAGES := $(if $(wildcard pwa/package-lock.json),pwa/node_modules/.stamp-packages)
ASSETS := $(if $(wildcard pwa/build.py pwa/build/__main__.py),pwa/static/.stamp-assets)
ASSET_SOURCES := $(shell find pwa -name node_modules -prune -o -path pwa/static -prune -o -name __pycache__ -prune \
	-o -type f -print)
MINI_PACKAGES := tests/miniprogram/node_modules/.stamp-packages
NPM_FLAGS := --no-audit --no-fund --ignore-scripts
PYTEST := $(PY) -m pytest
# Tests wait a lot, for silence that has to end, for servers that start, for a stage that plays: one worker more than
# processors makes use of that time.
WORKERS ?= 3
SPREAD := --dist loadfile --no-loadscope-reorder
# Bytecode is kept, whatever the shell says: reading all modules anew makes every start of Python three times as long.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/bytecode

.PHONY: help setup demo test lint check torture mutants bench format lock pictures clean test-machine

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(ASSETS) ## virtual environment, pinned packages, web assets (quick when nothing changed)

$(PACKAGES): requirements.lock
	@echo "→ Python: virtual environment and pinned packages"
	@tools/python-env $(VENV)
	@touch $@

$(INSTALLED): $(PACKAGES) pyproject.toml
	@echo "→ Python: houfu itself, editable"
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

pwa/node_modules/.stamp-packages: pwa/package.json pwa/package-lock.json
	@echo "→ Web: pinned packages"
	@tools/need-node
	@cd pwa && npm ci $(NPM_FLAGS)
	@touch $@

pwa/static/.stamp-assets: $(INSTALLED) $(NODE_PACKAGES) $(ASSET_SOURCES)
	@echo "→ Web: assets"
	@$(PY) -m pwa.build
	@mkdir -p pwa/static && touch $@

demo: setup ## the whole hospital on this machine, at http://127.0.0.1:8000 (HOUFU_PORT), Ctrl-C ends it
	@exec $(VENV)/bin/houfu demo

# What the mini-program's tests run it in; only they need it.
$(MINI_PACKAGES): tests/miniprogram/package.json tests/miniprogram/package-lock.json
	@echo "→ Tests: WeChat's simulator of mini-programs"
	@tools/need-node
	@cd tests/miniprogram && npm ci $(NPM_FLAGS)
	@touch $@

test-machine: setup $(MINI_PACKAGES) ## what tests need of the machine (Chromium, fonts): installs it, or says how
	@tools/test-machine

test: test-machine ## every test, after setting up what tests need (Chromium, fonts)
	@failed=; $(PYTEST) -m "not pictures and not browser" -n $(WORKERS) $(SPREAD) || failed=1; \
		$(PYTEST) -m "browser and not pictures" -n $(WORKERS) $(SPREAD) || failed=1; [ -z "$$failed" ]

lint: setup ## format, lint, types and import rules alone
	@echo "→ format"; $(VENV)/bin/ruff format --check .
	@echo "→ lint"; $(VENV)/bin/ruff check .
	@echo "→ types"; $(VENV)/bin/mypy
	@echo "→ import rules"; $(VENV)/bin/lint-imports --no-logo

check: lint $(MINI_PACKAGES) ## format, lint, types, import rules, and the fast tests
	@echo "→ fast tests"; $(PYTEST) -q -m "not slow and not browser and not pictures" \
		-n $(WORKERS) $(SPREAD)

torture: setup ## proves that money is never wrong: 10,000 schedules of crashes and faults, random histories
	@$(PY) -m tests.proof.torture

mutants: setup ## plants bugs and shows that the tests catch each (caught N/N); the work tree is not touched
	@$(PY) -m tests.mutants

bench: setup ## measures the budgets and prints figures and ratios
	@$(PY) -m benchmarks

format: setup ## formats the code and mends what can be mended by itself
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format .

lock: $(PACKAGES) ## pins the newest versions pyproject.toml allows
	@$(VENV)/bin/uv pip compile --quiet --upgrade --generate-hashes --no-header --group dev --python-version 3.11 \
		pyproject.toml -o requirements.lock
	@git --no-pager diff --stat -- requirements.lock

pictures: test-machine ## takes pictures of every page into pictures/
	@$(PYTEST) -q -m pictures

clean: ## removes everything that was built or installed; keeps the data in .houfu/
	rm -rf $(VENV) pwa/node_modules tests/miniprogram/node_modules pwa/static .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
