# make demo    learn real digits without labels, and see whether it helped
# make test    run the whole suite, on up to four processors; make test ARGS="-k dense -x" hands
#              arguments to pytest instead, which uses one: -n 2 for two
# make check   lint, format, types
# make check-page    types and format of the player's JavaScript (needs npx)
# make test-browser  the pages in a browser (needs Chromium)
# make docs    the site, in docs/_build/html: every tutorial that has changed is run (FRESH=1: all)
# make test-site  its links, names and tables; where it is built, make test-browser opens it, too
# make tutorials  every tutorial as a plain script, with its seconds and pictures
# make notebooks  the tutorials as notebooks, run, in build/notebooks
# make lite    notebooks for a web server, Python within the page (needs a network; see docs/start.md)
# make proofs  every line of every backward judged, every mistake planted; with JAX, all on its arrays: half an hour
# make fuzz    damaged files for everything that reads; make fuzz ARGS="npz csv --seconds 60"
# make sanitize  the kernel's tests under AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
# make clean   remove what these made: .venv and the built files; never a run in runs/
#
# The first use makes .venv and installs what is needed. It takes python3; another one, 3.11 or
# newer, is chosen by: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help demo test test-browser docs test-site tutorials notebooks lite proofs check check-page fuzz sanitize clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# The tree is installed in editable mode: a student's change of a .py counts at the next run. What
# Python cannot pick up by itself, a changed kernel or other requirements, is built and installed
# anew: each set of extras leaves a stamp in .venv, which is older than these files then.
BUILD := setup.py pyproject.toml $(wildcard kernels/*.pyx kernels/*.pxi kernels/*.h kernels/*.c)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

# Without its python (the one that it was made from may be gone), whatever .venv holds is of no use:
# so --clear. And the stamps go before make looks at them.
$(shell test -x $(BIN)/python || rm -f $(VENV)/installed*)
$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "minienc needs Python 3.11 or newer, and there is no $(PYTHON) here"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "minienc needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1);" \
	         "choose another one: make PYTHON=python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) comes without venv or ensurepip;" \
	         "on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)

# The making of a .venv may have been cut off before pip was in, or another tool has made it. And a
# kernel that does not compile any more must not leave its old self behind.
define PREPARE
@$(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip
@rm -f minienc/_kernels*.so
endef

$(VENV)/installed: $(BIN)/python $(BUILD)
	$(PREPARE)
	$(INSTALL) .
	@touch $@

# An extra holds all that the plain installation does.
$(VENV)/installed-%: $(BIN)/python $(BUILD)
	$(PREPARE)
	$(INSTALL) '.[$*]'
	@touch $@ $(VENV)/installed

# Each run has a folder of its own: runs/autoencoder-digits-1, -2, ...
demo: $(VENV)/installed
	$(BIN)/minienc pretrain

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(or $(ARGS),-n auto --maxprocesses 4)

check: $(VENV)/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifneq ($(wildcard kernels/*.pyx),)
	PATH="$(BIN):$$PATH" cython-lint kernels/*.pyx kernels/*.pxi # which starts pycodestyle by its name
endif

# Types in the comments of the page's modules. Beside the linters, and not among them: it asks for
# npm, which nothing else here does.
TYPESCRIPT := typescript@5.9.3
PRETTIER := prettier@3.10.1
check-page:
	npx --yes --package $(TYPESCRIPT) tsc -p minienc/stepper/page
	npx --yes $(PRETTIER) --print-width 120 --check minienc/stepper/page/*.js tests/stepper/*.mjs

# Where there is no browser, these are no tests: so they must not pass for some.
test-browser: $(VENV)/installed-test $(VENV)/installed-browser
	MINIENC_REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/browser $(ARGS)

# The pages are made anew, in seconds; what takes minutes is kept: a tutorial's results, until it
# changes, or is asked for by FRESH=1.
FRESH ?=
docs: $(VENV)/installed-docs
	rm -rf docs/_build docs/api $(if $(FRESH),docs/tutorials)
	$(BIN)/python -m sphinx -b html -W --keep-going -n -q docs docs/_build/html
	@echo "open docs/_build/html/index.html"

test-site: $(VENV)/installed-test $(VENV)/installed-docs $(VENV)/installed-notebooks
	$(BIN)/python -m pytest tests/site $(ARGS)

tutorials: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -s tests/tutorials $(ARGS)

notebooks: $(VENV)/installed-docs $(VENV)/installed-notebooks
	$(BIN)/python docs/notebooks.py build/notebooks $(ARGS)

# A wheel of Python alone runs within a page; Pyodide, which runs it, comes from its own network.
LITE := jupyterlite-core==0.8.6 jupyterlite-pyodide-kernel==0.8.6 jupyter-server
lite: $(VENV)/installed-docs $(VENV)/installed-notebooks
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LITE)
	rm -rf build/lite && mkdir -p build/lite/pypi
	$(BIN)/python docs/notebooks.py build/lite/notebooks --as-they-are --kernel python
	MINIENC_PURE=1 $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/lite/pypi .
	cd build/lite && $(abspath $(BIN))/jupyter-lite build --contents notebooks --output-dir site
	@echo "serve build/lite/site: python3 -m http.server --directory build/lite/site"

proofs: $(VENV)/installed-test
	MINIENC_PROOFS=1 $(BIN)/python -m pytest -s tests/stepper/test_check.py tests/test_jax.py $(ARGS)

# Inputs that find something are kept in build/fuzz/.
fuzz: $(VENV)/installed-test
	$(BIN)/python -m tests.fuzz $(ARGS)

# A build of its own, and a copy of the tests beside it, so that they import this one. Python itself
# is not instrumented: the sanitizers' libraries must be there before it, and what it keeps for
# itself at its end is no leak. MINIENC_REQUIRE_KERNEL: no tests of nothing.
SANITIZED := build/sanitize/lib
SANITIZER_PYTHON := $(abspath $(BIN))/python
sanitize: $(VENV)/installed-test
	rm -rf $(SANITIZED)
	CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1" \
	  MINIENC_REQUIRE_KERNEL=1 $(SANITIZER_PYTHON) setup.py --quiet build \
	  --build-base build/sanitize --build-lib $(SANITIZED)
	cp -r tests pyproject.toml $(SANITIZED)
	cd $(SANITIZED) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 MINIENC_REQUIRE_KERNEL=1 \
	  $(SANITIZER_PYTHON) -m pytest -s tests/test_kernel_*.py tests/test_fast.py \
  tests/training/test_planned*.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info minienc/*.so minienc/*.pyd docs/_build docs/api docs/tutorials
