"""Work that needs renderings, without doing any: a plan asks for renderings and goes on with the answers.

A plan is a generator. It yields the conversations it wants rendered, all that it can name at once, and is sent the
renderings in the same order, or the template's refusals. Its caller decides who renders, whether one waits for it,
and whether several are rendered at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from verifiers_tito.tokenization import Rendering, TemplateRefusedError

ResultT = TypeVar("ResultT")

NativeMessage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """A conversation to render, with or without a prompt for the assistant's next turn."""

    messages: Sequence[NativeMessage]
    add_generation_prompt: bool = True


Rendered = Rendering | TemplateRefusedError
Plan = Generator[list[RenderRequest], list[Rendered], ResultT]


def unrefused(rendered: Rendered) -> Rendering:
    """What was rendered. Raises the template's refusal, if it is one."""
    if isinstance(rendered, TemplateRefusedError):
        raise rendered
    return rendered


def run_plan(plan: Plan[ResultT], render: Callable[[RenderRequest], Rendering]) -> ResultT:
    """Runs `plan` with a renderer that answers at once; what it refuses is the plan's to deal with."""

    def answer(request: RenderRequest) -> Rendered:
        try:
            return render(request)
        except TemplateRefusedError as error:
            return error

    try:
        requests = next(plan)
        while True:
            requests = plan.send([answer(request) for request in requests])
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
