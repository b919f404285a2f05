# make demo   real rollouts on a local vLLM      make test   everything, real vLLM included
# make fast   what needs no vLLM, 2 minutes      make check  lint, format, types, import order
# make corpus bridges over many real templates   make docs   the tables in docs/, written anew
# make bench  what the client costs a turn       make latency   what a turn takes on a real server
# make concurrency   hundreds and thousands of rollouts at once
# make scaling   what rollouts take of memory, wire and disk
# make soak   2,000 rollouts on a bad wire, in a process that is killed twice (a minute)
# make train  PPO with a local vLLM, from rollouts to pushed weights: a policy that learns (minutes)
# make answers  what a long answer costs         make peers    the same conversations through other clients
# make datums trajectories to packed batches (7 GB of memory)
# make rendering  prompts and bridges beside transformers and the package `renderers`

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/set-up.stamp
MODELS := .models
PYTEST := $(BIN)/python -m pytest

# Tests start dozens of Python processes: compiling the package anew in each would take most of their time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo train test fast corpus check lint models docs bench answers peers latency concurrency datums rendering \
	scaling soak clean
.DEFAULT_GOAL := demo

demo: $(MODELS)/smollm2.stamp
	@$(BIN)/tito demo

train: $(STAMP)
	@$(BIN)/python examples/train_ppo.py

test: fast corpus
	@$(PYTEST) -m ray
	@$(PYTEST) -m "vllm or long"

fast: lint models
	@$(PYTEST) -n auto --dist loadfile -m "not vllm and not corpus and not ray and not long"

corpus: models $(MODELS)/corpus.stamp
	@$(PYTEST) -n auto --dist loadfile -m corpus

docs: $(MODELS)/corpus.stamp
	@$(BIN)/python -m tests.corpus.report > docs/bridging.md
	@$(BIN)/python -m tests.oracle.report > docs/agreement.md

bench: models
	@$(BIN)/python -m benchmarks.client_cost

answers: models
	@$(BIN)/python -m benchmarks.answer_cost

peers: models
	@$(BIN)/python -m benchmarks.peers

datums: $(STAMP)
	@$(BIN)/python -m benchmarks.datums

concurrency: models
	@$(BIN)/python -m benchmarks.concurrency

scaling: models
	@$(BIN)/python -m benchmarks.scaling

soak: models
	@$(BIN)/python -m benchmarks.soak

rendering: models
	@$(BIN)/python -m benchmarks.rendering

latency: models
	@$(BIN)/python -m benchmarks.latency

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
	@$(BIN)/tito model bytes-tiny --into $(MODELS) >/dev/null
	@touch $@

$(MODELS)/corpus.stamp: $(STAMP) $(MODELS)/smollm2.stamp tests/corpus/bases.py
	@$(BIN)/python -m tests.corpus.bases
	@touch $@

$(STAMP): pyproject.toml requirements-assets.txt scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

clean:
	@rm -rf $(VENV) $(MODELS) .peers .pytest_cache .mypy_cache .ruff_cache .hypothesis runs dist
