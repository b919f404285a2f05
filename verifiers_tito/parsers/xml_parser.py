"""Answers in tags: `<reasoning>...</reasoning><answer>...</answer>`.

Tags are looked for from left to right, so that a tag which stands inside another field belongs to that field's text; a
field that is nowhere else is taken from inside. This is no XML: contents are not escaped, attributes are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.parsers.parser import AnyMessage, Completion, Parser, as_it_is, reasoning_of
from verifiers_tito.types import content_to_text

_THINKING = "think"


class XMLParser(Parser):
    """`fields` are tag names, or tuples of names for one field: `XMLParser(["reasoning", ("code", "answer")])`.

    `format` writes the first name of a tuple, `parse` reads any. `extract_fn` is applied to the answer.
    """

    def __init__(
        self,
        fields: Sequence[str | Sequence[str]],
        answer_field: str = "answer",
        extract_fn: Callable[[str], Any] = as_it_is,
    ) -> None:
        super().__init__(extract_fn)
        self._fields = [_names(field) for field in fields]
        self.answer_field = answer_field
        self._tags = [tag for names in self._fields for tag in names]
        if not self._tags:
            raise ConfigError("XMLParser needs at least one field")
        if repeated := sorted({tag for tag in self._tags if self._tags.count(tag) > 1}):
            raise ConfigError(f"XMLParser got the field {', '.join(repeated)} twice")

    def parse(self, text: str, strip: bool = True, last: bool = False) -> SimpleNamespace:
        """An object with one attribute for each tag: its text, or None. Of several, the first or the `last` counts."""
        outer = _contents(self._tags, text)
        found: dict[str, str | None] = {}
        for names in self._fields:
            is_outermost = any(name in outer for name in names)
            for name in names:
                texts = (outer if is_outermost else _contents([name], text)).get(name)
                found[name] = texts[-1 if last else 0] if texts else None
        return SimpleNamespace(**{name: text.strip() if text and strip else text for name, text in found.items()})

    def parse_answer(self, completion: Completion) -> Any:
        """The last answer in a plain string, or in the last assistant message that has one; else None."""
        if isinstance(completion, str):
            return self._answer_in(completion)
        answers = (
            self._answer_in(self._text(message)) for message in reversed(self.get_assistant_messages(completion))
        )
        return next((answer for answer in answers if answer is not None), None)

    def parse_message(self, message: AnyMessage) -> SimpleNamespace:
        return self.parse(self._text(message))

    def get_fields(self) -> list[str]:
        """The names that `format` writes, in order."""
        return [names[0] for names in self._fields]

    def get_format_str(self) -> str:
        """The format, to be shown to a model."""
        shown = [names[0] if len(names) == 1 else f"[ {' | '.join(names)} ]" for names in self._fields]
        return "\n".join(f"<{name}>\n...\n</{name}>" for name in shown)

    def format(self, **values: Any) -> str:
        """A text in this format. Every field needs a value, under any of its names."""
        parts = []
        for names in self._fields:
            given = [values[name] for name in names if values.get(name) is not None]
            if not given:
                raise ConfigError(
                    f"format needs a value for {' or '.join(names)}; it got {', '.join(values) or 'none'}"
                )
            parts.append(f"<{names[0]}>\n{given[0]}\n</{names[0]}>")
        return "\n".join(parts)

    def format_score(self, message: AnyMessage) -> float:
        """0.4 for all fields (in proportion), 0.2 each for: every tag is closed, the first field begins the message,
        the last one ends it. Nothing for a message without any field."""
        text = self._text(message).strip()
        found = self.parse(text)
        present = [names for names in self._fields if any(getattr(found, name) is not None for name in names)]
        if not present:
            return 0.0
        all_closed = all(text.count(f"<{tag}>") == text.count(f"</{tag}>") for tag in self._tags)
        begins = any(text.startswith(f"<{name}>") for name in self._fields[0])
        ends = any(text.endswith(f"</{name}>") for name in self._fields[-1])
        return 0.4 * len(present) / len(self._fields) + 0.2 * (all_closed + begins + ends)

    def _answer_in(self, text: str) -> Any:
        answer = getattr(self.parse(text, last=True), self.answer_field, None)
        return None if answer is None else self.extract_fn(answer)

    def _text(self, message: AnyMessage) -> str:
        """The message's text, with the reasoning in its tag where this format has one and the server took it out."""
        text, reasoning = content_to_text(message.get("content")), reasoning_of(message)
        if not reasoning or _THINKING not in self._tags or f"</{_THINKING}>" in text:
            return text
        return f"<{_THINKING}>\n{reasoning}\n</{_THINKING}>\n{text}"


def _names(field: str | Sequence[str]) -> tuple[str, ...]:
    names = (field,) if isinstance(field, str) else tuple(field)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"a field of XMLParser is a name or a tuple of names, got {field!r}")
    return names


def _contents(tags: Sequence[str], text: str) -> dict[str, list[str]]:
    """The texts between tags, by tag, in order; tags inside of another are part of its text. One walk over `text`,
    however many tags are never closed."""
    opening = re.compile(f"<({'|'.join(map(re.escape, tags))})>")
    found: dict[str, list[str]] = {}
    position, never_closed = 0, set()
    while start := opening.search(text, position):
        tag, position = start[1], start.end()
        end = -1 if tag in never_closed else text.find(f"</{tag}>", position)
        if end < 0:
            never_closed.add(tag)
        else:
            found.setdefault(tag, []).append(text[position:end])
            position = end + len(f"</{tag}>")
    return found
