# The same commands here and in continuous integration. `make` alone lists them; each installs what it needs first.
SHELL := /bin/bash
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := --numprocesses=2
export PYTHONUNBUFFERED := 1
# Where this is set to something, every command compiles everything that it imports anew: two seconds each, hundreds of times.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo demo-down test test-quick check simulate mutants format golden lock bench lab-fleet clean

help: ## list these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

demo: ## twenty relays on this machine: install, start the lab, apply, show status
	@scripts/setup demo
	@scripts/demo

demo-down: ## remove every process, mount, bridge and namespace of the demo
	@$(BIN)/genesis-fleet --version >/dev/null 2>&1 || scripts/setup demo
	@$(BIN)/genesis-fleet lab down

test: setup ## install what it needs and run everything: checks, unit, property, contract and lab tests, the wheel
	@$(PYTEST) -q $(SIDE_BY_SIDE) -m "not lab" --durations=5
	@$(PYTEST) tests/lab $(SIDE_BY_SIDE) --dist=loadscope -m lab --durations=10

test-quick: setup ## the same without the lab's machines
	@$(PYTEST) -q $(SIDE_BY_SIDE) -m "not lab" --durations=5

check: setup ## format, lint, types, layers, playbooks
	@$(PYTEST) -q tests/checks

setup: ## install Debian packages and .venv (done by all others)
	@scripts/setup test

simulate: SEEDS := 10000
simulate: FIRST := 0
simulate: setup ## play random schedules on all cores: SEEDS=10000 from FIRST=0 on, 200 steps each; fails on a breach
	@$(BIN)/python scripts/simulate.py --seeds $(SEEDS) --first $(FIRST) --steps 200

mutants: SAMPLE :=
mutants: SEED := 0
mutants: MODULES :=
mutants: setup ## make small mistakes in planning and see if tests notice: all of them (hours), MODULES="trust court", SAMPLE=200
	@$(BIN)/python scripts/mutants.py $(MODULES) $(if $(SAMPLE),--sample $(SAMPLE) --seed $(SEED))

format: setup ## format, and mend what the linter can mend
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

golden: setup ## rewrite the golden files; review them as a diff
	@$(PYTEST) -q -m "not lab" --update-golden
	@git status --short tests

lock: setup ## resolve the dependencies of pyproject.toml anew into requirements.lock
	@scripts/lock

bench: setup ## measure deploys beside a role, pyinfra and plain ssh, an upgrade, probing, planning, the simulation
	@scripts/bench

lab-fleet: setup ## write inventory/lab anew
	@$(BIN)/genesis-fleet lab init demo -o inventory/lab

clean: ## remove what was built here: .venv, caches (neither the lab nor its image)
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .ansible build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
