# Two commands are enough: `make run` runs the sample, `make test` proves the project. Both set themselves up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# One stamp per kind of set-up, newer than what it was made from: a repeat run has nothing to do.
RUN_READY := $(VENV)/.ready-run
TEST_READY := $(VENV)/.ready-test
LINT_READY := $(VENV)/.ready-lint
PROTOS_READY := $(VENV)/.ready-protos

# No worker that dies is replaced: pytest-xdist 3.8 may then wait for ever (its issue 1378); so the run fails, and ends.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.PHONY: help run test check lint bench balance registry hosts outages nightly mutants soak screenshots protos clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_READY)  ## Run the sample cluster until Ctrl+C
	@exec $(BIN)/quaestor cluster -c conf

# Hypothesis draws the same examples every time only where sets have the same order every time.
test: $(TEST_READY)  ## Run all tests
	PYTHONHASHSEED=0 $(PYTEST)

check: lint test  ## Lint, types, import rules, stubs, tests

lint: $(LINT_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(RUN_READY)  ## Compare with other supervisors (about 20 minutes, best as root)
	$(BIN)/python benchmarks/supervisors.py

balance: $(RUN_READY)  ## Measure the balancer: its speed, and how well it spreads load (about 100 minutes)
	$(BIN)/python benchmarks/discover.py
	$(BIN)/python benchmarks/balance.py

registry: $(TEST_READY)  ## Measure the registry with up to 10,000 locations (about 6 minutes)
	$(BIN)/python benchmarks/registry.py

hosts: $(TEST_READY)  ## Let three hosts lose each other in every way, ten times each, as root (about 25 minutes)
	PYTHONPATH=tests $(BIN)/python benchmarks/hosts.py

outages: $(TEST_READY)  ## Let etcd go away in every way, ten times each (about 25 minutes)
	QUAESTOR_OUTAGE_ROUNDS=10 QUAESTOR_OUTAGE_SECONDS=60 $(BIN)/python -m pytest -q tests/cluster/test_outages.py

nightly: $(TEST_READY)  ## Run the models and fuzzers at random, with twenty times as many examples (hours)
	QUAESTOR_PROFILE=nightly $(PYTEST) --timeout 14400 \
	  tests/core tests/model tests/actors tests/config tests/fuzz tests/system tests/failure

soak: $(TEST_READY)  ## Hurt a cluster for an hour; memory and descriptors must not grow
	$(BIN)/quaestor chaos --minutes 60 --report soak.json

mutants: $(TEST_READY)  ## Plant faults into copies of the package, and see that tests notice (FAULTS= chooses; about 40 minutes)
	PYTHONPATH=tests $(BIN)/python -P -m mutants.run '$(FAULTS)'

screenshots: $(RUN_READY)  ## Take the pictures of the documentation anew
	$(BIN)/python docs/screenshots/take.py

$(RUN_READY): pyproject.toml setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else \
	  "quaestor needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	touch $@

$(TEST_READY): $(RUN_READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group test
	touch $@

$(LINT_READY): $(TEST_READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group lint
	touch $@

PROTOS := $(notdir $(wildcard protos/*.proto))
PROTO_VENV := $(VENV)/protos

# The generator has a virtual environment of its own, because its protobuf is older than the one that is tested with.
$(PROTOS_READY): $(RUN_READY)
	$(PYTHON) -m venv $(PROTO_VENV)
	$(PROTO_VENV)/bin/python -m pip install -qq --disable-pip-version-check 'pip>=25.1'
	$(PROTO_VENV)/bin/python -m pip install -qq --disable-pip-version-check --group protos
	touch $@

protos: $(PROTOS_READY)  ## Generate the gRPC stubs anew
	PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" $(PROTO_VENV)/bin/python -m grpc_tools.protoc \
	  -I quaestor_actors/rpc=protos --python_out=$(OUT) --grpc_python_out=$(OUT) --mypy_out=quiet:$(OUT) \
	  --mypy_grpc_out=quiet:$(OUT) $(addprefix quaestor_actors/rpc/,$(PROTOS))

# Where `make protos` writes; the test of the stubs has it write elsewhere and compares.
OUT ?= .

clean:  ## Remove everything that was made here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
