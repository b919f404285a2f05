"""Helpers for authors: answers in texts, example datasets, system prompts, lists of messages."""

from verifiers_tito.utils.config_utils import MissingKeyError, ensure_keys
from verifiers_tito.utils.data_utils import (
    BOXED_SYSTEM_PROMPT,
    THINK_BOXED_SYSTEM_PROMPT,
    extract_boxed_answer,
    extract_hash_answer,
    get_preprocess_fn,
    load_example_dataset,
    strip_non_numeric,
)
from verifiers_tito.utils.message_utils import concat_messages, message_to_printable, messages_to_printable

__all__ = [
    "BOXED_SYSTEM_PROMPT",
    "MissingKeyError",
    "THINK_BOXED_SYSTEM_PROMPT",
    "concat_messages",
    "ensure_keys",
    "extract_boxed_answer",
    "extract_hash_answer",
    "get_preprocess_fn",
    "load_example_dataset",
    "message_to_printable",
    "messages_to_printable",
    "strip_non_numeric",
]
