# The contributor's whole manual. On Windows without make: see README.md.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tools that tests compare with and that may be missing on a user's machine. CI installs them; elsewhere a missing one is
# left out by name, and said so.
MISSING := $(foreach tool,hashdeep,$(if $(shell command -v $(tool) 2>/dev/null),,$(tool)))

.PHONY: demo test test-slow lint format docs bench clean

demo: $(VENV)/.demo          ## make benign images and a list, run the whole job, print the report
	$(BIN)/hashmatch demo

test: $(VENV)/.test          ## run all tests but the slow tier
	@for tool in $(MISSING); do echo "not installed, its tests are left out: $$tool (apt-get install $$tool)"; done
	HASHMATCH_TEST_WITHOUT="$(MISSING)" $(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(VENV)/.test     ## run the slow tier: sweeps and long fuzzing
	HASHMATCH_TEST_WITHOUT="$(MISSING)" $(BIN)/python -m pytest -n auto -m slow

lint: $(VENV)/.dev           ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev         ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test         ## write CLI.md from the program
	HASHMATCH_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/test_docs.py -k cli_reference

bench: $(VENV)/.test         ## run every benchmark and write its figures; see benchmarks/README.md
	$(BIN)/python benchmarks/run_all.py

clean:                       ## remove the virtual environment and all caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(PIP) install --editable .
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(PIP) install --editable ".[test]"
	touch $@ $(VENV)/.demo

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(PIP) install --editable ".[dev]"
	touch $@ $(VENV)/.test $(VENV)/.demo
