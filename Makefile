# Everything a developer or CI runs. `make demo` and `make test` need Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup demo test lint format coverage bench lock clean
.DEFAULT_GOAL := help

help:           ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# The stamp is newer than the lock and the project file, or the environment is made again.
$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## virtual environment with the locked dependencies

demo: $(READY)  ## the whole story on an embedded portal, no account needed
	@$(BIN)/reconciler demo

test: $(READY)  ## the fast tests: no browser, no server
	@$(BIN)/python -m pytest -q -n 2

coverage: $(READY) ## the same tests, measured: 95 % of all branches, all of core and portal
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -q -n 2 --cov --cov-report=
	@$(BIN)/coverage report --fail-under=95
	@$(BIN)/coverage report --include='reconciler/core/*,reconciler/portal/*' --fail-under=100

bench: $(READY) ## what a sweep and a plan cost at up to a million contacts, some two minutes; BENCH=--write keeps it
	@$(BIN)/python benchmarks/bench.py $(BENCH)

lint: $(READY)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Without addresses, so that a mirror serves as well; with hashes, so that it cannot cheat. A lock that exists keeps its
# versions where it can: delete it to move everything.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

lock:           ## resolve the locks anew (needs uv)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra simulator --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group build -c requirements-dev.lock -o requirements-build.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist
