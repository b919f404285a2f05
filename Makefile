# make demo   real rollouts on a local vLLM      make test   everything, real vLLM included
# make fast   all that needs no vLLM             make check  lint, format, types

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/set-up.stamp
MODELS := .models
PYTEST := $(BIN)/python -m pytest

# Tests start dozens of Python processes: compiling the package anew in each would take most of their time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test fast check models clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	@$(BIN)/tito model smollm2 --into $(MODELS) >/dev/null
	@$(BIN)/tito demo

test: check models
	@$(PYTEST) -n auto --dist loadfile -m "not vllm" --ignore tests/test_layers.py
	@$(PYTEST) -m vllm

fast: check models
	@$(PYTEST) -n auto --dist loadfile -m "not vllm" --ignore tests/test_layers.py

check: $(STAMP)
	@echo "check: lint, format, types, layers ..."
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(PYTEST) --durations=0 tests/test_layers.py

# Every model of the tests. Building again what is there is a matter of a second.
models: $(MODELS)/tiny.stamp
	@$(BIN)/tito model smollm2 --into $(MODELS) >/dev/null

$(MODELS)/tiny.stamp: $(STAMP) $(wildcard verifiers_tito/local/*_tiny.py)
	@$(BIN)/tito model qwen3-tiny --into $(MODELS) >/dev/null
	@$(BIN)/tito model llama3-tiny --into $(MODELS) >/dev/null
	@touch $@

$(STAMP): pyproject.toml requirements-assets.txt scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

clean:
	@rm -rf $(VENV) $(MODELS) .pytest_cache .mypy_cache .ruff_cache .hypothesis runs dist
