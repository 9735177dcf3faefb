# make demo    install, check, compile, draw and train SlowFast R50 for a few steps
# make test    style, types, canonical specs, up-to-date generated code, and the tests: some minutes
# make records the records of published networks at full size, and all specs where `make test` takes one of each kind
#              (`make test RECORDS=yes` runs both in one pass, which makes what they share once)
# make docs    the site of the documentation, in out/docs/index.html
# make plant   each fault of tests/planted in a copy of the compiler, and the random program that finds it
# make bounds  texts near the budgets and far beyond them, each command within 10 s of CPU time and 1 GiB
# make fuzz    random programs, attentions and mutated texts, of fresh seeds: SECONDS=600, or COUNT=1000; SEED=123 again
# Needs Python >= 3.11 with venv, and nothing else. `make demo PYTHON=python3.12` picks another Python.

PYTHON ?= python3
VENV   ?= .venv
SPEC   ?= specs/slowfast_r50.arch

BIN    := $(VENV)/bin
NAME   := $(basename $(notdir $(SPEC)))
SPECS   = $(sort $(wildcard specs/*.arch))
# Python compiles what is imported; pip would compile every file of every package.
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile -c constraints.txt

.PHONY: help demo test records docs pictures fuzz plant bounds lint types pytest format generated bench clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "also: lint types pytest format generated pictures bench clean"

demo: $(VENV)/.installed
	$(BIN)/archdsl check $(SPEC)
	$(BIN)/archdsl compile $(SPEC)
	$(BIN)/archdsl draw $(SPEC) -o out/$(NAME).svg
	$(BIN)/archdsl draw $(SPEC) -o out/$(NAME).png || true # a machine without fonts has the SVG
	$(BIN)/archdsl cost $(SPEC)
	@echo
	$(BIN)/python examples/demo.py generated/$(NAME).py

# Every step is taken, also after one that fails. Types are checked by one process, beside the tests, and shown as soon as
# that is done; what pytest says comes last. That generated/ is up to date, a test holds.
test: $(VENV)/.installed-dev
	@failed=; log=$(VENV)/types.log; \
	{ $(MAKE) --no-print-directory types >$$log 2>&1; code=$$?; cat $$log; exit $$code; } & types=$$!; \
	for step in lint pytest; do \
	    $(MAKE) --no-print-directory $$step || failed="$$failed $$step"; \
	done; wait $$types || failed="$$failed types"; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

pytest: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(if $(RECORDS),-m "") --numprocesses auto --dist worksteal

records: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m records --numprocesses auto --dist worksteal

# Warnings are errors; nothing is read from the network.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -b html -W --keep-going -q -j auto -d out/doctrees docs out/docs
	@echo "out/docs/index.html"

pictures: $(VENV)/.installed
	$(BIN)/python docs/pictures/draw.py

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/support/fuzz.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT))

plant: $(VENV)/.installed-dev
	$(BIN)/python tests/support/plant.py

bounds: $(VENV)/.installed-dev
	$(BIN)/python tests/support/bounds.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/archdsl fmt --check specs docs/zoos examples

# pyright runs on Node.js and fetches it where there is none. Where that fails, too, the types go unchecked, and loudly.
types: $(VENV)/.installed-dev
	@if $(BIN)/pyright --version >$(VENV)/pyright.log 2>&1; then \
	    echo $(BIN)/pyright; $(BIN)/pyright --pythonpath $(BIN)/python; \
	else \
	    tail -n 5 $(VENV)/pyright.log; \
	    echo "*** TYPES WERE NOT CHECKED: pyright needs Node.js, which is not here and could not be fetched. ***"; \
	fi

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/archdsl fmt specs docs/zoos examples

generated: $(VENV)/.installed-dev
	$(BIN)/archdsl compile $(SPECS)
	$(BIN)/python docs/list_specs.py
	$(BIN)/python docs/pictures/draw.py

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/tool_speed.py
	@echo
	$(BIN)/python benchmarks/model_speed.py --quick

clean:
	rm -rf $(VENV) out build dist

# --- the virtual environment ---

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "No '$(PYTHON)' here. archdsl needs Python 3.11 or newer; name it: make demo PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "archdsl needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)."; \
	    echo "Name a newer one: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it is in the package python3-venv."; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing archdsl with torch into $(VENV); the first time this takes some minutes."
	$(INSTALL) -e '.[torch]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing archdsl with torch and the tools of its tests into $(VENV); the first time this takes some minutes."
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $@
