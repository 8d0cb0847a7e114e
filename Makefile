# Two commands are all the set-up there is: `make demo` and `make test`. Each makes .venv and installs what it needs.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=

.PHONY: demo test check docs bench-serve bench-batch bench-import bench-accuracy bench-train bench-recipes bench-end-to-end bench-transfer bench-gateway bench-functions constraints clean

demo: $(VENV)/.run
	@$(RUN) -m nextpick demo $(ARGS)

test: $(VENV)/.dev
	@$(RUN) -m pytest -q -n auto --dist loadfile $(ARGS)

check: $(VENV)/.dev
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/pyright
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/cog --check --check-fail-msg "run: make docs" docs/*.md

docs: $(VENV)/.dev
	@$(VENV)/bin/cog -r docs/*.md

bench-serve: $(VENV)/.dev
	@$(RUN) bench/serve.py $(ARGS)
	@$(RUN) bench/filters.py

bench-batch: $(VENV)/.dev
	@$(RUN) bench/batch.py $(ARGS)

bench-import: $(VENV)/.dev
	@$(RUN) bench/import_rows.py $(ARGS)

bench-accuracy: $(VENV)/.dev $(VENV)-peers/.run
	@$(RUN) bench/accuracy.py $(ARGS)

bench-train: $(VENV)/.dev
	@$(RUN) bench/train.py $(ARGS)

bench-recipes: $(VENV)/.dev
	@$(RUN) bench/recipes.py

bench-end-to-end: $(VENV)/.dev
	@$(RUN) bench/end_to_end.py $(ARGS)

bench-transfer: $(VENV)/.dev
	@$(RUN) bench/transfer.py $(ARGS)

bench-gateway: $(VENV)/.dev
	@$(RUN) bench/gateway.py $(ARGS)

bench-functions: $(VENV)/.dev
	@$(RUN) bench/functions.py $(ARGS)

# The environment, made again when what is declared changes.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nextpick needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing nextpick"
	@$(RUN) -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing nextpick and its development tools"
	@$(RUN) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.run

# Other libraries to be measured beside, in an environment of their own.
$(VENV)-peers/.run: bench/peers.txt
	@echo "Installing the other libraries into $(VENV)-peers"
	@$(PYTHON) -m venv $(VENV)-peers
	@$(VENV)-peers/bin/python -m pip install -q --disable-pip-version-check -r bench/peers.txt
	@touch $@

# Pins everything to the newest versions that pyproject.toml allows.
constraints:
	@rm -rf $(VENV)-constraints
	@$(PYTHON) -m venv $(VENV)-constraints
	@$(VENV)-constraints/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@$(VENV)-constraints/bin/python -m pip freeze --exclude-editable | sed 's/+[^+]*$$//' > constraints.txt
	@rm -rf $(VENV)-constraints

clean:
	@rm -rf $(VENV) $(VENV)-peers .pytest_cache .ruff_cache .hypothesis .import_linter_cache
