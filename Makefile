# make demo   real rollouts on a local vLLM      make test   everything, real vLLM included
# make fast   all that needs no vLLM             make check  lint, format, types, import order

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/set-up.stamp
MODELS := .models
PYTEST := $(BIN)/python -m pytest

# Tests start dozens of Python processes: compiling the package anew in each would take most of their time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test fast check lint models clean
.DEFAULT_GOAL := demo

demo: $(MODELS)/smollm2.stamp
	@$(BIN)/tito demo

test: fast
	@$(PYTEST) -m vllm

fast: lint models
	@$(PYTEST) -n auto --dist loadfile -m "not vllm"

check: lint
	@$(PYTEST) tests/test_layers.py

lint: $(STAMP)
	@echo "check: lint, format, types ..."
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy

models: $(MODELS)/tiny.stamp $(MODELS)/smollm2.stamp

$(MODELS)/smollm2.stamp: $(STAMP) verifiers_tito/local/smollm2.py
	@$(BIN)/tito model smollm2 --into $(MODELS) >/dev/null
	@touch $@

$(MODELS)/tiny.stamp: $(STAMP) $(wildcard verifiers_tito/local/*_tiny.py)
	@$(BIN)/tito model qwen3-tiny --into $(MODELS) >/dev/null
	@$(BIN)/tito model llama3-tiny --into $(MODELS) >/dev/null
	@touch $@

$(STAMP): pyproject.toml requirements-assets.txt scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

clean:
	@rm -rf $(VENV) $(MODELS) .pytest_cache .mypy_cache .ruff_cache .hypothesis runs dist
