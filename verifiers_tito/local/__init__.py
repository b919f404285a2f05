"""Builds small models and runs a local vLLM."""

from verifiers_tito.local.models import LOCAL_MODELS, LocalModel, build_model, local_model
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions, ServerCommand

__all__ = [
    "LOCAL_MODELS",
    "LocalModel",
    "LocalServer",
    "LocalServerOptions",
    "ServerCommand",
    "build_model",
    "local_model",
]
