# The commands to know. Each sets up .venv where it is missing; nothing else is needed than Python 3.11+, gcc and make.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-browser test-slow faults check format bench clean

demo: .venv/done  ## simulate, pre-train, evaluate, predict, and show it (some minutes); ends with what to open
	rm -rf demo
	$(BIN)/selfpab demo demo

test: .venv/done  ## the default tests, a few minutes
	$(BIN)/python -m pytest -q

test-browser: .venv/done  ## pages in headless Chromium, which the system's package manager has
	$(BIN)/python -m pytest -q -m browser -rs tests/reports

test-slow: .venv/done  ## kills, torchrun and others that take minutes
	$(BIN)/python -m pytest -q -m slow

faults: .venv/done  ## one fault at a time into a copy of the package; each must bring its test down
	$(BIN)/python tests/faults.py

check: .venv/done  ## what must be clean before a commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: .venv/done
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/done  ## costs on this machine, appended to benchmarks/RESULTS.md; keep the machine quiet
	$(BIN)/python benchmarks/run_all.py

.venv/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --disable-pip-version-check -q -e '.[train,baselines,dev]'
	touch $@

clean:
	rm -rf .venv demo
