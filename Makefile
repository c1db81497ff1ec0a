# Everything a developer or CI runs. `make demo` and `make test` need Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What runs, and the same with the tools of developers.
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
CHECK  := $(BIN)/python -m pip check --disable-pip-version-check >$(VENV)/.check || { cat $(VENV)/.check; exit 1; }
BENCH_READY := .venv-bench/.ready
AUDIT_READY := .venv-audit/.ready
CLIENTS := tests/foreign/clients
SEEDS ?= 300
ROUNDS ?= 100
NODE_READY := $(CLIENTS)/node_modules/.ready

.PHONY: help setup demo test lint format coverage chaos attack broken alerts browser bench benchpolicies benchundo benchdatabase benchservice foreign docs facts matrix crashes portalspeed cassettes fuzz audit lock clean
.DEFAULT_GOAL := help

help:           ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

# A stamp is newer than its lock and the project file, or the environment is completed again. A lock is installed as it is:
# with its hashes, and without resolving, which could choose other versions. `pip check` then says what would be missing.
$(RUNS): requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what runs into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(INSTALL) --no-build-isolation --editable .
	@$(CHECK)
	@$(BIN)/python -c 'import reconciler.cli.app'
	@touch $@

$(READY): $(RUNS) requirements-dev.lock
	@echo "installing the tools into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(CHECK)
	@$(BIN)/python -c 'import reconciler.cli.app, pytest'
	@touch $@

setup: $(READY) ## virtual environment with the locked dependencies

demo: $(RUNS)   ## the whole story on an embedded portal, no account needed; DEMO="--companies 20 --contacts 100"
	@$(BIN)/reconciler demo $(DEMO)
	@command -v reconciler >/dev/null || echo "(\`source $(BIN)/activate\` puts it on the path of this shell.)"

test: $(READY)  ## the fast tests: no browser, no server, no long stories
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" --ignore=tests/browser

coverage: $(READY) ## these and the long stories, measured: 95 % of all branches, all of core and portal
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -q -n 3 --cov --cov-report= --ignore=tests/browser # long stories wait for processes
	@$(BIN)/coverage report --fail-under=95
	@$(BIN)/coverage report --include='reconciler/core/*,reconciler/portal/*' --fail-under=100

chaos: $(READY) ## random portals, faults, kills and people, held to ten promises: SEEDS=10000; WRITE=--write puts it into the page
	@$(BIN)/python tests/chaos/run.py --seeds $(SEEDS) $(WRITE)

attack: $(READY) ## a proxy that delays and loses, and people who edit at the worst moments: ROUNDS=1000; LIMIT=60 seconds
	@$(BIN)/python tests/attack/run.py --rounds $(ROUNDS) $(if $(LIMIT),--seconds $(LIMIT)) $(WRITE)

broken: $(READY) ## break each of the ten promises on purpose, and see that a test tells
	@$(BIN)/python tests/broken/run.py

alerts: $(READY) ## each alert for Prometheus comes when it should, by promtool, which must be there
	@CI_PROMTOOL=1 $(BIN)/python -m pytest -q tests/deploy/test_alerts.py

bench: $(READY) $(BENCH_READY) ## the worker beside other people's clients, some fifteen minutes; BENCH=--write keeps the tables
	@$(BIN)/python benchmarks/bench.py $(BENCH)

benchpolicies: $(READY) ## what all policies add to a plan of up to a million contacts, some ten minutes; BENCH=--write
	@$(BIN)/python benchmarks/policies.py $(BENCH)

benchundo: $(READY) ## an undo of 50,000 contacts beside the run that it takes back, half a minute
	@$(BIN)/python benchmarks/undo.py

benchdatabase: $(READY) ## the SQL of each query of the worker on a real MariaDB, which must be there; BENCH=--write or --quick
	@$(BIN)/python benchmarks/database.py $(BENCH)

benchservice: $(READY) ## the memory of the service over 144 polls of a million contacts, some eight minutes
	@$(BIN)/python benchmarks/service.py $(BENCH)

# Other people's clients live in environments of their own; b24jssdk needs Node, and says so where there is none.
$(BENCH_READY): requirements-bench.lock
	@$(PYTHON) -m venv --clear .venv-bench
	@echo "installing other people's clients into .venv-bench"
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@touch $@

$(NODE_READY): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@if command -v node >/dev/null; then npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "NO NODE HERE: b24jssdk is not tried"; fi

foreign: $(READY) $(BENCH_READY) $(NODE_READY) ## other people's clients repair the embedded portal, unchanged
	@FOREIGN_CLIENTS=1 $(BIN)/python -m pytest -q tests/foreign

browser: $(READY) ## the HTML pages in headless Chromium, which must be there
	@CI_BROWSER=1 $(BIN)/python -m pytest -q -n 2 tests/browser

# A case that it finds is repeated with EPISODE=<its number>.
fuzz: $(READY)  ## a million answers that no portal gives, some fifteen minutes; N=20000, or MINUTES=5
	@$(BIN)/python tests/hostile/fuzz.py $(if $(EPISODE),--episode $(EPISODE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(N),--answers $(N)) $(if $(SEED),--seed $(SEED))

audit: $(READY) $(AUDIT_READY) ## locks, licences and known vulnerabilities of what we depend on; the last need the network
	@$(BIN)/python tests/audit.py

$(AUDIT_READY): requirements-audit.lock
	@$(PYTHON) -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-audit.lock
	@touch $@

docs: $(READY)  ## put the help and the demo's transcript into README.md
	@$(BIN)/python tests/readme.py

facts: $(READY) ## which known facts about a portal no test holds; WRITE=--write puts the tables into the page
	@$(BIN)/python tests/fact_coverage.py $(WRITE)

matrix: $(READY) ## how each fault ends in each phase of a run; WRITE=--write puts the tables into docs/reliability.md
	@$(BIN)/python tests/faults/write_matrix.py $(WRITE)

crashes: $(READY) ## kill a worker at each of its points, STORY=one or all; WRITE=--write puts the table into the page
	@$(BIN)/python tests/crashes/kill_everywhere.py $(STORY) $(WRITE)

portalspeed: $(READY) ## what the embedded portal itself costs at a million contacts; WRITE=--write puts it into the page
	@$(BIN)/python benchmarks/portal_speed.py $(WRITE)

cassettes: $(READY) ## write the contract tests' cassettes anew; DOCS=<clone of the documentation> for its examples
	@$(BIN)/python tests/contract/make_cassettes.py $(DOCS)

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
	$(COMPILE) --group bench -o requirements-bench.lock
	$(COMPILE) --group audit -o requirements-audit.lock

clean:
	rm -rf $(VENV) .venv-bench .venv-audit $(CLIENTS)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist
