"""A chat template family: its template, its tokenizer, and what people know of it by heart.

What is declared here (`close`, `call_close`, ...) was read off the templates by a person. That is what the reference
rests on, so that it shares no reasoning with the library under test.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from tests.corpus.bases import MODELS, Base, base_tokenizer
from tests.corpus.tokens import AddedTexts
from verifiers_tito.local.assets import Asset
from verifiers_tito.local.models import build_model

OWN_TEMPLATES = Path(__file__).parent / "templates"
NO_LIMIT = 10**9  # tokens; a longer text would only cost a warning


class Origin(StrEnum):
    """Where a template's text comes from."""

    TRL = "trl"  # a file that the package trl carries
    MISTRAL_COMMON = "mistral-common"  # written out by the package's own generator
    MODEL_FOLDER = "model folder"  # the chat template of a model that `tito model` builds
    OURS = "ours"  # written here, in the style of a family that no package carries


class CallContent(StrEnum):
    """Where a template writes the content of a turn that calls tools too."""

    BEFORE_CALLS = "before the calls"
    AFTER_RESULTS = "after the results"  # where nobody sampled it; the reference renders without it


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """`name` is the file's stem for TRL, the folder's model for MODEL_FOLDER, the version for MISTRAL_COMMON."""

    origin: Origin
    name: str

    def text(self) -> str:
        if self.origin is Origin.TRL:
            file = f"trl/chat_templates/{self.name}.jinja"
            return Asset(package="trl", version="1.16.0", file=file).path().read_text(encoding="utf-8")
        if self.origin is Origin.MODEL_FOLDER:
            return (build_model(self.name, models=MODELS) / "chat_template.jinja").read_text(encoding="utf-8")
        if self.origin is Origin.MISTRAL_COMMON:
            return _generated_mistral_template(self.name)
        return (OWN_TEMPLATES / f"{self.name}.jinja").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSource:
    """A base and what is added to it. Families with equal sources share one vocabulary in memory.

    `tokens` is a function because some are read from a package's file. `writes_beginning`: the tokenizer itself puts
    `beginning` before a text when it is asked for special tokens, as most do whose template writes it too.
    """

    base: Base
    tokens: AddedTexts | Callable[[], AddedTexts]
    beginning: str | None = None
    end: str
    writes_beginning: bool = False

    def added_texts(self) -> AddedTexts:
        return self.tokens() if callable(self.tokens) else self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One chat template with its tokenizer.

    `close` is what the model samples to end a turn and what the template writes right after its body, behind `lead`.
    Where it is empty the template writes none: one of `next_openers` follows, and the model samples `natural_end`
    (`natural_call_end` after calls). `call_close` ends a turn that calls tools; `None` where the template ignores
    `tool_calls`, so that a call can only be text. `alternative_ends` and `alternative_call_ends` are tokens by which
    the model may end its turn in place of the close. `real_vocabulary` is false on a foreign base.
    """

    name: str
    template: TemplateSource
    tokenizer: TokenizerSource
    close: str
    lead: str = ""
    call_close: str | None = None
    next_openers: tuple[str, ...] = ()
    natural_end: str = ""
    natural_call_end: str = ""
    alternative_ends: tuple[str, ...] = ()
    alternative_call_ends: tuple[str, ...] = ()
    content_parts: bool = False
    arguments_as_text: bool = False
    call_content: CallContent = CallContent.BEFORE_CALLS
    real_vocabulary: bool = True
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.close and not (self.next_openers and self.natural_end):
            raise ValueError(f"family {self.name} declares no close: say what follows a turn and how it ends")

    @property
    def writes_calls(self) -> bool:
        return self.call_close is not None

    @property
    def control_string(self) -> str:
        """What somebody writes into a message to end a turn by force."""
        return self.close or self.next_openers[0]

    @property
    def control_texts(self) -> tuple[str, ...]:
        return tuple(added.text for added in self.tokenizer.added_texts())


def load(family: Family) -> Any:
    """A `transformers` tokenizer with the family's chat template. The vocabulary is shared: add no tokens to it."""
    tokenizer = copy.copy(_shared_tokenizer(family.tokenizer))
    tokenizer.chat_template = family.template.text()
    return tokenizer


class _AlreadyOurs:
    """Hands a tokenizer over to `transformers`, which copies what it is given: half a second for 200,000 tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._tokenizer


@cache
def _shared_tokenizer(source: TokenizerSource) -> Any:
    from tokenizers import AddedToken  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    backend = base_tokenizer(source.base)
    for added in source.added_texts():
        token = AddedToken(added.text, normalized=False, special=added.special, rstrip=added.eats_white_space)
        (backend.add_special_tokens if added.special else backend.add_tokens)([token])
    return PreTrainedTokenizerFast(
        tokenizer_object=_AlreadyOurs(backend),
        bos_token=source.beginning,
        eos_token=source.end,
        pad_token=source.end,
        add_bos_token=source.writes_beginning,
        clean_up_tokenization_spaces=False,
        model_max_length=NO_LIMIT,
    )


@cache
def _generated_mistral_template(name: str) -> str:
    """`name` is `VERSION-spm` or `VERSION-tekken`. The one package that is imported: it keeps no template as a file."""
    from mistral_common.integrations.chat_templates.template_generator import (  # noqa: PLC0415
        TemplateConfig,
        build_chat_template,
    )
    from mistral_common.tokens.tokenizers.base import TokenizerVersion  # noqa: PLC0415

    version, tokenizer = name.split("-")
    config = TemplateConfig(version=TokenizerVersion(version), spm=tokenizer == "spm", use_special_token_variables=True)
    return build_chat_template(config)
