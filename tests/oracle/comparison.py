"""Both sides' prompts and bridges for one family and one shape, and the template's own, which is the judge.

    first turn   our rendering            the renderer's             apply_chat_template
    bridge       TemplateBridge.extend    bridge_to_next_turn        the reference of tests/corpus

A side may decline; that both decline is agreement too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

from tests.corpus.family import Family
from tests.corpus.reference import appended_ids, in_template_form, reference_bridge, sampled_ends
from tests.corpus.shape import Shape
from tests.corpus.shapes import make_shapes
from tests.oracle.pairs import PAIRS, Pair, renderer_for, tokenizer_for, with_fixed_date
from tests.oracle.sampling import sampled_body
from verifiers_tito.stitching import Fallback, Junction, RenderRequest, TemplateBook, TemplateBridge
from verifiers_tito.tokenization import LocalTokenizer, Rendering, TemplateRefusedError
from verifiers_tito.types import ControlTextPolicy

SEED = 1


class What(StrEnum):
    PROMPT = "prompt"
    BRIDGE = "bridge"


class Verdict(StrEnum):
    """What the comparison of two answers came to."""

    SAME_IDS = "same ids"
    BOTH_DECLINE = "both decline"
    OTHER_IDS = "other ids"
    WE_DECLINE = "we decline"
    THEY_DECLINE = "they decline"

    @property
    def is_agreement(self) -> bool:
        return self in (Verdict.SAME_IDS, Verdict.BOTH_DECLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The ids of a whole prompt, or why there are none."""

    ids: list[int] | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison. `name` is the shape's, with the turn's last token where the shape is tried with several.

    `template` is the judge's answer: none where the template refuses or writes no bridge, nor where a message holds
    control strings, which it cannot tell from its own.
    """

    family: str
    what: What
    name: str
    ours: Answer
    theirs: Answer
    template: Answer

    @property
    def verdict(self) -> Verdict:
        if self.ours.ids is None:
            return Verdict.BOTH_DECLINE if self.theirs.ids is None else Verdict.WE_DECLINE
        if self.theirs.ids is None:
            return Verdict.THEY_DECLINE
        return Verdict.SAME_IDS if self.ours.ids == self.theirs.ids else Verdict.OTHER_IDS


@cache
def cases_of(family: str) -> tuple[Case, ...]:
    """Every comparison for one family."""
    side_by_side = SideBySide(next(pair for pair in PAIRS if pair.family == family))
    return tuple(case for shape in make_shapes(SEED) for case in side_by_side.cases(shape))


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Our side and the renderer's for one pair. `policy` is ours, for control strings in messages."""

    pair: Pair
    policy: ControlTextPolicy = ControlTextPolicy.TEXT
    _books: dict[str, TemplateBook] = field(default_factory=dict)
    _renderers: dict[str, Any] = field(default_factory=dict)

    def cases(self, shape: Shape) -> Iterator[Case]:
        """The first turn and, where it can be rendered, the bridge behind each way in which the turn may end."""
        family = self.pair.corpus_family
        raw = shape.with_control_string(family.control_string)
        formed = _in_form(family, raw)
        prompt = Case(
            family=family.name,
            what=What.PROMPT,
            name=shape.name,
            ours=self._our_prompt(formed),
            theirs=self._their_prompt(formed),
            template=self._template_prompt(formed),
        )
        yield prompt
        if prompt.ours.ids is None:
            return
        ends = [self.pair.ends.get(end, end) for end in sampled_ends(family, shape)]
        for end in ends:
            name = shape.name if len(ends) == 1 else f"{shape.name} {end}"
            case = self._bridge_case(formed, raw, prompt.ours.ids, end)
            judge = Answer(refusal="it cannot tell the control strings of messages from its own")
            yield replace(case, name=name, template=judge if shape.holds_control_strings else case.template)

    def _bridge_case(self, shape: Shape, raw: Shape, prompt_ids: list[int], end: str) -> Case:
        """`raw` is what the reference takes: the shape, not yet in the template's form."""
        completion_ids = self._completion(shape, prompt_ids, end)
        return Case(
            family=self.pair.family,
            what=What.BRIDGE,
            name=shape.name,
            ours=self._our_bridge(shape, prompt_ids, completion_ids, ended=bool(end)),
            theirs=self._their_bridge(shape, prompt_ids, completion_ids),
            template=self._template_bridge(raw, prompt_ids + completion_ids, end),
        )

    def _completion(self, shape: Shape, prompt_ids: list[int], end: str) -> list[int]:
        body = sampled_body(self.pair, shape, prompt_ids)
        return [*body, self._tokenizer.convert_tokens_to_ids(end)] if end else body

    @property
    def _tokenizer(self) -> Any:
        return tokenizer_for(self.pair.family)

    def _render(self, shape: Shape) -> Callable[[RenderRequest], Rendering]:
        tokenizer = LocalTokenizer(self._tokenizer, policy=self.policy)
        fields = {"chat_template_kwargs": with_fixed_date(shape.template_kwargs)}

        def render(request: RenderRequest) -> Rendering:
            return tokenizer.render_now(
                request.messages,
                tools=shape.tools,
                template_fields=fields,
                add_generation_prompt=request.add_generation_prompt,
            )

        return render

    def _our_prompt(self, shape: Shape) -> Answer:
        try:
            return Answer(ids=self._render(shape)(RenderRequest(shape.history)).ids_from(0))
        except TemplateRefusedError as error:
            return Answer(refusal=str(error))

    def _our_bridge(self, shape: Shape, prompt_ids: list[int], completion_ids: list[int], *, ended: bool) -> Answer:
        book = self._books.setdefault(_settings(shape), TemplateBook())
        junction = Junction.between(shape.history, shape.assistant, shape.tail)
        made = TemplateBridge(book, self._render(shape)).extend(prompt_ids, completion_ids, junction, ended=ended)
        return Answer(refusal=str(made)) if isinstance(made, Fallback) else Answer(ids=made.token_ids)

    def _renderer(self, shape: Shape) -> Any:
        key = _settings(shape)
        if key not in self._renderers:
            self._renderers[key] = renderer_for(self.pair, shape.template_kwargs)
        return self._renderers[key]

    def _their_prompt(self, shape: Shape) -> Answer:
        try:
            ids = self._renderer(shape).render_ids(shape.history, tools=shape.tools, add_generation_prompt=True)
        except Exception as error:  # somebody else's package: whatever it raises is its answer
            return Answer(refusal=f"{type(error).__name__}: {error}")
        return self._without_prefill(ids)

    def _their_bridge(self, shape: Shape, prompt_ids: list[int], completion_ids: list[int]) -> Answer:
        made = self._renderer(shape).bridge_to_next_turn(
            list(prompt_ids), list(completion_ids), shape.tail, tools=shape.tools
        )
        return Answer(refusal="it declines") if made is None else self._without_prefill(made.token_ids)

    def _without_prefill(self, ids: list[int]) -> Answer:
        prefill = self._tokenizer.encode(self.pair.prefill, add_special_tokens=False)
        if ids[len(ids) - len(prefill) :] != prefill:
            raise AssertionError(f"{self.pair.renderer} no longer ends a prompt with {self.pair.prefill!r}")
        return Answer(ids=ids[: len(ids) - len(prefill)])

    def _template_prompt(self, shape: Shape) -> Answer:
        try:
            text = self._tokenizer.apply_chat_template(
                shape.history,
                tools=shape.tools,
                add_generation_prompt=True,
                tokenize=False,
                **with_fixed_date(shape.template_kwargs),
            )
        except Exception as error:  # a template is a program: whatever it raises is its answer
            return Answer(refusal=f"{type(error).__name__}: {error}")
        return Answer(ids=self._tokenizer.encode(text, add_special_tokens=False))

    def _template_bridge(self, shape: Shape, ids: list[int], end: str) -> Answer:
        family = self.pair.corpus_family
        dated = replace(shape, template_kwargs=with_fixed_date(shape.template_kwargs))
        reference = reference_bridge(family, self._tokenizer, dated)
        if not reference.bridge_ids:
            return Answer(refusal=f"{reference.outcome} {reference.detail}")
        return Answer(ids=ids + list(appended_ids(family, reference, end)))


def _in_form(family: Family, shape: Shape) -> Shape:
    """The shape as the family's template takes it."""
    history, (turn,), tail = (
        in_template_form(family, messages) for messages in (shape.history, [shape.assistant], shape.tail)
    )
    return replace(shape, history=history, assistant=turn, tail=tail)


def _settings(shape: Shape) -> str:
    """What a template's arguments are besides the messages."""
    return repr((shape.template_kwargs, shape.tools is not None))
