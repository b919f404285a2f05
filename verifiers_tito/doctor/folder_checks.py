"""A tokenizer's folder: whether its template can be bridged. Nothing is asked of any server."""

from __future__ import annotations

from verifiers_tito.doctor.advice import template_advice
from verifiers_tito.doctor.findings import (
    ControlText,
    FolderFinding,
    InjectionFinding,
    Report,
)
from verifiers_tito.doctor.template_checks import template_in_files
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import ControlTextPolicy


def check_folder(folder: str) -> Report:
    """Raises `TokenizerUnavailableError` where there is nothing to judge."""
    examined = template_in_files(LocalTokenizer.load(folder))
    tokenizer, template = examined.tokenizer, examined.finding
    return Report(
        target=folder,
        folder=FolderFinding(
            folder=folder,
            form=tokenizer.form,
            control_strings=len(tokenizer.controls.ids),
            template_digest=tokenizer.template_digest,
        ),
        template=template,
        injection=InjectionFinding(
            policy=ControlTextPolicy.TEXT,
            effect=ControlText.STAYS_TEXT,
            detail="where a client uses these files, and they give the server's ids",
        ),
        advice=tuple(template_advice(template)),
    )
