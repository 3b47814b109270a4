# Every target but gpu and browser makes the environment first where it is missing. Python 3.11 with pip and make are enough.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: demo pong test test-slow faults gpu gpu-dry lint browser

.venv/run: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.lock
	touch $@

.venv/test: .venv/run requirements-test.lock
	$(BIN)/pip install --quiet -r requirements-test.lock
	touch $@

# From nothing to a picture.
demo: .venv/run
	$(BIN)/python -m tools.demo

# Acting and learning at once, a core each; the policy that acts is always one rollout old, so that a run repeats.
pong: .venv/run
	$(BIN)/python run_atari.py train --config configs/pong.yaml --mode async --exact_lag 1 --num_threads 1 --env.num_threads 1

test: lint
	$(PYTEST) -m "not slow" --durations=10

test-slow: .venv/test
	$(PYTEST) -m "slow and not faults"

faults: .venv/test
	rm -f build/reliability.json && mkdir -p build
	FAULTS_REPORT=build/reliability.json $(BIN)/python -m pytest -m faults
	cp build/reliability.json benchmarks/results/

# On a machine with CUDA, with whatever Python has the dependencies: `make gpu GPU_PYTHON=python3`.
GPU_PYTHON ?= $(BIN)/python
GPU_SECONDS ?= 300
GPU_STEPS ?=
GPU_OUT ?= build/gpu
gpu:
	$(GPU_PYTHON) tools/gpu_run.py --out $(GPU_OUT) --seconds $(GPU_SECONDS) --steps "$(GPU_STEPS)"

# Every step of it on a CPU, at tiny size.
gpu-dry: .venv/test
	rm -rf build/gpu-dry
	$(GPU_PYTHON) tools/gpu_run.py --dry --out build/gpu-dry --seconds 900 --steps "$(GPU_STEPS)"

# What the slow test of the report opens its page with; Debian only, and only as root.
browser:
	command -v chromium || { apt-get update && apt-get install -y --no-install-recommends chromium; }

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
