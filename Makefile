# Tidemark. `make` alone explains itself.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo demo-real demo-approaches test test-kafka lint types check fmt bench bench-marts lock clean

BIN := .venv/bin
RUN := .venv/.requirements
DEV := .venv/.requirements-dev
PYTEST := $(BIN)/python -m pytest $(if $(SEED),--seed $(SEED))

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN)  ## the whole job on a seeded shop: embedded broker, worker, tables, verify (1-2 minutes)
	@$(BIN)/tidemark demo

demo-real: $(RUN)  ## the same job on real purchases: the CDNOW sample
	@$(BIN)/tidemark demo --real

demo-approaches: $(DEV)  ## three known ways of daily aggregation beside ours: bytes, dollars, wrong days (about a minute); draws build/approaches.svg
	@$(BIN)/tidemark compare-approaches --output build/approaches.svg

test: $(DEV)  ## all tests that need nothing outside this process (5 to 10 minutes; SEED=n repeats a run)
	@$(PYTEST) -n auto --maxprocesses 4 --dist worksteal

test-kafka: $(DEV)  ## tests on a real Kafka and registry: TIDEMARK_TEST_KAFKA, Docker, or jars (Java 17, Maven)
	@$(PYTEST) -m kafka

comma := ,
# The malloc of the container image, where this machine has it (Debian: libjemalloc2).
FASTER = $(if $(shell ldconfig -p 2>/dev/null | grep libjemalloc.so.2),LD_PRELOAD=libjemalloc.so.2 \
	MALLOC_CONF=narenas:1$(comma)dirty_decay_ms:500$(comma)muzzy_decay_ms:0$(comma)background_thread:true)

bench: $(DEV)  ## messages per second of the whole path, and of each stage, on a real Kafka (ARGS="--help" tells more)
	@$(FASTER) $(BIN)/python -m tests.bench $(ARGS)

bench-marts: $(DEV)  ## seconds and memory of refreshing all marts: in full, after 1 % of the customers changed, a day later (ARGS="--help" tells more)
	@$(FASTER) $(BIN)/python -m tests.bench.marts $(ARGS)

check: lint types test  ## what must pass before a commit

lint: $(DEV)  ## ruff: rules and format
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check .

types: $(DEV)  ## mypy, strict
	@$(BIN)/mypy

fmt: $(DEV)  ## put the code in order
	@$(BIN)/ruff check --output-format concise --fix .
	@$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-header $(if $(UPGRADE),--upgrade)

lock: $(DEV)  ## write the lock files after pyproject.toml changed; UPGRADE=1: with the newest versions
	@$(BIN)/python -m pip install --quiet uv
	@$(LOCK) pyproject.toml --group build --group dev --output-file requirements-dev.lock
	@$(LOCK) pyproject.toml --constraints requirements-dev.lock --output-file requirements.lock
	@$(LOCK) --group build --constraints requirements-dev.lock --output-file requirements-build.lock

clean:  ## remove what was made here: .venv, build/, caches
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements.lock requirements-build.lock pyproject.toml .ci/venv
	@.ci/venv requirements.lock

$(DEV): requirements-dev.lock requirements-build.lock pyproject.toml .ci/venv
	@.ci/venv requirements-dev.lock
