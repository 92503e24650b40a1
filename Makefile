# The contributor's whole manual. On Windows without make: see README.md.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tools that tests compare with and that may be missing on a user's machine. CI installs them; elsewhere a missing one is
# left out by name, and said so.
MISSING := $(foreach tool,hashdeep,$(if $(shell command -v $(tool) 2>/dev/null),,$(tool)))

# A copy of the tree, so that the sanitized extension never stands where the ordinary one belongs.
SANITIZE := build/sanitize
SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: demo test test-slow lint format docs bench sanitize clean

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

sanitize:                    ## run the tests with the native kernels under ASan and UBSan
	rm -rf $(SANITIZE)
	mkdir -p $(SANITIZE)/tree
	cp -r hashmatch native tests testvectors benchmarks pyproject.toml *.md Makefile $(SANITIZE)/tree/
	rm -f $(SANITIZE)/tree/hashmatch/_native.*.so
	$(PYTHON) -m venv $(SANITIZE)/venv
	HASHMATCH_BUILD_NATIVE=1 HASHMATCH_NATIVE_CFLAGS="$(SANITIZE_FLAGS) -O1 -g -fno-omit-frame-pointer" \
	    HASHMATCH_NATIVE_LDFLAGS="$(SANITIZE_FLAGS)" \
	    $(SANITIZE)/venv/bin/python -m pip --disable-pip-version-check --quiet install --editable "$(SANITIZE)/tree[test]"
	cd $(SANITIZE)/tree && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	    ASAN_OPTIONS=detect_leaks=0:handle_sigbus=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    HASHMATCH_TEST_WITHOUT="$(MISSING)" ../venv/bin/python -m pytest -n auto -m "not slow" $(SANITIZE_TESTS)

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
