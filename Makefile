# The four scripts of the project, the same here and in CI. Needs Python >= 3.11, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1

.PHONY: install quickstart check test gpu-check picture docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[data,export,notebook,test,dev]"
	touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/harness launch searchspaces/quickstart.yaml

check: $(STAMP)
	$(BIN)/ruff format --check harness tests benchmarks
	$(BIN)/ruff check harness tests benchmarks
	$(BIN)/mypy

test: $(STAMP)
	$(BIN)/python -m pytest -q

gpu-check:  # no install: the machine's own torch
	$(PYTHON) benchmarks/gpu.py -o gpu-check.json

picture: $(STAMP)  # the README's, from results/example
	$(BIN)/python docs/picture.py

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache results/trials results/epochs \
	  results/studies results/models results/readings results/trackers results/checkpoints results/artifacts \
	  results/reports results/quarantine
