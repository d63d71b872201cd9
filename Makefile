# Likeness. `make run` and `make test` do everything on a fresh machine; `make help` lists the rest.

PYTHON ?= python3.11
STYLES ?=
COUNT  ?= 100
SEED   ?= 7
DEVICE ?= cuda
WAY    ?=

# Tests keep what they write in memory, where there is room: on a busy disk a sync takes seconds.
IN_RAM := $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null && \
            ! grep -q ' /dev/shm .*noexec' /proc/mounts && echo TMPDIR=/dev/shm)
PYTEST := $(IN_RAM) .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help run test test-cluster check setup setup-dev lint format headshots gpu-check bench clean

help:                 ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: setup            ## set up, then start on http://127.0.0.1:7860
	.venv/bin/python app.py

test: setup-dev lint  ## set up, then format, lint, types and every test, two files at a time
	$(PYTEST)

test-cluster: setup-dev ## jobs on a real Ray cluster in network namespaces; needs root and ip, installs Ray
	.venv/bin/pip install --require-hashes -r requirements-cluster.txt
	.venv/bin/python -m pytest tests/cluster

check: setup-dev lint ## before each commit, about two minutes: format, lint, types and the fast tests
	$(PYTEST) -m "not slow and not browser"

setup:                ## the environment and the face models, nothing more
	@tools/setup.sh "$(PYTHON)"

setup-dev:            ## and what tests need: linters, Chromium, nginx
	@tools/setup.sh "$(PYTHON)" dev

lint:                 ## format, lint and types, nothing changed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format:               ## put the format right, and what lint can put right
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

headshots: setup      ## PHOTOS=dir OUT=dir [WAY=photo|dressed|painted|both] [STYLES=a,b] [COUNT=100]: a job, no browser
	@test -n "$(PHOTOS)" -a -n "$(OUT)" || { \
	  echo "Usage: make headshots PHOTOS=folder OUT=folder [WAY=photo|dressed|painted|both] [STYLES=a,b]" \
	  "[COUNT=100] [SEED=7] [JSON=file]" >&2; exit 2; }
	@.venv/bin/python -m pipeline "$(PHOTOS)" --out "$(OUT)" --styles "$(STYLES)" \
	  --count "$(COUNT)" --seed "$(SEED)" $(if $(WAY),--way "$(WAY)") $(if $(JSON),--json "$(JSON)")

gpu-check: setup      ## KEY=sdxl PHOTOS=dir [COUNT=100] [DEVICE=cuda]: a job, planned and measured
	@test -n "$(KEY)" -a -n "$(PHOTOS)" || { \
	  echo "Usage: make gpu-check KEY=base PHOTOS=folder [COUNT=100]" >&2; exit 2; }
	@.venv/bin/python -m tools.gpu_check "$(KEY)" "$(PHOTOS)" --count "$(COUNT)" --device "$(DEVICE)"

bench: setup-dev      ## [ONLY=name]: side-by-side measurements
	.venv/bin/python -m benchmarks $(if $(ONLY),--only "$(ONLY)")

clean:                ## remove the environment and all caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
