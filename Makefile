# make demo   learn real digits without labels, and see whether it helped
# make test   run the whole suite
# make check  lint, format, types
#
# Each makes .venv if there is none and installs what it needs. PYTHON=python3.12 chooses another
# Python; it must be 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check clean help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 7

# The installation is editable, so that a change of the Python source shows at once; a stamp a set
# of extras, renewed when what decides the build changes.
BUILD := setup.py pyproject.toml $(wildcard kernels/*.pyx kernels/*.h kernels/*.c)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "minienc needs Python 3.11 or newer; this is $$($(PYTHON) --version). Choose one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }

$(VENV)/installed: $(BIN)/python $(BUILD)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/installed-%: $(BIN)/python $(BUILD)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed
	$(BIN)/minienc pretrain

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

check: $(VENV)/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if ls kernels/*.pyx >/dev/null 2>&1; then $(BIN)/cython-lint kernels/*.pyx; fi

clean:
	rm -rf $(VENV) build dist *.egg-info
