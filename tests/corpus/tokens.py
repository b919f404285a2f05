"""The control tokens of each kind of tokenizer, in the order in which they are added to its base.

`special` follows the published tokenizer configurations: special tokens are hidden by `skip_special_tokens`, the
others are ordinary output. Where a family stands on a foreign base, only texts and flags are real, ids are not.
"""

# ruff: noqa: RUF001  (DeepSeek writes its marks with a full-width bar)

from __future__ import annotations

from dataclasses import dataclass

from tests.corpus.bases import MISTRAL_V1, MISTRAL_V3, MISTRAL_V7, TEKKEN_NAMES
from tests.corpus.sentencepiece_bpe import control_pieces
from verifiers_tito.local import llama3_tiny, qwen3_tiny


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedText:
    """A control token. `eats_white_space`: white space right after it is not tokenized at all (Phi 3)."""

    text: str
    special: bool = True
    eats_white_space: bool = False


AddedTexts = tuple[AddedText, ...]


def special(*texts: str) -> AddedTexts:
    return tuple(AddedText(text=text) for text in texts)


def ordinary(*texts: str) -> AddedTexts:
    return tuple(AddedText(text=text, special=False) for text in texts)


def greedy(*texts: str) -> AddedTexts:
    return tuple(AddedText(text=text, eats_white_space=True) for text in texts)


DEEPSEEK_BEGINNING = "<｜begin▁of▁sentence｜>"
DEEPSEEK_END = "<｜end▁of▁sentence｜>"

QWEN3 = tuple(AddedText(text=token.text, special=token.special) for token in qwen3_tiny.control_tokens())
QWEN2_5 = QWEN3[:22]
QWEN3_5 = (
    *QWEN3,
    *special("<|audio_start|>", "<|audio_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>"),
    *special("<tts_text_bos_single>", "<|audio_pad|>"),
)
DEEPSEEK_R1_DISTILL = (
    *special(DEEPSEEK_END),
    *ordinary("<｜User｜>", "<｜Assistant｜>"),
    *special(DEEPSEEK_BEGINNING),
    *ordinary("<|EOT|>", "<think>", "</think>"),
)
"""The Qwen based distillations: DeepSeek's marks in place of Qwen's first ones, and none of its tool marks."""

DEEPSEEK = (
    *special(DEEPSEEK_BEGINNING, DEEPSEEK_END),
    *ordinary("<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    *ordinary("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>"),
    *ordinary("<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁sep｜>", "<think>", "</think>"),
)
LLAMA3 = special(*(token.text for token in llama3_tiny.control_tokens()))
IDEFICS3 = (*LLAMA3, *special("<fake_token_around_image>", "<image>", "<end_of_utterance>"))
HARMONY = special(
    "<|startoftext|>", "<|endoftext|>", "<|reserved_200000|>", "<|reserved_200001|>", "<|return|>", "<|constrain|>",
    "<|reserved_200004|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|reserved_200009|>",
    "<|reserved_200010|>", "<|reserved_200011|>", "<|call|>",
)  # fmt: skip
SMOLLM2 = special(
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>",
    "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>",
    "<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>",
)  # fmt: skip
SMOLVLM = (*SMOLLM2, *special("<global-img>", "<fake_token_around_image>", "<image>", "<end_of_utterance>"))
GLM4 = (
    *special("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"),
    *special("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
    *ordinary("/nothink", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    *ordinary("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
)
GEMMA = special("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>")
GEMMA4 = special(
    "<pad>", "<eos>", "<bos>", "<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
    "<|tool_response>", "<tool_response|>", "<|channel>", "<channel|>", '<|"|>', "<|think|>",
    "<|image|>", "<|audio|>", "<|video|>",
)  # fmt: skip
COHERE = (
    *special("<PAD>", "<UNK>", "<BOS_TOKEN>", "<EOS_TOKEN>"),
    *ordinary("<|START_OF_TURN_TOKEN|>"),
    *special("<|END_OF_TURN_TOKEN|>"),
    *ordinary("<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>"),
)
COHERE2 = (
    *COHERE,
    *ordinary("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_THINKING|>", "<|END_THINKING|>"),
    *ordinary("<|START_ACTION|>", "<|END_ACTION|>", "<|START_TOOL_RESULT|>", "<|END_TOOL_RESULT|>"),
)
LFM2 = (
    *special("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *special("<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>"),
    *special("<|tool_response_start|>", "<|tool_response_end|>"),
    *ordinary("<think>", "</think>", "<image>"),
)
NEMOTRON3 = (
    *special("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"),
    *ordinary("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
)
MUSE = special("<|begin_of_text|>", "<|end_of_text|>", "<|start|>", "<|message|>", "<|eom|>", "<|eot|>", "<|patch|>")
PHI3 = (
    *special("<unk>", "<s>"),
    *greedy("</s>"),
    *special("<|endoftext|>"),
    *greedy("<|assistant|>", "<|system|>", "<|end|>", "<|user|>"),
)
LLAMA2 = special("<unk>", "<s>", "</s>")
LLAVA_NEXT = (*LLAMA2, *special("<image>", "<pad>"))
TEKKEN_V3 = special(*(text for slot, text in TEKKEN_NAMES.items() if slot < 20))
TEKKEN_V13 = special(*TEKKEN_NAMES.values())


def mistral_v1() -> AddedTexts:
    """Only `<unk>`, `<s>`, `</s>`: `[INST]` is plain text to this one."""
    return special(*control_pieces(MISTRAL_V1.path()))


def mistral_v3() -> AddedTexts:
    return special(*control_pieces(MISTRAL_V3.path()))


def mistral_v7() -> AddedTexts:
    return special(*control_pieces(MISTRAL_V7.path()))
