"""Where authors make a plain `AsyncOpenAI` of a configuration, for requests of their own. Imports openai, a second."""

from verifiers_tito.transport import connect as setup_client
from verifiers_tito.transport import connect as setup_openai_client

__all__ = ["setup_client", "setup_openai_client"]
