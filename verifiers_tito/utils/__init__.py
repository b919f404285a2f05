"""Helpers for authors: answers in texts, example datasets, system prompts, lists of messages."""

from verifiers_tito.utils.async_utils import maybe_await
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
from verifiers_tito.utils.logging_utils import (
    log_level,
    print_prompt_completions_sample,
    quiet_verifiers,
    setup_logging,
)
from verifiers_tito.utils.message_utils import (
    concat_messages,
    maybe_normalize_messages,
    message_to_printable,
    messages_to_printable,
    normalize_messages,
)

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
    "log_level",
    "maybe_await",
    "maybe_normalize_messages",
    "message_to_printable",
    "messages_to_printable",
    "normalize_messages",
    "print_prompt_completions_sample",
    "quiet_verifiers",
    "setup_logging",
    "strip_non_numeric",
]
