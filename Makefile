# make run     the demo, as an ordinary user
# make test    everything the tests need, then lint and all tests (root or sudo for packages)
# make lint    style, types, import layers
# make bench   measurements
# make fuzz    bytes made up to break AMI, AGI and HTTP, for FUZZ_SECONDS each
# make install, make uninstall   on a PBX host, as root (PREFIX, DESTDIR): docs/operations.md
# make clean   remove what the above made, the cache of Asterisk too

SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Tests mostly wait for telephones to ring. Each process of theirs has servers of its own. Those that
# load the machine are one group (`xdist_group`), so that they never meet.
TEST_PROCESSES ?= 2
# Real telephones ring in real time, and a busy machine is late now and then: what fails is tried
# once more, and the summary names it. What fails twice has failed.
TEST_RERUNS ?= 1
FUZZ_SECONDS ?= 300

# Where everything can be had, a test that lacks something fails instead of being skipped.
ifneq ($(or $(filter true,$(CI)),$(filter 0,$(shell id -u))),)
REQUIRE_ALL := 1
endif

# The virtual environment of the program.
PREFIX ?= /opt/pbxapi

.PHONY: run test lint bench fuzz install uninstall clean

run: .venv/demo
	$(BIN)/pbxapi demo

# The Asterisks are built, which mostly waits for the mirror, while the environment is made and the
# style is checked. The daemon is started hundreds of times, so what is compiled is kept, even where
# the environment forbids it.
test:
	@sh tests/provision.sh
	@$(PYTHON) -m tests.services.trees & trees=$$!; \
	$(MAKE) --no-print-directory lint; lint=$$?; \
	wait $$trees; trees=$$?; \
	require=$(REQUIRE_ALL); \
	if [ $$lint -ne 0 ]; then exit $$lint; fi; \
	if [ $$trees -eq 3 ]; then \
		echo "The tests with a real Asterisk are skipped on this machine."; require=; \
	elif [ $$trees -ne 0 ]; then exit $$trees; fi; \
	rm -f .coverage .coverage.*; \
	PYTHONDONTWRITEBYTECODE= PBXAPI_TEST_REQUIRE_ALL=$$require $(BIN)/coverage run -m pytest \
		-n $(TEST_PROCESSES) --dist loadgroup --reruns $(TEST_RERUNS) -raR; status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$status

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/test
	$(BIN)/python -m tests.bench

fuzz: .venv/test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	for target in ami agi http; do $(BIN)/python -m tests.fuzz.$$target .cache/fuzz/$$target \
		-max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.cache/fuzz/ || exit 1; done

install uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' PYTHON='$(PYTHON)' sh systemd/install.sh $@

clean:
	rm -rf .venv .cache build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis

.venv/demo: setup.cfg pyproject.toml
	@sh tests/venv.sh '$(PYTHON)' demo
	@touch $@

.venv/test: setup.cfg pyproject.toml
	@sh tests/venv.sh '$(PYTHON)' demo,test,lint
	@touch $@ .venv/demo
