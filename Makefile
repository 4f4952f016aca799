# Every target creates .venv and installs into it first; the stamps make that happen once per change of the pins.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test lint bench check

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

check:
	.ci/run

# The stem of the stamp is the list of extras.
.venv/%.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[$*]'
	touch '$@'
