# make demo   three simulated robots, one policy, from nothing (environment, demonstrations, training, evaluation);
#             ROBOTS="sawyer fetch" chooses some of them, CAMERAS=1 trains from pixels
# make test   lint, types and tests
# make env    the environment alone, in .venv
.PHONY: demo env test lint test-slow bench study clean

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
export HF_HUB_OFFLINE := 1

demo: $(READY)
	$(PYTHON) -m examples.three_robots $(if $(ROBOTS),--robots $(ROBOTS)) $(if $(CAMERAS),--cameras) $(DEMO_ARGS)

env: $(READY)

test: $(READY) lint
	$(PYTHON) -m pytest -m "not slow"

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test-slow: $(READY)
	$(PYTHON) -m pytest -m slow -n 0

bench: $(READY)
	$(PYTHON) -m benchmarks.reading
	$(PYTHON) -m benchmarks.samples
	$(PYTHON) -m benchmarks.robomimic
	$(PYTHON) -m benchmarks.statistics
	$(PYTHON) -m benchmarks.verify
	$(PYTHON) -m benchmarks.report
	$(PYTHON) -m benchmarks.merge
	$(PYTHON) -m benchmarks.edit
	$(PYTHON) -m benchmarks.materialize
	$(PYTHON) -m benchmarks.workers
	$(PYTHON) -m benchmarks.scale
	$(PYTHON) -m benchmarks.remote

# What shared statistics cost where units differ: six trainings, about a quarter of an hour.
study: $(READY)
	$(PYTHON) -m benchmarks.normalization

# The environment is made again when what it must hold changes. A half-made one is not taken for whole.
$(READY): pyproject.toml constraints.txt
	@python3 -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 12) else \
	  f"robomix needs Python 3.12, and python3 here is {v[0]}.{v[1]}. With pyenv: pyenv install 3.12; the file .python-version then selects it.")'
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,sim,dev]'
	touch $@

clean:
	rm -rf $(VENV) outputs
