# `make test` and `make quickstart` need nothing but Python and make: they build .venv first.

PYTHON ?= python3
BIN := .venv/bin
# Containers often forbid Python to keep compiled bytecode. Each process would then compile PyTorch anew: an export takes
# two to three times as long.
export PYTHONDONTWRITEBYTECODE =
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install quickstart docs dist-check test test-exhaustive test-hostile test-apps test-android test-ios test-adbd test-arm lint format clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

install: $(INSTALLED)  ## make .venv with the tested set of packages

quickstart: $(INSTALLED)  ## the whole way on built-in data: train, export, evaluate, report
	$(BIN)/mobiledet quickstart --overwrite

# Three processes for two cores, because tests also wait for time to pass; each with one thread, because threads of several
# processes would wait for each other's cores.
test: lint  ## lint, check types, run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-exhaustive: $(INSTALLED)  ## every backbone and case that `make test` leaves out; takes hours
	$(BIN)/python -m pytest -q -m exhaustive

test-hostile: $(INSTALLED)  ## damaged files, malicious requests, kills, full disks: thousands of trials, with their counts; takes an hour
	MOBILEDET_HOSTILE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --timeout 3600 -m "exhaustive or not exhaustive" tests/hostile

test-apps: test-android test-ios  ## compile and test the apps' parts that run without a phone

test-android: $(INSTALLED)  ## Kotlin: compile, unit tests, vectors, agent-check (needs a JDK and Maven)
	$(BIN)/python apps/android/check/check.py

test-adbd: $(INSTALLED)  ## the tests of Android phones against Debian's real adbd, in a network namespace; needs root
	$(BIN)/mobiledet web --out build/page --overwrite
	MOBILEDET_WEB_SITE=$(CURDIR)/build/page tests/devices/adb/with_real_adbd.sh build/adbd $(BIN)/python -m pytest -q tests/devices/adb

test-ios: $(INSTALLED)  ## Swift: compile, unit tests, vectors, agent-check (without Swift 6, fetches Debian's: 0.6 GB)
	PYTHON=$(BIN)/python apps/ios/check.sh

test-arm: $(INSTALLED)  ## exported files and the agent on emulated ARM processors (needs `mobiledet arm-setup`: Debian, 0.2 GB)
	$(BIN)/mobiledet arm-setup
	MOBILEDET_TEST_ARM=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --timeout 1800 tests/devices/arm

lint: $(INSTALLED)  ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)  ## mend style and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/.docs  ## build the documentation into build/docs; fails on a dead link
	$(BIN)/python docs/drawing/draw.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/.docs: $(INSTALLED)
	$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e '.[docs,release]' \
		|| $(BIN)/python -m pip install -c constraints.txt -e '.[docs,release]'
	touch $@

dist-check: .venv/.docs  ## build wheel and sdist into build/dist, and check what an index would show of them
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist
	$(BIN)/twine check --strict build/dist/*

clean:  ## remove .venv, build results and caches
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find mobiledet converters tests -name __pycache__ -prune -exec rm -rf {} +

# uv is some six times as fast as pip, but reads none of pip's configuration: where uv finds no packages, pip does.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[all,dev]' \
		|| $(BIN)/python -m pip install -c constraints.txt -e '.[all,dev]'
	touch $@
