# Two commands do everything on a machine with Python 3.11 and make: `make reproduce` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PEERS := .peers/installed

.DEFAULT_GOAL := help
.PHONY: help install reproduce test chapters site bench peers mutants lint clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## a virtual environment in .venv with everything in it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=/path/to/it")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

reproduce: $(INSTALLED)  ## the main job: draw the figures, inspect a synthetic data set, train a small detector on it
	$(BIN)/python -m figures

test: $(INSTALLED)  ## the main job with a short training, then every test
	$(BIN)/python -m figures --steps 40 --images 40 --out runs/short
	$(BIN)/python -m pytest -n auto

chapters: $(INSTALLED)  ## run the chapters of the book and keep their outputs
	$(BIN)/python chapters/execute.py

site: $(INSTALLED)  ## the book as a web site that needs no network, in runs/site
	$(BIN)/python -m chapters.site.build

bench: $(INSTALLED)  ## time the operations beside the peers that are installed
	$(if $(wildcard $(PEERS)),.peers/bin,$(BIN))/python -m tests.benchmarks

peers: $(PEERS)  ## another environment in .peers, with the libraries that `make bench` then compares with

$(PEERS): pyproject.toml tests/benchmarks/peers.txt
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --requirement tests/benchmarks/peers.txt --editable .
	touch $@

mutants: $(INSTALLED)  ## plant small faults in the operations and see whether the tests find them
	$(BIN)/python -m tests.mutants

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the environment and everything that was made
	rm -rf .venv .peers runs .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
