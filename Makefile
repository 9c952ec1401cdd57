# Two commands: `make run` sets up and starts the demo on this box, `make test` sets up and checks
# everything. Set-up is scripts/setup.sh; it does nothing when there is nothing to do.

BIN := .venv/bin

# Python 3.11 does not start in an environment whose path has other letters than these locales know.
ifneq ($(filter C POSIX,$(LC_ALL)),)
export LC_ALL := C.UTF-8
endif

SECONDS ?= 300
TIMES ?= 10
MINUTES ?= 10

.PHONY: run test check setup toolchains docs pictures tour fuzz faults soak bench clean

run: setup
	@if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then exec $(BIN)/boxscope demo; \
	else exec $(BIN)/boxscope demo --headless --for 10; fi

test: setup toolchains check
	@scripts/test.sh

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

setup:
	@scripts/setup.sh

# What only the tests of Go plugins need: two Go versions from PyPI, and a C compiler.
toolchains: setup
	@scripts/toolchains.sh

# docs/reference/, from what is declared; a test fails when it is stale.
docs: setup
	$(BIN)/python scripts/docs.py

pictures: setup
	$(BIN)/python scripts/pictures.py
	$(BIN)/python scripts/tour.py --pictures

# Does what docs/tour.md says, and sees what it promises; as root.
tour: setup
	$(BIN)/python scripts/tour.py

# Examples made at random for everything that reads what comes from outside, SECONDS in all.
fuzz: setup
	$(BIN)/pytest tests/unit -q -m fuzz --fuzz-seconds $(SECONDS)

# What must not bring it down, TIMES as often as in make test.
faults: setup
	$(BIN)/pytest tests -q -m fault --faults $(TIMES)

# The demo recorded with everything subscribed, MINUTES long; draws soak.svg.
soak: setup
	$(BIN)/python -m tests.perf.soak --minutes $(MINUTES)

# Figures, not checks: ratios of runs made side by side, and one table of them in docs/costs.md.
bench: setup
	$(BIN)/python -m tests.perf.bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
