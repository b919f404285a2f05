"""The server's half of token-in/token-out: a vLLM endpoint plugin.

vLLM calls `plugin()` (entry point group `vllm.endpoint_plugins`) in its API server process when
`VLLM_PLUGINS` names `verifiers_tito`, and gets the route `POST /v1/chat/completions/tokens`, which a GET on the
same path describes. Nothing here imports vLLM before that call, so the package may be installed next to any vLLM,
or without one.
"""

from __future__ import annotations

from verifiers_tito.vllm_plugin.endpoint import plugin

__all__ = ["plugin"]
