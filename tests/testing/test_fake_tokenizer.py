"""The fake's tokenizer, which tests share with clients that tokenize by themselves."""

from __future__ import annotations

from verifiers_tito.testing import FakeTokenizer


def test_encoding_as_text_leaves_no_switch_behind_for_others(qwen3_tokenizer: FakeTokenizer) -> None:
    backend = qwen3_tokenizer.transformers_tokenizer.backend_tokenizer
    control_ids = backend.encode("<|im_end|>", add_special_tokens=False).ids
    assert len(qwen3_tokenizer.encode_as_text("<|im_end|>")) > 1
    assert backend.encode("<|im_end|>", add_special_tokens=False).ids == control_ids
    assert len(control_ids) == 1
