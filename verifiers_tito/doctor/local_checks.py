"""A local tokenizer beside the server's: the same conversations, rendered by both, id by id."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.doctor.findings import Agreement, LocalFinding, RenderingFinding
from verifiers_tito.doctor.server_behaviour import QUESTION, TOOL
from verifiers_tito.errors import Error, TokenizerUnavailableError
from verifiers_tito.tokenization import LocalTokenizer, ServerTokenizer, TemplateRefusedError
from verifiers_tito.transport import Server
from verifiers_tito.types import ControlTextPolicy, first_difference

_SHOWN = 4
_CALL = {"id": "call00000", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    name: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None = None


_TURN = {"role": "assistant", "content": "Four."}
SAMPLES = (
    _Sample(name="plain", messages=[QUESTION, _TURN, {"role": "user", "content": "  And in words,\nplease? 四 "}]),
    _Sample(name="with system", messages=[{"role": "system", "content": "Be brief."}, QUESTION, _TURN, QUESTION]),
    _Sample(
        name="with a tool",
        messages=[
            QUESTION,
            {"role": "assistant", "content": "", "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": _CALL["id"], "content": "4"},
        ],
        tools=[TOOL],
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What was found, and the tokenizer itself if there is one, right or wrong."""

    finding: LocalFinding
    tokenizer: LocalTokenizer | None = None


async def check_local(server: Server, *, model: str, root: str, given: str | None) -> Local:
    """The tokenizer in the folder that was `given`, else where the server says its files are, as a client does it.

    A given folder has to be one: raises `TokenizerUnavailableError`. Files that are not here are a finding.
    """
    place = given or root
    if not place:
        detail = "the server does not say where its files are"
        return Local(finding=LocalFinding(place="", agreement=Agreement.NOT_FOUND, detail=detail))
    try:
        tokenizer = await asyncio.to_thread(LocalTokenizer.load, place)
    except TokenizerUnavailableError as error:
        if given is not None:
            raise
        return Local(finding=LocalFinding(place=place, agreement=Agreement.NOT_FOUND, detail=_why_not(place, error)))
    return Local(finding=await compare(tokenizer, server, model=model, place=place), tokenizer=tokenizer)


def _why_not(place: str, error: TokenizerUnavailableError) -> str:
    if Path(place).is_dir() or find_spec("transformers") is None:
        return str(error)
    return "it is no folder here, and no name in the local Hugging Face cache"


async def compare(local: LocalTokenizer, server: Server, *, model: str, place: str) -> LocalFinding:
    """Renders `SAMPLES` with both. What a template refuses on both sides says nothing and is left out."""
    plain, remote = local.with_policy(ControlTextPolicy.PARSE), ServerTokenizer(server)
    count = len(local.controls.ids)
    try:
        found = [await _compare_one(sample, plain, remote, model) for sample in SAMPLES]
    except Error as error:
        return LocalFinding(
            place=place, agreement=Agreement.NOT_COMPARED, control_strings=count, detail=f"no comparison: {error}"
        )
    renderings = tuple(finding for finding in found if finding is not None)
    forms = [str(twin.form) for twin in local.in_likely_forms()]
    agreeing = [form for form in forms if all(form in finding.forms for finding in renderings)]
    if not renderings:
        detail = "both templates refuse every conversation that was tried"
        return LocalFinding(place=place, agreement=Agreement.NOT_COMPARED, control_strings=count, detail=detail)
    return LocalFinding(
        place=place,
        agreement=Agreement.AGREES if agreeing else Agreement.DIFFERS,
        form=agreeing[0] if agreeing else "",
        control_strings=count,
        renderings=renderings,
    )


async def _compare_one(
    sample: _Sample, local: LocalTokenizer, remote: ServerTokenizer, model: str
) -> RenderingFinding | None:
    template = TemplateInput(model=model, tools=sample.tools, fields={})
    try:
        rendering = await remote.render(sample.messages, add_generation_prompt=True, **template.rendering)
        theirs: list[int] | str = rendering.ids_from(0)
    except TemplateRefusedError as error:
        theirs = str(error)
    ours = {twin.form: _rendered(sample, twin) for twin in local.in_likely_forms()}
    if isinstance(theirs, str) and all(isinstance(ids, str) for ids in ours.values()):
        return None
    differences = {form: _difference(ids, theirs) for form, ids in ours.items()}
    agreeing = tuple(str(form) for form, difference in differences.items() if not difference)
    detail = "; ".join(f"{form}: {difference}" for form, difference in differences.items())
    return RenderingFinding(conversation=sample.name, forms=agreeing, detail="" if agreeing else detail)


def _rendered(sample: _Sample, local: LocalTokenizer) -> list[int] | str:
    """The ids, or the template's refusal."""
    try:
        return local.render_now(sample.messages, tools=sample.tools).ids_from(0)
    except TemplateRefusedError as error:
        return str(error)


def _difference(ours: list[int] | str, theirs: list[int] | str) -> str:
    """Where they part, in words; "" if they do not."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return f"{_outcome(ours)} here, {_outcome(theirs)} there"
    position = first_difference(ours, theirs)
    if position is None:
        return ""
    return (
        f"{len(ours)} ids here, {len(theirs)} there, parting at index {position} "
        f"({ours[position : position + _SHOWN]} here, {theirs[position : position + _SHOWN]} there)"
    )


def _outcome(rendered: list[int] | str) -> str:
    return f"refused ({rendered})" if isinstance(rendered, str) else f"{len(rendered)} ids"
