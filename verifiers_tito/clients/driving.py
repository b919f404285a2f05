"""Running a stitching plan with a tokenizer that may have to be waited for."""

from __future__ import annotations

from typing import TypeVar

from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.stitching import Plan, Rendered
from verifiers_tito.tokenization import ChatTokenizer, TemplateRefusedError

ResultT = TypeVar("ResultT")


async def drive(plan: Plan[ResultT], tokenizer: ChatTokenizer, template: TemplateInput) -> ResultT:
    """What `plan` comes to; what the template refuses is the plan's to deal with, other errors are raised."""
    try:
        requests = next(plan)
        while True:
            rendered: list[Rendered] = []
            for request in requests:
                try:
                    rendering = await tokenizer.render(
                        request.messages, add_generation_prompt=request.add_generation_prompt, **template.rendering
                    )
                    rendered.append(rendering)
                except TemplateRefusedError as error:
                    rendered.append(error)
            requests = plan.send(rendered)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
