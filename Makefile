# Everything a developer runs. Needs Python 3.11 to 3.13 and make; the rest is set up in .venv.

UV_VERSION := 0.13.9
BIN := .venv/bin
# The first Python that runs and is new enough: a name may exist without a Python behind it.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $$name && break; done)
# Certificates of the system, as there may be a proxy that has its own.
UV := UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS-1} \
	$(BIN)/uv --quiet
LOCKED := .venv/locked.txt
# Packages in .venv beyond the locked set, such as uv itself, are left alone.
SYNC := sync --frozen --inexact
# Half of what the tests do is wait: two processes take little more than half of the time.
PYTEST_OPTIONS ?= -n 2 --dist loadfile

.PHONY: help serve demo test check bench fmt openapi docs site clean

help:
	@echo "make serve    set up and run the server"
	@echo "make demo     a filled system to look at, with data of its own"
	@echo "make test     every test, on SQLite and on a real PostgreSQL"
	@echo "make check    lint, types, layout, made files, fast tests"
	@echo "make fmt      format the code"
	@echo "make bench    measure beside other servers"
	@echo "make openapi  write openapi.json anew; make docs: the pages of docs/reference"
	@echo "make site     the documentation as pages for a browser, in site/"
	@echo "make clean    remove what the others made, but not longlist-data"

serve: .venv/.ready
	@exec $(BIN)/longlist serve

demo: .venv/.ready
	@exec $(BIN)/longlist demo

# With STATUS_FILE the exit code of pytest goes there, and its summary is the last line printed.
test: .venv/.ready-dev
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS); status=$$?; \
	if [ -n "$$STATUS_FILE" ]; then echo $$status > "$$STATUS_FILE"; else exit $$status; fi

check: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/longlist openapi | cmp -s - openapi.json || \
		{ echo "openapi.json is not what the code makes. Run: make openapi" >&2; exit 1; }
	$(BIN)/python -m pytest -q tests/test_layout.py tests/core -m "not slow"

bench: .venv/.ready-dev
	$(BIN)/python -m bench.run $(BENCH_OPTIONS)

fmt: .venv/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: .venv/.ready-dev
	$(BIN)/longlist openapi > openapi.json

docs: .venv/.ready-dev
	$(BIN)/python docs/generate.py

site: .venv/.ready-dev
	@$(BIN)/python docs/build_site.py

clean:
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/.envs

.venv/bin/uv:
	@test -n "$(PYTHON)" || \
		{ echo "Longlist needs Python 3.11, 3.12 or 3.13 on the PATH." >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON); this takes a minute the first time."
	@$(PYTHON) -m venv .venv || { echo "Python's venv and pip are missing; on Debian and Ubuntu:" \
		"apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || \
		{ echo "pip could not install uv $(UV_VERSION): is PyPI, or the index that pip is" \
		"configured for, reachable?" >&2; exit 1; }

# pip knows mirrors and certificates of the machine that uv may not know: it gets the same locked
# versions, by their hashes, where uv cannot fetch them.
define install
	@$(UV) $(SYNC) $(1) || { echo "uv cannot fetch the locked packages; trying with pip." >&2; \
		$(UV) export --frozen --no-emit-workspace $(1) --output-file $(LOCKED) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--require-hashes -r $(LOCKED) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e client -e . ; }
	@touch $@
endef

.venv/.ready: .venv/bin/uv pyproject.toml client/pyproject.toml uv.lock
	$(call install,--no-dev)

.venv/.ready-dev: .venv/bin/uv pyproject.toml client/pyproject.toml uv.lock
	$(call install,)
	@touch .venv/.ready
