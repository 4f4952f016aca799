# Every target creates .venv and installs into it first; the stamps make that happen once per change of the pins.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test lint bench nightly check

serve: .venv/train.stamp
	$(BIN)/sobolite serve

test: .venv/train,test.stamp
	$(BIN)/pytest -n 2 --dist worksteal

lint: .venv/train,test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/train,test.stamp
	set -e; for benchmark in benchmarks/*.py; do $(BIN)/python "$$benchmark"; done

nightly: .venv/train,test.stamp
	$(BIN)/pytest -n 2 --dist worksteal -m slow
	STOP_ROUNDS=20 SOBOLITE_FUZZ_FILES=100000 $(BIN)/pytest tests/abuse/test_stop.py tests/abuse/test_files.py

check:
	.ci/run

# The stem of the stamp is the list of extras.
.venv/%.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[$*]'
	touch '$@'
