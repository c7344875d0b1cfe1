# make run     the whole job, from a fresh machine to the comparison
# make test    everything the tests need, then all of them
# make help    all targets

PYTHON ?= python3
DRIVER = ./crossquant
EXPERIMENT ?= resnet8-cifar10
# No index address in a lock: it must install from any mirror.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
TORCH_FROM = --find-links wheels --extra-index-url https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help setup images run list report fetch data doctor check format test test-long unit docker-host lock sample train clean

help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup:  ## what the driver needs, in .venv
	@PYTHON=$(PYTHON) driver/setup

images: setup  ## build the images, where a Docker daemon answers
	@if docker info >/dev/null 2>&1; then $(DRIVER) build; fi

run: images  ## fetch, convert, quantize, measure, compare
	@$(DRIVER) run --experiment $(EXPERIMENT)

list report fetch: setup  ## the driver's commands
	@$(DRIVER) $@ --experiment $(EXPERIMENT)

data: setup  ## all of CIFAR-10, where a source answers; tests that need it are skipped elsewhere
	@$(DRIVER) fetch || echo "no CIFAR-10 here: the tests that need all of it will be skipped"

doctor: setup  ## what this host has and lacks
	@$(DRIVER) doctor

check: setup  ## format, lint, types, imports between packages, paths of one machine
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.ci/types
	.venv/bin/lint-imports
	.ci/stray-paths

format: setup  ## rewrite the code as `check` wants it
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

test: check images data  ## check, then unit, contract and end-to-end tests
	tests/all

test-long: check images data  ## the tests that take longer than CI has for them
	.venv/bin/python -m pytest -m long

unit: setup  ## the tests that need neither Docker nor a framework
	.venv/bin/python -m pytest -n auto --dist loadfile tests/unit tests/contract

docker-host:  ## install and start Docker Engine and Compose v2 on this Debian host
	.ci/docker-host

lock: setup  ## write the hashed locks anew from the requirements.in files
	$(COMPILE) driver/requirements.in -o driver/requirements.lock
	$(COMPILE) driver/requirements-dev.in -o driver/requirements-dev.lock
	for image in $(dir $(wildcard images/*/requirements.in)); do \
		more=; [ ! -f $${image}requirements.overrides ] || more="--override $${image}requirements.overrides $(TORCH_FROM)"; \
		$(COMPILE) $$more $${image}requirements.in -o $${image}requirements.lock || exit; \
	done

sample: setup  ## make the embedded sample anew from the full data set
	.venv/bin/python -m driver.inputs.embedded_sample

train: images  ## train the default model anew (an hour on two cores)
	@$(DRIVER) run trained

clean:  ## remove what was made, except downloads
	rm -rf .venv .venvs .logs .mypy_cache .pytest_cache .ruff_cache
