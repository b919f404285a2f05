"""Turning conversations into token ids: one protocol, whoever does the work."""

from verifiers_tito.tokenization.chat_tokenizer import ChatTokenizer, Rendered, TemplateRefusedError
from verifiers_tito.tokenization.server_tokenizer import ServerTokenizer

__all__ = ["ChatTokenizer", "Rendered", "ServerTokenizer", "TemplateRefusedError"]
