"""A template's verdict, tail by tail, as findings: by the server's rendering or by local files."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from verifiers_tito.clients.driving import drive
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.doctor.findings import CloseFinding, TailFinding, TemplateFinding
from verifiers_tito.errors import Error
from verifiers_tito.stitching import RenderRequest, TailKind, TemplateReport, TurnClose, examine, run_plan
from verifiers_tito.tokenization import LocalTokenizer, Rendering, ServerTokenizer
from verifiers_tito.transport import Server, decode

BY_SERVER = "the server"
BY_FILES = "local files"
DETOKENIZE = "/detokenize"


@dataclass(frozen=True, slots=True)
class ExaminedFiles:
    """`tokenizer` has the form of contents with which `finding` was found."""

    tokenizer: LocalTokenizer
    finding: TemplateFinding


class _DetokenizeAnswer(msgspec.Struct):
    prompt: str


async def template_on_server(server: Server, template: TemplateInput) -> TemplateFinding:
    """Some twenty calls of `/tokenize`."""
    try:
        report = await drive(examine(), ServerTokenizer(server), template)
    except Error as error:
        return TemplateFinding(rendered_by=BY_SERVER, is_examined=False, problem=str(error))
    close_text = await _close_text(server, report, template.model)
    return to_finding(report, close_text=close_text, rendered_by=BY_SERVER)


def template_in_files(tokenizer: LocalTokenizer) -> ExaminedFiles:
    """The same without a server, in the first form of contents with which the template can be bridged: vLLM too looks
    which one a template wants."""
    tried = [ExaminedFiles(twin, _in_one_form(twin)) for twin in tokenizer.in_likely_forms()]
    return next((examined for examined in tried if examined.finding.can_bridge), tried[0])


def _in_one_form(tokenizer: LocalTokenizer) -> TemplateFinding:

    def render(request: RenderRequest) -> Rendering:
        return tokenizer.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)

    report = run_plan(examine(), render)
    close_text = tokenizer.decode(report.closes.plain.ids) if report.closes else ""
    return to_finding(report, close_text=close_text, rendered_by=BY_FILES)


def to_finding(report: TemplateReport, *, close_text: str, rendered_by: str) -> TemplateFinding:
    return TemplateFinding(
        rendered_by=rendered_by,
        can_bridge=report.can_bridge,
        problem=report.problem,
        close=_close(report.closes.plain, close_text) if report.closes else None,
        writes_calls=report.writes_calls,
        closes_cut_turns=report.closes_cut_turns,
        tails=tuple(
            TailFinding(
                kind=_name(kind),
                verdict=proof.verdict,
                detail=proof.detail,
                dropped=proof.dropped,
                strips_reasoning=kind in report.strips_reasoning,
            )
            for kind, proof in report.tails.items()
        ),
    )


def _close(close: TurnClose, text: str) -> CloseFinding:
    return CloseFinding(text=text, ids=tuple(close.ids), is_opener=close.is_opener)


def _name(kind: TailKind) -> str:
    return "two tools" if kind.roles == ("tool", "tool") else str(kind)


async def _close_text(server: Server, report: TemplateReport, model: str) -> str:
    """The close in text; its first control token only, where the server does not turn ids into text."""
    if report.closes is None:
        return ""
    close = report.closes.plain
    body = {"model": model, "tokens": close.ids}
    try:
        answer = await server.post(DETOKENIZE, body)
        return decode(answer, _DetokenizeAnswer, operation=f"POST {DETOKENIZE}").prompt
    except Error:
        return close.start or ""
