"""The place where a conversation goes on, and the conversations that are rendered to learn how.

    history ... assistant `after` │ tail ...

A stand-in is as long as the tail, whatever the history's length. The whole conversation is for templates that look back
further than a stand-in goes, and for histories that no stand-in resembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.past import NO_PAST, Context, Past
from verifiers_tito.stitching.plan import NativeMessage
from verifiers_tito.stitching.stand_in import StandInStyle
from verifiers_tito.stitching.tail_kind import TailKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """The turn `after`, the messages said since, and the `history` before it, whose `past` is known."""

    after: NativeMessage
    tail: Sequence[NativeMessage]
    history: Sequence[NativeMessage] = ()
    past: Past = NO_PAST

    @classmethod
    def between(cls, history: Sequence[NativeMessage], after: NativeMessage, tail: Sequence[NativeMessage]) -> Junction:
        """From the whole history, which is looked through."""
        return cls(after=after, tail=tail, history=history, past=Past.of(history))

    @property
    def context(self) -> Context:
        return self.past.context

    @property
    def kind(self) -> TailKind:
        return TailKind.of(self.tail, after=self.after)

    @property
    def is_regular(self) -> bool:
        """Whether tools' answers stand behind the turns whose calls they belong to, as they do in a stand-in."""
        past = self.past.then(self.after)
        for message in self.tail:
            if message["role"] == "tool":
                past = past.then(message)
        return past.in_order

    def stand_in(self, style: StandInStyle) -> list[NativeMessage]:
        """The tail behind a short history that looks like the real one to a template."""
        systems = [self.history[place] for place in self.past.systems]
        history = style.history(self.context, systems, switch=self.past.switch)
        return [*history, style.assistant(self.after), *self.tail]

    def whole(self, style: StandInStyle, *, words: Sequence[str] = ()) -> list[NativeMessage]:
        """The tail behind the real history; if `words` are given, with one of them as each message's content."""
        tail = self.tail
        if words:
            tail = [{**message, "content": word} for message, word in zip(self.tail, words, strict=True)]
        return [*self.history, style.assistant(self.after), *tail]
