"""Finding vLLM's names, and what is said where one is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from verifiers_tito.errors import ConfigError
from verifiers_tito.vllm_plugin.compat import find_name

WITHOUT_VLLM = """
import json, sys
sys.modules["vllm"] = None  # any import of vllm now raises ImportError
import verifiers_tito.vllm_plugin as face
loaded = sorted(name for name in ("torch", "transformers", "fastapi") if name in sys.modules)
try:
    face.plugin()
except Exception as exc:
    print(json.dumps({"error": type(exc).__name__, "message": str(exc), "loaded": loaded}))
"""

WITH_VLLM = """
import json
from vllm.plugins.endpoint_plugins.interface import EndpointPlugin
from verifiers_tito.vllm_plugin import plugin
from verifiers_tito.vllm_plugin.compat import load_vllm
made = plugin()
report = {"name": made.name, "satisfies": isinstance(made, EndpointPlugin)}
print(json.dumps({**report, "keep_alive": load_vllm().sse_keep_alive.__name__}))
"""

AN_ANSWERS_TEXT = """
from types import SimpleNamespace
from vllm import SamplingParams
from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer
from verifiers_tito.vllm_plugin.compat import load_vllm
from verifiers_tito.vllm_plugin.prompt_tail import behind_the_tail, install
install(load_vllm().detokenizer)
request = SimpleNamespace(request_id="0", sampling_params=SamplingParams(), prompt_token_ids=[0] * 1000)
with behind_the_tail():
    ours = FastIncrementalDetokenizer(SimpleNamespace(_tokenizer=None), request)
theirs = FastIncrementalDetokenizer(SimpleNamespace(_tokenizer=None), request)
print(type(ours.stream).__name__, type(theirs.stream).__name__)
"""


@pytest.fixture(scope="module")
def without_vllm() -> dict[str, Any]:
    """What an interpreter without vllm says when the plugin is imported and then called."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_VLLM], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_a_name_is_taken_from_the_first_module_that_has_it() -> None:
    assert find_name("dumps", ("no_such_module", "math", "json"), vllm_version="0.32.0") is json.dumps


def test_a_missing_name_is_an_error_with_the_version_the_name_and_the_places() -> None:
    with pytest.raises(ConfigError) as caught:
        find_name("with_cancellation", ("json", "no_such_module"), vllm_version="9.9.9")

    message = str(caught.value)
    for part in ("vLLM 9.9.9", "with_cancellation", "json or no_such_module", "VLLM_PLUGINS"):
        assert part in message


def test_the_plugin_imports_without_vllm_and_loads_nothing_heavy(without_vllm: dict[str, Any]) -> None:
    assert without_vllm["loaded"] == []


def test_calling_the_plugin_without_vllm_says_how_to_install_it(without_vllm: dict[str, Any]) -> None:
    assert without_vllm["error"] == "ConfigError"
    assert "pip install 'verifiers-tito[vllm]'" in without_vllm["message"]


@pytest.mark.vllm
def test_every_name_is_found_in_the_installed_vllm() -> None:
    # In a process of its own: importing vllm warns, and takes seconds that the other tests need not wait for.
    done = subprocess.run([sys.executable, "-c", WITH_VLLM], capture_output=True, text=True, check=True)

    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"name": "verifiers_tito", "satisfies": True, "keep_alive": "with_sse_keep_alive"}


@pytest.mark.vllm
def test_the_installed_vllm_begins_the_text_of_our_routes_answers_behind_the_tail() -> None:
    done = subprocess.run([sys.executable, "-c", AN_ANSWERS_TEXT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "TailStream DecodeStream"
