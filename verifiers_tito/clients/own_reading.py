"""Reading answers that the server only sampled: what its own chat route would have made of them.

    chat template ──► the format it writes ─┐
    an answer that the server parsed ───────┴─► the format in which this server reads ──► messages of sampled ids

A template says how its model writes, but not with which parsers a server was started: without a reasoning parser, say,
thinking is content. So no format is used before it has made the server's own message of an answer's ids. Every rollout
begins with such an answer, because first turns go in as messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.clients.turn import Turn
from verifiers_tito.parsing import (
    ParsedText,
    ParseRequest,
    ResponseFormat,
    derive_format,
    format_by_names,
    new_call_id,
    parse_request,
    sampled_text,
)
from verifiers_tito.stitching import BoundedCache
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import Response, TrajectoryStep
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, FunctionAnswer, MessageAnswer, ToolCallAnswer
from verifiers_tito.wire.requests import tokenize_fields
from verifiers_tito.wire.sampled_answers import SampledAnswer, SampledChoice

_CAPACITY = 4096
"""Template keys, and answers that were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReader:
    """Makes chat's answers of sampled ones, for one kind of request. `fields` are the request's."""

    format: ResponseFormat
    tokenizer: LocalTokenizer
    request: ParseRequest
    fields: Mapping[str, Any]

    @property
    def keeps_special(self) -> bool:
        """Whether the text that is parsed has its special tokens: the chat route decides likewise."""
        return self.format.keeps_special(self.request) or not self.fields.get("skip_special_tokens", True)

    def read(self, sampled: SampledAnswer, prompt_ids: Sequence[int]) -> ChatAnswer:
        """With everything that chat's answer has, but for a count of reasoning tokens: vLLM's parsers count ids, each
        in a way of its own, and what is parsed here is text."""
        return ChatAnswer(
            id=sampled.id,
            model=sampled.model,
            created=sampled.created,
            prompt_token_ids=sampled.prompt_token_ids,
            usage=sampled.usage,
            choices=[self._choice(choice, prompt_ids) for choice in sampled.choices],
        )

    def parse(
        self,
        token_ids: Sequence[int],
        *,
        prompt_ids: Sequence[int],
        finish_reason: str | None,
        stop_reason: int | str | None,
        text: str | None = None,
    ) -> ParsedText:
        """The parts of a message. `text` is that of the ids, where the server has told it. A stop string is cut out of
        the text, its ids stay."""
        ended_by_token = self._ended_by_token(token_ids, finish_reason, stop_reason)
        shows_stop = bool(self.fields.get("include_stop_str_in_output"))
        if text is None:
            shown_ids = token_ids[:-1] if ended_by_token and not shows_stop else token_ids
            text = self._text(prompt_ids, shown_ids)
            if isinstance(stop_reason, str):
                head, stop, _ = text.partition(stop_reason)
                text = head + stop if shows_stop else head
        if self.format.includes_end and ended_by_token and not shows_stop:
            text += self.tokenizer.decode(token_ids[-1:])
        return self.format.parse(text, self.request, call_id=new_call_id)

    def _ended_by_token(
        self, token_ids: Sequence[int], finish_reason: str | None, stop_reason: int | str | None
    ) -> bool:
        """Whether the last id ended the answer. One that holds a call may have been cut, and not say so."""
        if finish_reason == "tool_calls" and stop_reason is None:
            return list(token_ids[-1:]) == [self.tokenizer.transformers_tokenizer.eos_token_id]
        return finish_reason != "length" and not isinstance(stop_reason, str)

    def _text(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> str:
        backend = self.tokenizer.transformers_tokenizer.backend_tokenizer
        return sampled_text(backend, prompt_ids, token_ids, skip_special_tokens=not self.keeps_special)

    def _choice(self, choice: SampledChoice, prompt_ids: Sequence[int]) -> ChoiceAnswer:
        parsed = self.parse(
            choice.token_ids or (),
            prompt_ids=prompt_ids,
            finish_reason=choice.finish_reason,
            stop_reason=choice.stop_reason,
            text=choice.text,
        )
        calls = [
            ToolCallAnswer(id=call.id, function=FunctionAnswer(name=call.name, arguments=call.arguments))
            for call in parsed.tool_calls
        ]
        return ChoiceAnswer(
            message=MessageAnswer(content=parsed.content, reasoning=parsed.reasoning, tool_calls=calls or None),
            index=choice.index,
            finish_reason="tool_calls" if calls else choice.finish_reason,
            stop_reason=choice.stop_reason,
            token_ids=choice.token_ids,
            completion_logprobs=choice.logprobs,
            weight_versions=choice.weight_versions,
        )


class OwnReading:
    """How the servers of one client read answers, by what they made of earlier ones."""

    def __init__(self, tokenizers: TokenizerChoice) -> None:
        self._tokenizers = tokenizers
        self._derived: dict[str, tuple[ResponseFormat, ...]] = {}
        self._fitting: BoundedCache[str, tuple[ResponseFormat, ...]] = BoundedCache(capacity=_CAPACITY)
        self._seen: BoundedCache[str, bool] = BoundedCache(capacity=_CAPACITY)

    async def reader(self, turn: Turn) -> AnswerReader | str:
        """Of answers to this turn's request, or why its answers could not be read as the server would."""
        template, trajectory = turn.template, turn.state.get("trajectory") or []
        local = await self._tokenizers.choose(template, trajectory)
        if not isinstance(local, LocalTokenizer):
            problem = self._tokenizers.problem(template.model) or "none has given the server's ids yet"
            return f"its answers need a local tokenizer to be read ({problem})"
        self._learn(trajectory, local, turn)
        formats = self._fitting.get(template.key)
        if formats is None:
            return "no answer of the server has shown yet how it reads them"
        if not formats:
            return "the server's parsers read its answers in another way than the chat template writes them"
        return _reader(formats[0], local, turn)

    def _learn(self, trajectory: Sequence[TrajectoryStep], local: LocalTokenizer, turn: Turn) -> None:
        """Looks at the latest answer of the rollout that the server has parsed. Formats that explain it stay; where
        none does, the server may have been started anew, and those come back that do."""
        template = turn.template
        shown = next((step for step in reversed(trajectory) if _was_parsed(step, template)), None)
        if shown is None or self._seen.get(shown["response"].id):
            return
        self._seen.put(shown["response"].id, True)
        every = self._formats(local)
        known = self._fitting.get(template.key) or every
        explaining = [form for form in every if _explains(_reader(form, local, turn), shown["response"])]
        self._fitting.put(template.key, tuple(form for form in known if form in explaining) or tuple(explaining))

    def _formats(self, local: LocalTokenizer) -> tuple[ResponseFormat, ...]:
        """What the template writes, as read with all parsers, with one of the two and with none."""
        known = self._derived.get(local.template_digest)
        if known is None:
            derived = derive_format(local)
            pairs = dict.fromkeys(product((derived.reasoning_parser, None), (derived.tool_call_parser, None)))
            known = tuple(format_by_names(reasoning_parser=thought, tool_call_parser=calls) for thought, calls in pairs)
            self._derived[local.template_digest] = known
        return known


def _was_parsed(step: TrajectoryStep, template: TemplateInput) -> bool:
    """Whether the server made this step's message, for a request with the same tools and template arguments, and the
    ids are known that it made it of."""
    response = step.get("response")
    served = getattr(response, "served", None)
    if served is None or response.message.tokens is None:
        return False
    return bool(served.route.is_parsed and served.template_key == template.key)


def _reader(form: ResponseFormat, local: LocalTokenizer, turn: Turn) -> AnswerReader:
    special = frozenset(local.transformers_tokenizer.all_special_tokens)
    template = turn.template
    request = parse_request(
        template.tools, turn.fields.get("tool_choice"), thinking=_thinking(template), special_texts=special
    )
    return AnswerReader(format=form, tokenizer=local, request=request, fields=turn.fields)


def _thinking(template: TemplateInput) -> bool | None:
    """What the template is told under either name that templates know."""
    arguments = tokenize_fields(template.fields).get("chat_template_kwargs") or {}
    told = arguments.get("enable_thinking", arguments.get("thinking"))
    return None if told is None else bool(told)


def _explains(reader: AnswerReader, response: Response) -> bool:
    """Whether the reader makes the server's message of the answer's ids."""
    message, tokens = response.message, response.message.tokens
    parsed = reader.parse(
        tokens.completion_ids if tokens else (),
        prompt_ids=tokens.prompt_ids if tokens else (),
        finish_reason=message.finish_reason,
        stop_reason=response.stop_reason,
    )
    calls = [(call.name, call.arguments) for call in message.tool_calls or ()]
    return (
        parsed.content == message.content
        and parsed.reasoning == message.reasoning_content
        and [(call.name, call.arguments) for call in parsed.tool_calls] == calls
    )
