# Factory Studio. `make help` lists what can be asked of it. Needs Python 3.11+ and nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
export UV_SYSTEM_CERTS := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Factory Studio needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 4; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready: $(BIN)/uv uv.lock pyproject.toml */pyproject.toml plugins/*/pyproject.toml plugins/templates/*/pyproject.toml
	@$(BIN)/uv sync --frozen --quiet --compile-bytecode
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## install everything into .venv

SPEC ?= examples/taskboard.yaml
OUT ?= demo-build

.PHONY: demo
demo: setup ## build working, tested software from $(SPEC) and show the evidence
	@$(BIN)/studio build $(SPEC) --out $(OUT)

.PHONY: serve
serve: setup ## run the studio: API on http://127.0.0.1:8600, workers, embedded servers
	@$(BIN)/studio serve

.PHONY: browser
browser: ## make sure there is a browser for the tests
	@tools/ensure-browser

.PHONY: pooler
pooler:
	@tools/ensure-pgbouncer

# Files stay whole, so that what they share is made once.
PYTEST = $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: test
test: setup browser ## run the tests, on real PostgreSQL, Valkey, sandbox and browser
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run $(PYTEST) -m "not slow"
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report --skip-covered --fail-under=90

.PHONY: verify
verify: check browser pooler ## the checks and every test, the slow ones and the long chaos too; says at its end what was skipped
	@$(PYTEST) --junit-xml=.pytest_cache/verify.xml
	@$(BIN)/python tests/chaos/proof.py
	@$(BIN)/python tools/tell-skipped .pytest_cache/verify.xml

.PHONY: load
load: setup ## 100 builds of 200 agents on two workers, and 50 requests a second meanwhile
	@$(BIN)/python tests/load/load.py

.PHONY: chaos
chaos: setup ## break a studio 200 times while it builds, plant faults in the engine; SEED=n replays
	@$(BIN)/python tests/chaos/proof.py $(if $(SEED),--seed $(SEED))

.PHONY: check
check: setup ## lint, types, layers, dependencies, generated docs
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/pyright --level error
	@$(BIN)/lint-imports --no-cache
	@tools/check-dependencies
	@$(BIN)/python docs/generate.py --check

.PHONY: fix
fix: setup ## format and repair what a machine can, regenerate docs
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python docs/generate.py

.PHONY: bench
bench: setup ## measure: engine beside its peers, import and start times, build stages
	@$(BIN)/uv sync --frozen --quiet --group bench
	@$(BIN)/python tests/load/bench.py

.PHONY: clean
clean: ## remove what was built here (not your FACTORY_HOME)
	@rm -rf $(VENV) .pytest_cache .ruff_cache .bench .coverage .coverage.*
