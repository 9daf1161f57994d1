# Python 3.11 or newer and make are there, nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-slow lint bench clean

# A search that takes minutes on 2 cores: which builtin source model helps to draw 1,000 icons of another font?
demo: $(INSTALLED)
	@$(BIN)/understock domains show phosphor >/dev/null 2>&1 || $(BIN)/understock domains add phosphor builtin:phosphor --resolution 32
	@$(BIN)/understock search phosphor --space quickstart --target-images 1000 --sources mdi,twemoji,mnist --max-images 4608 --trials 12 --name demo

test: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadgroup

# Those that take many seconds, open a browser (Debian's chromium, skipped without), or read ../shared/domains (likewise); then
# those that start Ray. They start clusters and kill processes while a clock runs: one that fails is named, and run once more,
# unless it hung. Two at a time, and in processes of their own: Ray that is started and ended often in one process crashes it now
# and then (ray-project/ray#31145), which then costs one test's second run and not the suite.
AGAIN := --reruns 1 --rerun-except 'Timeout \(>' -rR --durations=10
test-slow: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadgroup -m '(slow or s3 or browser or photos) and not ray' $(AGAIN)
	$(BIN)/pytest -n 2 -m ray $(AGAIN) --session-timeout=2700

# Ours against what people run today, on a quiet machine: a quarter of an hour on 2 cores.
bench: $(INSTALLED)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps torch-mimicry==0.1.16 2>&1 | { grep -v '^WARNING: Location' || true; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]' 2>&1 | { grep -v '^WARNING: Location' || true; }
	$(BIN)/python -m benchmarks

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) found; try make PYTHON=python3.12"; exit 2; }
	@echo "installing into .venv (some minutes, about 7 GB: torch brings its GPU libraries along)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]' 2>&1 | { grep -v '^WARNING: Location' || true; }
	@$(BIN)/python -c 'import understock, torch, ray, optuna'
	@touch $@

clean:
	rm -rf .venv *.egg-info
