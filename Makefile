# Factory Studio. `make help` lists what can be asked of it. Needs Python 3.11+ and nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
export UV_SYSTEM_CERTS := 1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|'

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Factory Studio needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 4; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.ready: $(BIN)/uv uv.lock pyproject.toml */pyproject.toml plugins/*/pyproject.toml plugins/templates/*/pyproject.toml
	@$(BIN)/uv sync --frozen --quiet --compile-bytecode
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## install everything into .venv
