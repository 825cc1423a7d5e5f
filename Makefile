# Needs Python 3.11 or newer and make; everything else is installed from the lock into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo quick test claims faults lint size golden bench clean
.DEFAULT_GOAL := demo

help:  ## what make can do here
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name words; \
		do printf '  %-8s %s\n' "$$name" "$$words"; done

demo: .venv/core  ## train a recogniser of handwritten digits, offline, and open its report
	$(BIN)/etude run digits
	$(BIN)/etude report digits

quick: .venv/dev  ## under a minute: the rules, fast units, the tests of what differs from main
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.quick

test: .venv/dev  ## all tests but the claims
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not claims"

claims: .venv/dev  ## every quick study to its end: the tests that train, then each claim over three seeds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m claims
	$(BIN)/etude check --all --seeds 3

faults: .venv/dev  ## kills, full disks, damaged and malformed files; writes docs/reliability.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults

lint: .venv/dev  ## style and types
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

size: .venv/dev  ## how long each study is, by the rules' measures
	@$(BIN)/python -m tests.size

golden: .venv/dev  ## write the first losses of every study anew; say why in the commit
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.studies.golden

bench: .venv-bench/peers  ## what the loop costs, how fast batches come, and Etude beside its peers: docs/benchmarks.md
	.venv-bench/bin/python benchmarks/loop.py
	.venv-bench/bin/python benchmarks/batches.py
	.venv-bench/bin/python -m benchmarks.beside

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[dev,parity]'
	touch $@ .venv/core

.venv-bench/peers: pyproject.toml constraints.txt benchmarks/beside/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --editable '.[rl,parity]' -r benchmarks/beside/requirements.txt
	touch $@

clean:  ## remove what was built and installed here
	rm -rf .venv .venv-bench build dist runs .mypy_cache .ruff_cache .pytest_cache
