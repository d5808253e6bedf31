# What a person types. Everything but `install`, `lock` and `deploy` works without the network.

PYTHON3 ?=
STACK ?= tributary
AREA ?=
SHOP ?=
BIN := .venv/bin
PY := $(BIN)/python
UV := $(BIN)/uv
LOCKS := requirements-dev.txt layers/dependencies/requirements.txt layers/analytics/requirements.txt
CODE := layers/tributary/tributary functions local tests
COMPILE_LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help install demo local test test-all checks bench openapi deploy lock clean

help: ## Say what there is.
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1 /p' Makefile | while read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

install: .venv/installed ## Install the tools into .venv, once for each change of the pinned versions.

.venv/installed: pyproject.toml $(LOCKS) local/find-python.sh
	@python=$$(sh local/find-python.sh $(PYTHON3)) && echo "Installing into .venv with $$python" && "$$python" -m venv --clear .venv
	@awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements-dev.txt > .venv/uv.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements-dev.txt
	@mkdir .venv/tmp && TMPDIR=$(CURDIR)/.venv/tmp $(UV) pip install --quiet --python $(PY) --no-deps -e .
	@touch $@

demo: install ## Start the local stack, send a shop's day through it, show what arrived where, and stop it.
	@$(PY) -m local.demo

local: install ## Run the local stack until Ctrl-C; SHOP=2000 connects a fake Konnektive account of that many customers.
	@$(PY) -m local.stack $(if $(SHOP),--shop $(SHOP))

test: install checks ## Lint, types, rules and all tests but the slow ones.
	$(BIN)/pytest -q -m "not slow and not e2e" -n auto
	$(BIN)/pytest -q -m "e2e and not slow"

test-all: test ## The slow tests too.
	$(BIN)/pytest -q -m slow

checks: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(PY) -m local.sam validate --lint

bench: install ## Measure; AREA=pipeline for a part. Figures are also in .local/bench.json.
	@$(PY) -m tests.bench $(AREA)

openapi: install ## Write docs/openapi.yaml from the code.
	@$(PY) -m local.openapi

deploy: install ## Build for AWS, deploy with samconfig.toml, make the first keys. STACK=name for another stack.
	@UV=$(UV) sh layers/compile.sh 3.13
	TARGET=lambda $(PY) -m local.sam build
	$(PY) -m local.sam deploy --stack-name $(STACK)
	@$(PY) -m tributary.cli --stack $(STACK) init

lock: install ## Pin again what pyproject.toml asks for; UPGRADE=1 takes newer versions.
	$(COMPILE_LOCK) $(if $(UPGRADE),--upgrade) --group dev -o requirements-dev.txt pyproject.toml
	$(COMPILE_LOCK) $(if $(UPGRADE),--upgrade) -c requirements-dev.txt -o layers/dependencies/requirements.txt pyproject.toml
	$(COMPILE_LOCK) $(if $(UPGRADE),--upgrade) -c requirements-dev.txt -o layers/analytics/requirements.txt --group pyproject.toml:analytics

clean: ## Remove everything that was installed or built.
	rm -rf .venv .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis layers/tributary/*.egg-info
