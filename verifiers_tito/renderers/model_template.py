"""A chat template with its arguments and tools, and what rendering has shown: how it wants calls, how it is bridged.

messages ──(in the template's form)──► text with control tokens ──► ids
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from verifiers_tito.errors import RendererError
from verifiers_tito.parsing.machine import THINK, THINK_END
from verifiers_tito.renderers.messages import Message, in_template_form, nearest_with_content, tool_for_template
from verifiers_tito.renderers.whereabouts import Place, find_places
from verifiers_tito.stitching import STANDARD_KINDS, Context, RenderRequest, TemplateBook, run_plan
from verifiers_tito.stitching.stand_in import CallStyle, new_mark
from verifiers_tito.stitching.turn_close import common_length
from verifiers_tito.tokenization import LocalRendering, LocalTokenizer, TemplateRefusedError
from verifiers_tito.tokenization.template_messages import goes_through_parts
from verifiers_tito.types import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTurn:
    """`whole.text[start:]` is the turn, and `rest` is what the `prompt` for it has besides what `whole` shares with it:
    "" where the turn is written as it is asked for. Control tokens are shared whole or not at all."""

    prompt: LocalRendering
    whole: LocalRendering
    start: int
    rest: str


class ModelTemplate:
    """Renders with one template, the same arguments and the same tools each time."""

    def __init__(
        self,
        local: LocalTokenizer,
        *,
        arguments: Mapping[str, Any] | None = None,
        tools: Sequence[Tool | Mapping[str, Any]] | None = None,
    ) -> None:
        self.local = local
        self.arguments = dict(arguments or {})
        self.tools = [tool_for_template(tool) for tool in tools] if tools else None
        self._joins_texts = not goes_through_parts(local.chat_template)

    def render(self, messages: Sequence[Message], *, ask: bool) -> LocalRendering:
        """The conversation, with a prompt for the assistant if it is to `ask` for its turn.

        Raises `RendererError` with the template's own words where it refuses.
        """
        try:
            return self.render_now(self.in_form(messages), add_generation_prompt=ask)
        except TemplateRefusedError as error:
            raise RendererError(
                f"{error} ({len(messages)} messages); change the conversation, or give another chat_template"
            ) from error

    def in_form(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """The messages as this template takes them."""
        has_calls = any(message.get("tool_calls") for message in messages)
        as_text = has_calls and self.call_style is CallStyle.ARGUMENTS_AS_TEXT
        return [
            in_template_form(message, arguments_as_text=as_text, joins_texts=self._joins_texts) for message in messages
        ]

    def render_now(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> LocalRendering:
        """As `LocalTokenizer.render_now`, for messages that are in the template's form, with its own arguments."""
        return self.local.render_now(
            messages,
            tools=tools or self.tools,
            template_fields={"chat_template_kwargs": self.arguments},
            add_generation_prompt=add_generation_prompt,
        )

    def answer(self, request: RenderRequest) -> LocalRendering:
        """What plans of `verifiers_tito.stitching` are run with."""
        return self.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)

    @cached_property
    def book(self) -> TemplateBook:
        """How turns are bridged."""
        book = TemplateBook()
        run_plan(book.learn(STANDARD_KINDS[0], Context()), self.answer)
        return book

    @cached_property
    def call_style(self) -> CallStyle:
        """How the template wants a call's arguments."""
        return self.book.closes.style.calls if self.book.closes else CallStyle.ARGUMENTS_AS_OBJECT

    @cached_property
    def opens_reasoning(self) -> bool:
        """Whether a prompt ends inside the reasoning."""
        return self._first_prompt.endswith(THINK)

    @cached_property
    def closes_reasoning(self) -> bool:
        """Whether a prompt ends behind a closed reasoning: the answer has none."""
        return self._first_prompt.endswith(THINK_END)

    @cached_property
    def _first_prompt(self) -> str:
        return self.opening([Message(role="user", content="x")]).text.rstrip()

    def opening(self, messages: Sequence[Message], role: str = "assistant") -> LocalRendering:
        """The prompt for `role`'s next message. Where a template asks for none (another role, or the first message), it
        is what the template writes in front of such a message's content."""
        if role == "assistant" and messages:
            return self.render(messages, ask=True)
        mark = new_mark()
        rendering = self.render([*messages, Message(role=role, content=mark)], ask=False)
        place = rendering.text.find(mark)
        if place < 0:
            raise RendererError(f"the chat template does not write what {role!r} says; ask for another role")
        return rendering.up_to(place)

    def written_turn(self, messages: Sequence[Message]) -> WrittenTurn:
        """The last message, as it is asked for and as it is written. Where the template writes what came before
        otherwise because of it (gpt-oss leaves reasoning out), the turn is looked for behind the message before it."""
        prompt = self.opening(messages[:-1], role=messages[-1]["role"])
        whole = self.render(messages, ask=False)
        start = self.shared_length(prompt.text, whole.text)
        written = WrittenTurn(prompt=prompt, whole=whole, start=start, rest=prompt.text[start:])
        before = nearest_with_content(messages[:-1])
        if not written.rest.strip() or before is None:
            return written
        asked = self.find_places(messages[:-1], [before], ask=True)
        found = self.find_places(messages, [before], ask=False)
        if before not in asked or before not in found or asked[before].end <= start:
            return written
        opening = prompt.text[asked[before].end :]
        shared = self.shared_length(opening, whole.text[found[before].end :])
        return WrittenTurn(prompt=prompt, whole=whole, start=found[before].end + shared, rest=opening[shared:])

    def find_places(self, messages: Sequence[Message], wanted: Collection[int], *, ask: bool) -> dict[int, Place]:
        """Where the `wanted` messages stand in `render(messages, ask=ask)`; see `whereabouts`."""
        formed: list[Any] = self.in_form(messages)  # calls as objects have texts to mark
        return find_places(lambda said: self.render(said, ask=ask).text, formed, wanted)

    def shared_length(self, text: str, other: str) -> int:
        """How long the beginning is that both texts share; a control token of either is shared whole or not at all."""
        if other.startswith(text):
            return len(text)
        length = common_length(text, other)
        for one in (text, other):
            length = self._outside_controls(one, length)
        return length

    def _outside_controls(self, text: str, place: int) -> int:
        """`place`, or the beginning of the control string that it stands in the middle of."""
        longest = max(map(len, self.local.controls.ids), default=0)
        begin = max(place - longest, 0)
        while (found := self.local.controls.find(text, begin)) is not None and found.start() < place:
            if found.end() > place:
                return found.start()
            begin = found.end()
        return place
