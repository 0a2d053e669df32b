# Every target makes a virtual environment in .venv on first use.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin

# On Linux pip takes torch for NVIDIA's GPUs, several GB that are of no use without their driver.
# Then the index of its CPU build is tried. PIP_FLAGS overrides: "" takes what pip chooses.
CPU_INDEX := https://download.pytorch.org/whl/cpu
ifeq ($(origin PIP_FLAGS), undefined)
choose = if [ "$$(uname -s)" = Linux ] && ! [ -e /proc/driver/nvidia/version ]; then \
	  if $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(CPU_INDEX)/torch/", timeout=5)' \
	    2>/dev/null; \
	  then flags="--extra-index-url $(CPU_INDEX)"; \
	    echo "No NVIDIA driver: torch comes as its CPU build (PIP_FLAGS=\"\" to let pip choose)."; \
	  else echo "No NVIDIA driver, but $(CPU_INDEX) does not answer: torch as pip chooses it."; \
	  fi; fi;
endif
install = flags="$(PIP_FLAGS)"; $(choose) $(BIN)/python -m pip install --quiet $$flags -e

.DEFAULT_GOAL := help
.PHONY: demo test fast test-slow test-times check format docs same map bench mutants clean help

demo: $(VENV)/.train ## run a small study end to end: runs/demo/{study.db,report.html,best/} (2 minutes)
	$(BIN)/emoji-study demo

# Two processes on two cores, so each of them owns one thread.
test: $(VENV)/.test ## run the tests (5 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fast: $(VENV)/.test ## run the tests that need no browser, server, training or page (2 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not whole"

test-slow: $(VENV)/.test ## run the tests that train for minutes
	$(BIN)/python -m pytest -m slow

test-times: $(VENV)/.test ## run the tests; show the time of each file and test, and the processes they start
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 0 --durations-min 1 \
	  --hypothesis-show-statistics > test-times.txt; status=$$?; tail -n 1 test-times.txt; exit $$status

check: $(VENV)/.dev ## check format, style, the directions of imports, and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 -p emoji_ae -p search_spaces -p storage -p study # benchmarks fork
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin

format: $(VENV)/.dev ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.train ## write docs/commands.md anew, of what the commands declare
	$(BIN)/python -m benchmarks.commands

same: $(VENV)/.test ## compare trainings, pages and tables with those of commit REF, bit for bit
	$(BIN)/python -m benchmarks.same $(REF)

map: $(VENV)/.dev ## count what the shape of the code is judged by
	$(BIN)/python -m benchmarks.house

bench: $(VENV)/.test ## measure speed as ratios within one run: benchmarks/results.json
	$(BIN)/python -m benchmarks

mutants: $(VENV)/.dev ## see which small faults of MODULES (files) no test sees
	$(BIN)/python -m benchmarks.mutants $(MODULES)

clean: ## remove the environment and caches, never runs/
	rm -rf $(VENV) .venv-newest test-times.txt .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: pyproject.toml | $(VENV)/bin/python
	@$(install) '.[train]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@$(install) '.[test]'
	@touch $(VENV)/.train $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@$(install) '.[dev]'
	@touch $(VENV)/.train $(VENV)/.test $@
