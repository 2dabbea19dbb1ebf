# make demo    read a first face: needs Python 3.11 or newer, nothing else
# make test    everything that must hold: style, types, layers, tests
#
# Each sets up what it needs in .venv. Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
# One thread a test process: several of them at once would fight for the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8

.DEFAULT_GOAL := help
.PHONY: help demo install test test-slow lint format bench tables docs-images clean

help:
	@echo "make install      what development needs, into .venv"
	@echo "make demo         read the portrait that ships inside scikit-image"
	@echo "make test         style, types, layers and the fast tests"
	@echo "make test-slow    the tests that take longer"
	@echo "make lint         style, types and layers alone"
	@echo "make format       mend the style"
	@echo "make bench        measure speed and memory, and write docs/benchmarks.md"
	@echo "make tables       write the generated tables of README.md and docs/"
	@echo "make docs-images  draw the pictures of README.md anew"
	@echo "make clean        remove what the other targets made, .venv too"

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: lint
	$(PYTEST) -m "not slow"

install: $(VENV)/.dev

test-slow: install
	$(PYTEST) -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python benchmarks/crops.py
	$(BIN)/python benchmarks/cold.py
	$(BIN)/python benchmarks/folder.py
	$(BIN)/python benchmarks/train_speed.py
	$(MAKE) tables

tables: install
	$(BIN)/python benchmarks/tables.py

docs-images: demo install
	cp .demo/portrait-mien.jpg docs/images/portrait.jpg
	$(BIN)/python examples/covers.py docs/images/regions.png
	$(BIN)/mien features tiny .demo/portrait.png --layer 2 --layer 8 --layer 15 --layer 21 --maps 8 --out .demo/features
	cp .demo/features/features.png docs/images/features.png

clean:
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mien needs Python 3.11 or newer: make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot make environments: apt-get install python3-venv" >&2; exit 1; }

# Stamps: made again when what they install has changed.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing mien for the demo into $(VENV)"
	@$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing mien for development into $(VENV); it takes some minutes"
	@$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.demo
