# make run     the whole job, from a fresh machine to the comparison
# make test    everything the tests need, then all tests
# make help    all targets

PYTHON ?= python3
DRIVER = ./crossquant
EXPERIMENT ?= resnet8-cifar10
# A lock has no address of an index: it must install from any mirror.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
TORCH_FROM = --find-links wheels --extra-index-url https://download.pytorch.org/whl/cpu
# Unit tests write thousands of small files: in memory, on a host that has such a file system.
IN_MEMORY = $(wildcard /dev/shm)

.DEFAULT_GOAL := help
.PHONY: help setup images run list report fetch data doctor check format test test-long unit docker-host lock sample train clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## make .venv, with what the driver and the tests need
	@PYTHON=$(PYTHON) driver/setup

images: setup  ## build the images, if a Docker daemon answers
	@if docker info >/dev/null 2>&1; then $(DRIVER) build; fi

run: images  ## fetch, convert, quantize, measure, compare
	@$(DRIVER) run --experiment $(EXPERIMENT)

list report fetch: setup  ## the driver's commands
	@$(DRIVER) $@ --experiment $(EXPERIMENT)

data: setup  ## get all of CIFAR-10, if a source answers; tests that need it are skipped without
	@$(DRIVER) fetch || echo "no CIFAR-10 here: the tests that need all of it will be skipped"

doctor: setup  ## what this host has and lacks
	@$(DRIVER) doctor

check: setup  ## check format, lint, types, imports between packages, stray paths
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.ci/types
	.venv/bin/lint-imports
	.ci/stray-paths

format: setup  ## format the code, and fix what ruff can fix
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

test: check images data  ## check, then unit, contract and end-to-end tests
	tests/all

test-long: check images data  ## the tests that take too long for CI
	.venv/bin/python -m pytest -m long

unit: setup  ## the tests that need neither Docker nor a framework
	PYTEST_DEBUG_TEMPROOT=$(IN_MEMORY) .venv/bin/python -m pytest -n auto --dist loadfile -m "not long and not slow" tests/unit
	.venv/bin/python -m pytest -n auto --dist loadfile tests/contract

docker-host:  ## install and start Docker Engine and Compose v2 on this Debian host
	.ci/docker-host

lock: setup  ## compile the hashed locks from the requirements.in files
	$(COMPILE) driver/requirements.in -o driver/requirements.lock
	$(COMPILE) driver/requirements-dev.in -o driver/requirements-dev.lock
	for image in $(dir $(wildcard images/*/requirements.in)); do \
		more=; [ ! -f $${image}requirements.overrides ] || more="--override $${image}requirements.overrides $(TORCH_FROM)"; \
		$(COMPILE) $$more $${image}requirements.in -o $${image}requirements.lock || exit; \
	done

sample: setup  ## make the embedded sample again from the full data set
	.venv/bin/python -m driver.inputs.embedded_sample

train: images  ## train the default model again (an hour on two cores)
	@$(DRIVER) run trained

clean:  ## remove environments, logs and caches; keep volumes/
	rm -rf .venv .venvs .logs .mypy_cache .pytest_cache .ruff_cache
