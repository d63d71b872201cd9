# Likeness. `make run` and `make test` do everything on a fresh machine.

PYTHON ?= python3.11
STYLES ?=
COUNT  ?= 100
SEED   ?= 7
DEVICE ?= cuda

.PHONY: run test setup setup-dev check headshots gpu-check bench lint format clean

run: setup            ## set up, then start on http://127.0.0.1:7860
	.venv/bin/python app.py

setup:                ## the environment and the face models, nothing more
	@tools/setup.sh "$(PYTHON)"

setup-dev:
	@tools/setup.sh "$(PYTHON)" dev

test: setup-dev lint  ## set up, then format, lint, types and every test, two files at a time
	.venv/bin/python -m pytest -n 2 --dist loadfile

lint:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

headshots: setup      ## PHOTOS=dir OUT=dir [STYLES=a,b] [COUNT=100] [SEED=7] [JSON=file]
	@test -n "$(PHOTOS)" -a -n "$(OUT)" || { \
	  echo "Usage: make headshots PHOTOS=folder OUT=folder [STYLES=a,b] [COUNT=100] [SEED=7]" >&2; exit 2; }
	@.venv/bin/python -m pipeline "$(PHOTOS)" --out "$(OUT)" --styles "$(STYLES)" \
	  --count "$(COUNT)" --seed "$(SEED)" $(if $(JSON),--json "$(JSON)")

gpu-check: setup      ## KEY=sdxl PHOTOS=dir [COUNT=100] [DEVICE=cuda]: a job, planned and measured
	@test -n "$(KEY)" -a -n "$(PHOTOS)" || { \
	  echo "Usage: make gpu-check KEY=base PHOTOS=folder [COUNT=100]" >&2; exit 2; }
	@.venv/bin/python -m tools.gpu_check "$(KEY)" "$(PHOTOS)" --count "$(COUNT)" --device "$(DEVICE)"

bench: setup-dev      ## [ONLY=name]: side-by-side measurements
	.venv/bin/python -m benchmarks $(if $(ONLY),--only "$(ONLY)")

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
