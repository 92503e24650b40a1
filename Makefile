# The contributor's whole manual. On Windows without make: see README.md.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# What the extension is built with, as setuptools chooses: $CC, or what there is.
COMPILER := $(firstword $(foreach cc,$(if $(filter default,$(origin CC)),,$(firstword $(CC))) gcc cc clang,$(shell command -v $(cc) 2>/dev/null)))
NATIVE   := $(if $(filter 0,$(HASHMATCH_BUILD_NATIVE)),0,$(if $(COMPILER),1,0))

# What tests need and a user's machine may lack. CI installs it; elsewhere what is missing is left out by name, and said so.
MISSING := $(foreach tool,hashdeep hfind fiwalk mke2fs mkfs.vfat mcopy sqlite3 strace git,$(if $(shell command -v $(tool) 2>/dev/null),,$(tool))) $(if $(filter 0,$(NATIVE)),native)
WITHOUT := $(strip $(MISSING) $(HASHMATCH_TEST_WITHOUT))
GET_hashdeep := apt-get install hashdeep
GET_hfind    := apt-get install sleuthkit
GET_fiwalk   := apt-get install sleuthkit
GET_mke2fs   := apt-get install e2fsprogs
GET_mkfs.vfat := apt-get install dosfstools
GET_mcopy    := apt-get install mtools
GET_sqlite3  := apt-get install sqlite3
GET_strace   := apt-get install strace
GET_git      := apt-get install git
GET_native   := a C compiler, and HASHMATCH_BUILD_NATIVE other than 0

# The extension is built again when any of these changes.
SOURCES := pyproject.toml $(wildcard native/*.c native/*.h native/*.py native/*.toml)

# Tests that reach the native kernels, for a run under the sanitizers that does not take long:
# make sanitize SANITIZE_TESTS='$(KERNEL_TESTS)' is `make sanitize-kernels`.
KERNEL_TESTS := $(addprefix tests/test_,code_index.py delimited_rows.py euclidean.py fuzz.py entry_rows.py kernels.py lookup.py native_pixels.py ring_sections.py rows_block.py rows_joined.py vics_text.py)

# A copy of the tree, so that the sanitized extension never stands where the ordinary one belongs.
SANITIZE := build/sanitize
SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: demo test test-slow lint format docs bench check-native check-neon check-instructions fuzz sanitize sanitize-kernels clean

demo: $(VENV)/.demo          ## make benign images and a list, run the whole job, print the report
	$(BIN)/hashmatch demo

test: $(VENV)/.test          ## run all tests but the slow tier
	@$(foreach tool,$(MISSING),echo "not here, its tests are left out: $(tool) ($(GET_$(tool)))";) :
	HASHMATCH_TEST_WITHOUT="$(WITHOUT)" $(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(VENV)/.test     ## run the slow tier: sweeps and long fuzzing
	HASHMATCH_TEST_WITHOUT="$(WITHOUT)" $(BIN)/python -m pytest -n auto -m slow

lint: $(VENV)/.dev           ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev         ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test         ## write CLI.md from the program, and the tables of READMEs from committed results
	HASHMATCH_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/test_docs.py -k "cli_reference or committed_results"

bench: $(VENV)/.test         ## run every benchmark and write its figures; see benchmarks/README.md
	$(BIN)/python benchmarks/run_all.py

CHECKS := $(wildcard tests/native/*_check.c)
# The published vectors, without the library: one file that links nothing of ours.
VECTORS := -std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror tests/native/vectors.c

check-native:                ## compare all native kernels of this machine with scalar code, and check the test vectors, without Python
	$(PYTHON) tests/native/build.py --cc "$(COMPILER)" build/native/check $(CHECKS)
	build/native/check
	$(COMPILER) $(VECTORS) -o build/native/vectors -lm
	build/native/vectors testvectors

# Linked statically, so that the emulator needs no libraries of the other machine.
CROSS := aarch64-linux-gnu-gcc
QEMU  := qemu-aarch64

check-neon:                  ## the same for aarch64, under an emulator
	@if command -v $(CROSS) >/dev/null && command -v $(QEMU) >/dev/null; then \
	    set -ex; $(PYTHON) tests/native/build.py --cc $(CROSS) --machine aarch64 --flags=-static build/neon/check $(CHECKS); \
	    $(QEMU) build/neon/check; \
	    $(CROSS) -static $(VECTORS) -o build/neon/vectors -lm; \
	    $(QEMU) build/neon/vectors testvectors; \
	elif echo " $(WITHOUT) " | grep -q " neon "; then \
	    echo "left out: the NEON kernels are not checked ($(CROSS) or $(QEMU) is not here)"; \
	else \
	    echo "$(CROSS) or $(QEMU) is not here: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user," >&2; \
	    echo "or leave the NEON kernels out by name: HASHMATCH_TEST_WITHOUT=neon" >&2; exit 1; \
	fi

# Exit code 3: there is nothing that was built by this compiler to compare with. The script says so; it is no fault of the tree.
check-instructions:          ## compare how many instructions kernels take with benchmarks/instructions.json
	@if command -v valgrind >/dev/null; then \
	    $(PYTHON) benchmarks/instructions.py --check --cc "$(COMPILER)" || { status=$$?; [ $$status = 3 ] || exit $$status; }; \
	elif echo " $(WITHOUT) " | grep -q " valgrind "; then \
	    echo "left out: instructions of the kernels are not counted (valgrind is not here)"; \
	else \
	    echo "valgrind is not here: apt-get install valgrind, or leave it out by name: HASHMATCH_TEST_WITHOUT=valgrind" >&2; exit 1; \
	fi

FUZZ_SECONDS ?= 20

fuzz: $(VENV)/.test          ## fuzz every function that reads a file's bytes, FUZZ_SECONDS each; see tests/fuzz/README.md
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

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
	    HASHMATCH_TEST_WITHOUT="$(WITHOUT)" ../venv/bin/python -m pytest -n auto -m "not slow" $(SANITIZE_TESTS)

sanitize-kernels:            ## the same for the tests that reach the native kernels
	$(MAKE) sanitize SANITIZE_TESTS="$(KERNEL_TESTS)"

clean:                       ## remove the virtual environment and all caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	$(PIP) install --editable .
	touch $@

# For tests a compiler that fails is a failure; where there is none, the tests say what they leave out.
$(VENV)/.test: $(BIN)/python $(SOURCES)
	HASHMATCH_BUILD_NATIVE=$(NATIVE) $(PIP) install --editable ".[test]"
	touch $@ $(VENV)/.demo

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	HASHMATCH_BUILD_NATIVE=$(NATIVE) $(PIP) install --editable ".[dev]"
	touch $@ $(VENV)/.test $(VENV)/.demo
