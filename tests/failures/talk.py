"""A conversation with a template family, in messages and in ids: what was sent, what was sampled, what goes on."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.corpus.families import load_family
from tests.tokenization.conversations import user
from verifiers_tito.stitching import (
    STANDARD_KINDS,
    Context,
    Fallback,
    Junction,
    RenderRequest,
    Stitched,
    TemplateBook,
    TemplateBridge,
    run_plan,
)
from verifiers_tito.tokenization import LocalTokenizer, Rendering

Message = dict[str, Any]


@cache
def local_tokenizer(family: str) -> LocalTokenizer:
    return LocalTokenizer(load_family(family))


@cache
def template_bridge(family: str) -> TemplateBridge:
    """What is learned of a family is kept for all tests, as a run keeps it for all rollouts."""
    local = local_tokenizer(family)

    def render(request: RenderRequest) -> Rendering:
        return local.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)

    book = TemplateBook()
    run_plan(book.learn(STANDARD_KINDS[0], Context()), render)
    return TemplateBridge(book, render)


class Talk:
    """`ids` are what the server has seen and sampled so far, `messages` what an environment knows of it."""

    def __init__(self, family: str, *messages: Message) -> None:
        self.local = local_tokenizer(family)
        self._bridge = template_bridge(family)
        self.messages: list[Message] = list(messages or [user("q")])
        self.ids: list[int] = self.local.render_now(self.messages).ids_from(0)
        self._prompt_length = len(self.ids)

    def sample(self, sampled: str | list[int], content: str | None = None, **parsed: Any) -> Talk:
        """The model's turn: its ids (or the text that they spell), and the message a parser made of it."""
        self._prompt_length = len(self.ids)
        self.ids = self.ids + (self.local.encode(sampled) if isinstance(sampled, str) else sampled)
        self.messages.append({"role": "assistant", "content": content, **parsed})
        return self

    def outcome(self, *tail: Message, ended: bool = False) -> Stitched | Fallback:
        """The next prompt with `tail` said since, or why it cannot be had."""
        *history, after = self.messages
        prompt, sampled = self.ids[: self._prompt_length], self.ids[self._prompt_length :]
        junction = Junction.between(history, after, list(tail))
        return self._bridge.extend(prompt, sampled, junction, ended=ended)

    def go_on(self, *tail: Message, ended: bool = False) -> Stitched:
        """As `outcome`, where it is stitched; the conversation goes on from there."""
        stitched = self.outcome(*tail, ended=ended)
        assert isinstance(stitched, Stitched), stitched
        assert stitched.token_ids[: len(self.ids)] == self.ids
        assert stitched.reused_ids == len(self.ids)
        self.messages += tail
        self.ids = stitched.token_ids
        return stitched

    def added(self, *tail: Message, ended: bool = False) -> str:
        """What `go_on` adds, as text."""
        stitched = self.go_on(*tail, ended=ended)
        return self.local.decode(stitched.token_ids[stitched.reused_ids :])

    def rendered_anew(self) -> list[int]:
        """What a stack that sends messages would have the model see."""
        return self.local.render_now(self.messages).ids_from(0)

    @property
    def text(self) -> str:
        return self.local.decode(self.ids)

    def id(self, control: str) -> int:
        return self.local.controls.ids[control]

    def controls(self, ids: list[int]) -> list[str]:
        """The control tokens among `ids`, in order."""
        names = {token_id: text for text, token_id in self.local.controls.ids.items()}
        return [names[token_id] for token_id in ids if token_id in names]


def result(content: str, number: int = 1) -> Message:
    """The answer to the call of that number."""
    return {"role": "tool", "tool_call_id": f"call0000{number}", "content": content}


def calls(*arguments: str) -> list[Message]:
    """One call of `f` for each text of arguments, numbered from 1."""
    return [
        {"id": f"call0000{number}", "type": "function", "function": {"name": "f", "arguments": text}}
        for number, text in enumerate(arguments, 1)
    ]
