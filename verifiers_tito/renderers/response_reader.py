"""From sampled ids to a message, by the format that the chat template writes. The ids are only read.

    ids ──CompletionParser──► reasoning, content, calls ──(white space of the format taken off)──► message

It reads as vLLM does, but for three things that the whole life of a message needs: an answer without any mark of
reasoning is content, white space that the template puts between its marks and a text belongs to neither, and calls
count although nobody said which tools there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.errors import RendererError
from verifiers_tito.parsing import (
    CompletionParser,
    EndOfTurn,
    ParsedCompletion,
    ParseRequest,
    ParseTermination,
    TransformersDecoder,
    derive_format,
    format_by_names,
    parse_request,
)
from verifiers_tito.parsing.machine import THINK_END
from verifiers_tito.renderers.messages import Message
from verifiers_tito.renderers.model_template import ModelTemplate
from verifiers_tito.renderers.sampled_turn import sampled_turn
from verifiers_tito.renderers.turn_ends import TurnEnds
from verifiers_tito.stitching.stand_in import new_mark

_READS_ANY_THINKING = "deepseek_r1"
"""The reasoning parser where a prompt opens the reasoning and the template's history shows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReader:
    """`lead` and `tail` are what the template writes around the content of a turn of text: white space, marks of its
    end. `opens`: the prompt has opened the reasoning. `plain_parser` reads an answer without any mark of reasoning."""

    parser: CompletionParser
    plain_parser: CompletionParser
    request: ParseRequest
    lead: str
    tail: str
    opens: bool

    @classmethod
    def of(
        cls,
        template: ModelTemplate,
        ends: TurnEnds,
        *,
        reasoning_parser: str | None = None,
        tool_call_parser: str | None = None,
    ) -> ResponseReader:
        """For what is sampled behind this template's prompts. The parsers' names go before what is found out."""
        opens = template.opens_reasoning
        derived = derive_format(template)
        reasoning = reasoning_parser or derived.reasoning_parser or (_READS_ANY_THINKING if opens else None)
        calls = tool_call_parser or derived.tool_call_parser
        decoder = TransformersDecoder(template.local.transformers_tokenizer)
        lead, tail = _around_content(template, ends)
        parser, plain_parser = (
            CompletionParser(
                format=format_by_names(reasoning_parser=name, tool_call_parser=calls),
                decoder=decoder,
                end=_end_of_turn(template, ends),
            )
            for name in (reasoning, None)
        )
        return cls(
            parser=parser,
            plain_parser=plain_parser,
            request=parse_request(
                template.tools,
                thinking=True if opens else False if template.closes_reasoning else None,
                special_texts=decoder.special_texts,
                any_tool=True,
            ),
            lead=lead,
            tail=tail,
            opens=opens,
        )

    def read(self, token_ids: Sequence[int]) -> tuple[Message, ParseTermination]:
        """The message and how it ended."""
        parsed = self.parser.parse(token_ids, self.request)
        if parsed.reasoning and parsed.reasoning.strip() == parsed.text.strip() and self._answers(parsed.termination):
            parsed = self.plain_parser.parse(token_ids, self.request)
        reasoning, content = self._told_apart(parsed)
        message = Message(role="assistant", content=content)
        if reasoning:
            message["reasoning_content"] = reasoning
        if parsed.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in parsed.tool_calls
            ]
        unparsed = [call for call in parsed.unparsed_tool_calls if not call.is_served]
        if unparsed:
            message["unparsed_tool_calls"] = unparsed
        return message, parsed.termination

    def _told_apart(self, parsed: ParsedCompletion) -> tuple[str | None, str]:
        reasoning, content = parsed.reasoning, parsed.content or ""
        reasoning = reasoning.strip("\n") if reasoning else None
        if reasoning or (THINK_END in parsed.text and THINK_END not in content):
            content = content.lstrip("\n")
        elif not parsed.tool_calls:
            content = content.removeprefix(self.lead)
        return reasoning, content.strip() if parsed.tool_calls else content.removesuffix(self.tail)

    def _answers(self, termination: ParseTermination) -> bool:
        """Whether a text without marks is an answer: one that ended, or that no prompt had begun to reason for."""
        return termination.is_clean or not self.opens


def _end_of_turn(template: ModelTemplate, ends: TurnEnds) -> EndOfTurn:
    tokenizer = template.local.transformers_tokenizer
    others = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    stops = [stop for stop in ends.stops if isinstance(stop, int)]
    texts = [stop for stop in ends.stops if isinstance(stop, str)]
    return EndOfTurn(stop_ids=frozenset(stops), eos_ids=frozenset(others).difference(stops), stop_strings=tuple(texts))


def _around_content(template: ModelTemplate, ends: TurnEnds) -> tuple[str, str]:
    """What the template writes before and behind the content of a turn of text, its end token left out."""
    mark = new_mark()
    said = [Message(role="user", content="x"), Message(role="assistant", content=mark)]
    try:
        turn = sampled_turn(template, ends, said)
    except RendererError:
        return "", ""
    before, _, behind = turn.text.partition(mark)
    end = next((token for token in ends.tokens if behind.endswith(token)), "")
    return "" if before.strip() else before, behind.removesuffix(end)
