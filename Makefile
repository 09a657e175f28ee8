# Every target sets up what it needs; see tools/setup.sh.
SHELL := /bin/bash
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# The files with tests that run alone: looking into all others would take as long as some of them.
ALONE = $(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests)
# Every process of a test reads the same modules: they are compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-docker test-fast check bench bench-peers bench-llm soak proto lock setup clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Set up, start a mesh, transcribe examples/talk.mp4, speak a reply
	@tools/setup.sh demo
	@$(PYTHON) examples/demo.py

test: setup ## Set up and run the tests: two at a time, then those that measure time, then those with real containers
	@failed=0; \
	$(PYTEST) -m "not soak and not docker and not alone" -n 2 --dist loadfile --no-loadscope-reorder --durations 25 || failed=1; \
	$(PYTEST) -m "alone and not soak" --durations 25 $(ALONE) || failed=1; \
	$(PYTEST) -m "docker and not soak" --durations 25 || failed=1; \
	exit $$failed

test-docker: setup ## The tests with real containers, one after another
	$(PYTEST) -m "docker and not soak"

test-fast: setup ## The tests that take seconds
	$(PYTEST) -q -m "not soak and not slow"

check: setup ## Lint, types, contract, generated code, floors, docs links
	tools/check.sh

bench: setup ## Measure direct calls against the gateway and a plain grpc.aio forwarder
	$(PYTHON) -m bench

bench-peers: setup ## The same against nginx, HAProxy and Envoy, too; writes docs/benchmarks.md and its charts
	@tools/bench_peers.sh
	$(PYTHON) -m bench --proxies all --large --rounds 9 --save docs/charts/bench.json --page
	.cache/bench-charts/bin/python -m bench.charts docs/charts/bench.json

bench-llm: setup ## Language models against direct HTTP and LiteLLM's proxy; writes docs/benchmarks.md
	@tools/bench_llm.sh
	$(PYTHON) -m bench.llm --save docs/charts/bench-llm.json --page

soak: setup ## The long counts: faults, 2 GiB files, fuzzing
	$(PYTEST) -m soak --timeout 3600

proto: ## Write the stubs in automarket/v1 anew from proto/
	tools/proto.sh

lock: ## Write the lock files in requirements/ anew
	tools/lock.sh --upgrade

setup: ## Set up .venv and the programs that the tests need
	@tools/setup.sh test

clean: ## Remove what the targets made
	rm -rf .venv .cache build dist *.egg-info .pytest_cache .ruff_cache .hypothesis tests/clients/node/node_modules reply.wav
