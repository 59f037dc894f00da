# The interpreter that .venv is made with; any from 3.11 on.
PYTHON ?= python3
UV_VERSION := 0.13.9

# The data root, absolute: Dagster takes a relative folder from wherever it was started.
ifeq ($(strip $(TOKENBOOKS_DATA)),)
override TOKENBOOKS_DATA := $(CURDIR)/data
else ifeq ($(filter /%,$(firstword $(TOKENBOOKS_DATA))),)
override TOKENBOOKS_DATA := $(CURDIR)/$(TOKENBOOKS_DATA)
endif
export TOKENBOOKS_DATA
export TOKENBOOKS_DAGSTER := $(TOKENBOOKS_DATA)/dagster
export DAGSTER_HOME := $(CURDIR)
# Telemetry is off in dagster.yaml; this keeps its uploader, and the empty folders that it makes, away as well.
export DAGSTER_DISABLE_TELEMETRY := 1

# Scripts in a .venv hold its absolute path: in a moved or copied checkout the stamp has another name, and all is made anew.
HERE := $(shell pwd -P | cksum | cut -d ' ' -f 1)
LOCKED := .venv/.locked-$(HERE)
INSTALLED := .venv/.installed-$(HERE)
WITNESS := .venv/.witness-$(HERE)
FOCUS_WITNESS := .venv/.focus-$(HERE)
SITE := .venv/.site-$(HERE)
# --python, or uv would take an activated environment.
UV_INSTALL := .venv/bin/uv pip install --quiet --python .venv/bin/python
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check
# Without a cache folder that can be written, uv stops; without a cache it only downloads again.
UV_CACHE := cache="$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}/uv}"; \
	{ mkdir -p "$$cache" && test -w "$$cache"; } 2>/dev/null || export UV_NO_CACHE=1

.DEFAULT_GOAL := help
.PHONY: demo test lint witnesses dev bench docs site clean help

demo: $(INSTALLED)  ## build the sample company, run the whole job, say where the report is
	@.venv/bin/tokenbooks demo

# Three workers for two cores: one waits for Dagster's clock for minutes. In the order of tests/conftest.py, the longest files first.
# With bytecode kept, or each of the commands that the tests start compiles us anew.
test: $(INSTALLED) $(WITNESS) $(FOCUS_WITNESS)  ## run the whole test suite
	@PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)  ## check style, format and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

dev: $(INSTALLED)  ## open Dagster's web page on the data root
	@mkdir -p "$$TOKENBOOKS_DAGSTER"
	@.venv/bin/dg dev

bench: $(INSTALLED)  ## measure speed and memory
	@.venv/bin/python -m benchmarks

docs: $(INSTALLED)  ## write docs/data_dictionary.md and docs/contracts/ from the headers of the SQL files
	@.venv/bin/python -m pipelines.dictionary --write docs/data_dictionary.md
	@.venv/bin/python -m pipelines.export_contract --write docs/contracts

site: $(SITE)  ## build the pages of the documents into build/site; a link that leads nowhere stops it
	@.venv/site/bin/python -m sphinx -q -W --keep-going -d build/site-state -c docs/site -b html . build/site
	@echo "build/site/docs/site/index.html"

clean:  ## remove .venv, caches and builds; the data root stays
	@rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	@find assets benchmarks pipelines tests -type d -name __pycache__ -prune -exec rm -rf {} +

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile
	@echo "Settings: PYTHON=$(PYTHON) (makes .venv), TOKENBOOKS_DATA=$(TOKENBOOKS_DATA) (the data root)"

# A new lock is installed from nothing, so that no package of the old one stays behind.
$(LOCKED): requirements.lock
	@command -v "$(PYTHON)" >/dev/null || { echo "No interpreter '$(PYTHON)': install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "'$(PYTHON)' is $$("$(PYTHON)" --version 2>&1); tokenbooks needs Python 3.11 or newer. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing into .venv (the first time about 1 GB) ..."
	@"$(PYTHON)" -m venv --clear .venv
	@$(PIP_INSTALL) uv==$(UV_VERSION)
	@$(UV_CACHE); $(UV_INSTALL) --require-hashes --compile-bytecode -r requirements.lock \
		|| { echo "uv could not install; trying with pip, which is slower ..." >&2; $(PIP_INSTALL) --require-hashes -r requirements.lock; }
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(UV_CACHE); $(UV_INSTALL) --no-deps --no-build-isolation -e . || $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@.venv/bin/python -m compileall -q pipelines assets || true
	@touch $@

witnesses: $(WITNESS) $(FOCUS_WITNESS)

# In an environment of its own: its versions do not go with ours. Where it cannot be had, its one test is skipped.
$(WITNESS): $(LOCKED) requirements-witness.lock
	@.venv/bin/python -m venv --clear .venv/witness
	@$(UV_CACHE); .venv/bin/uv pip install --quiet --python .venv/witness/bin/python --require-hashes -r requirements-witness.lock \
		|| .venv/witness/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-witness.lock \
		|| { echo "The second witness of prices could not be installed; its test is skipped." >&2; rm -rf .venv/witness; }
	@touch $@

# As above. PYENV_VERSION: without it pyenv's python3.12 does not start where another version is the usual one.
$(FOCUS_WITNESS): $(LOCKED) requirements-focus.lock
	@$(UV_CACHE); { PYENV_VERSION=3.12 .venv/bin/uv venv --quiet --clear --no-python-downloads --python 3.12 .venv/focus \
		&& .venv/bin/uv pip install --quiet --python .venv/focus/bin/python --require-hashes -r requirements-focus.lock; } \
		|| { echo "The validator of FOCUS, which wants Python 3.12, could not be installed; its tests are skipped." >&2; rm -rf .venv/focus; }
	@touch $@

# What builds the pages, in an environment of its own: nothing that runs needs it.
$(SITE): $(LOCKED) requirements-site.lock
	@.venv/bin/python -m venv --clear .venv/site
	@$(UV_CACHE); .venv/bin/uv pip install --quiet --python .venv/site/bin/python --require-hashes -r requirements-site.lock \
		|| .venv/site/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-site.lock
	@touch $@
