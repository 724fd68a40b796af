# svtree: two commands to start with: `make run` and `make test`.
SHELL := /bin/sh
PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 4
# A fresh process each: what a Makefile exports must not reach the programs under test.
unexport MAKEFLAGS MAKELEVEL MFLAGS

.PHONY: help run test test-pythons test-deb deb test-ci lint format bench docs clean tools
.DEFAULT_GOAL := help

help:
	@echo 'make run    bring up a demonstration tree in demo/ and show it (ONCE=1: end after the demonstration)'
	@echo 'make test   lint, unit, property and whole-tree tests'
	@echo 'make test-pythons  the same with each of $(PYTHONS) that is here (a part of it is in make test)'
	@echo 'make lint   ruff, mypy --strict, import contracts'
	@echo 'make bench  benchmarks beside the originals, as ratios'
	@echo 'make deb    Debian packages of HEAD into build/deb/packages'
	@echo 'make test-deb  the packages built, installed, booted, upgraded and purged (root; skips what the machine has not)'
	@echo 'make docs   the documentation into build/site, manual pages into build/man'
	@echo 'make clean  remove what the others made'

$(BIN)/.made: pyproject.toml svtree/registry.py packaging/hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'svtree: fatal: Python 3.11 or later is needed as "$(PYTHON)": apt-get install python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'svtree: fatal: Python has no venv here: apt-get install python3-venv' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'svtree: installing into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -e '.[dev]' || \
	  { echo 'svtree: fatal: pip could not install the requirements of pyproject.toml into $(VENV)' >&2; exit 1; }
	@touch $@

# exec, so that make waits on Ctrl-C for the tree to go down rather than for a shell.
run: $(BIN)/.made
	@exec env PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/svtree demo $(if $(ONCE),--once) demo

test: $(BIN)/.made tools lint
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not deb' -rs $(PYTEST_FLAGS) || $(call again,not deb)

# Thousands of processes start and end in a run, and a shared machine may stall: what failed has to pass alone, and its
# name has been printed. $(1): the marker expression.
again = { test $$? -eq 1 && echo 'svtree: what failed runs once more, alone' && \
  $(BIN)/python -m pytest -p no:xdist -m '$(1)' -x -v --last-failed --last-failed-no-failures none $(PYTEST_FLAGS); }

# Each in an environment of its own: .venv-python3.12.
test-pythons:
	@for each in $(PYTHONS); do \
	  "$$each" -c '' 2>/dev/null || { echo "svtree: $$each is not here: skipped"; continue; }; \
	  $(MAKE) --no-print-directory test PYTHON="$$each" VENV=".venv-$${each##*/}" || exit 1; done

deb:
	@umask 022; rm -rf build/deb/packages && sh packaging/build-deb.sh build/deb/packages
	@ls build/deb/packages/*.deb

# loadfile: the machine of a file is made once.
test-deb: $(BIN)/.made
	@if [ "$$CI" = true ]; then sh tests/deb/install.sh; fi
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m deb -rs $(PYTEST_FLAGS) tests/deb || $(call again,deb)

lint: $(BIN)/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.made
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# On CI the originals and real clients are installed, so that no comparison is skipped there.
tools:
	@if [ "$$CI" = true ]; then sh tests/oracle/install.sh; fi

bench: $(BIN)/.made
	@for each in bench/bench_*.py; do PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python $$each || exit 1; done

docs: $(BIN)/.made
	$(BIN)/python docs/build.py build/man
	$(BIN)/sphinx-build -E -n -W --keep-going -q -b html -d build/doctrees docs build/site
	@echo 'The documentation: build/site/index.html'

clean:
	rm -rf build dist demo .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
