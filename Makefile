# One word per chore, the same for people and for .ci/run. Needs Python >= 3.11 with pip, and make; nothing else.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help chat test check setup

help:  ## list these words
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## (.*)/make \1	\2/' | expand -t 14

chat: setup  ## open the chat in the browser: type, and watch the memory fill
	@$(RUN) -m ui

test: setup  ## run the tests (under a minute, no download)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist worksteal

check: setup  ## run the linter and the type checker
	$(RUN) -m ruff check memagent ui evals tests
	$(RUN) -m mypy

setup: $(STAMP)  ## make .venv and install into it; does nothing when nothing changed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memagent needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another one: make PYTHON=/path/to/python3.12")'
	@echo "Installing into $(VENV): some minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,evals]'
	@touch $@
