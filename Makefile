# The front door. Every target makes its own .venv first, from the exact pins of constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
JOBS   ?= 2
PYTEST := $(BIN)/python -m pytest -q -rs -n $(JOBS) --dist loadfile
SCALE  ?= demo
# One thread a process: two processes share two cores, and torch would start as many threads as it sees cores.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help book pages test test-portable lint lab check notebooks headline sweep bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
	  { echo "compress3d needs Python 3.11 or later, found: $$($(PYTHON) --version). What to do: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV): a minute or two and 1.6 GB (the packages of constraints.txt)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[book,test,data,codec,nerf]'
	@touch $@
	@echo "ready; to use the command itself: . $(VENV)/bin/activate, then compress3d --help"

book: $(VENV)/.installed  ## execute every notebook and build the HTML; prints where index.html lies
	$(THREADS) $(BIN)/python -m tools.book_build --jobs $(JOBS)

pages: $(VENV)/.installed  ## build the HTML with the outputs that git keeps (seconds)
	$(BIN)/python -m tools.book_build --no-execute

test: $(VENV)/.installed  ## unit tests, examples of docstrings, nbval over the notebooks, and the browser test
	$(THREADS) $(PYTEST) --doctest-modules src tests book \
	  --nbval --nbval-current-env --nbval-cell-timeout 600 --nbval-sanitize-with tests/notebooks/sanitize.cfg

# What a processor can do is named by variables, so one machine stands for others: SSE4.1 (default), or AVX2 alone.
# Without those that kill, resume and start processes: they take minutes, and no last digit decides them.
CPU      ?= default
ISA      := $(if $(filter avx2,$(CPU)),AVX2,SSE41)
COMPUTES := $(addprefix tests/,layers joint r2n2 baselines metrics codecs engine nerf)
NOT      := $(addprefix --ignore=tests/engine/test_,sweep.py distributed.py)
test-portable: $(VENV)/.installed  ## what computes, as on a processor without AVX; CPU=avx2: without AVX-512
	ATEN_CPU_CAPABILITY=$(CPU) ONEDNN_MAX_CPU_ISA=$(ISA) $(THREADS) $(PYTEST) $(COMPUTES) $(NOT)

lint: $(VENV)/.installed  ## ruff over code and notebooks, and the types of the package
	@$(PIP) -e '.[lint]'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

lab: $(VENV)/.installed  ## the pages in JupyterLab
	@$(PIP) -e '.[lab]'
	$(BIN)/jupyter lab --notebook-dir book

check: $(VENV)/.installed  ## open every page of the built book in Chromium; follow its links, weigh its pages
	$(BIN)/python -m pytest -q -rs tests/book

notebooks: $(VENV)/.installed  ## execute the notebooks and keep their outputs in book/ (what git stores)
	$(THREADS) $(BIN)/python -m tools.notebooks write --jobs $(JOBS)

headline: $(VENV)/.installed  ## the README's picture and table again from results/
	$(BIN)/python -m tools.headline

sweep: $(VENV)/.installed  ## train and evaluate every run that has no results yet (SCALE=demo); goes on after a kill
	$(BIN)/compress3d sweep --scale $(SCALE) --jobs $(JOBS)

bench: $(VENV)/.installed  ## time what is slow, each against a naive reference
	$(BIN)/python -m benchmarks.run

clean:  ## remove what was built (stores in _cache/ and checkpoints in _runs/ stay)
	rm -rf _build build $(VENV) .pytest_cache .ruff_cache .mypy_cache
