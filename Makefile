# Every target brings up what it needs. `make up` and `make test` are the whole set-up.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
REPO ?=
AREA ?=
ASSETS := hatch_build.py frontend.lock.json

.PHONY: up demo test test-quick soak bench lint types contracts lock clean

up: .venv/.ready
	$(BIN)/opsroom up $(if $(REPO),--repo "$(REPO)")

demo: .venv/.ready
	$(BIN)/opsroom demo

test: .venv/.ready-dev lint types contracts
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --durations=15

test-quick: .venv/.ready-dev
	$(BIN)/python -m pytest -m "not slow and not soak" -n 2 --dist loadfile

soak: .venv/.ready-dev
	$(BIN)/python -m pytest -m soak

bench: .venv/.ready-dev
	$(BIN)/python -m benchmarks $(if $(AREA),--area "$(AREA)")

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready-dev
	$(BIN)/mypy

contracts: .venv/.ready-dev
	$(BIN)/lint-imports
	$(BIN)/deptry src

# Versions as they are pinned; run after editing the dependencies in pyproject.toml.
lock: .venv/.ready
	$(BIN)/uv pip compile --system-certs -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --system-certs -q --universal --python-version 3.11 --generate-hashes --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

.venv/.uv: bootstrap.lock
	$(PYTHON) -c 'import sys; sys.exit("Opsroom needs Python 3.11 or newer, %s is %s; give another by make PYTHON=…" % (sys.executable, sys.version.split()[0]) if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	touch $@

.venv/.ready: .venv/.uv requirements.lock pyproject.toml $(ASSETS)
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --system-certs --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --system-certs --quiet --no-deps --reinstall-package opsroom --editable .
	$(BIN)/python -m compileall -q src/opsroom
	touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --system-certs --quiet --require-hashes -r requirements-dev.lock
	touch $@

clean:
	rm -rf .venv var var-keys .demo dist src/opsroom/surfaces/web/static/vendor
