"""How an answer of our route writes the log-probabilities of what was sampled: the request's field `logprobs_form`.

vLLM writes an object for each token, with its text, its bytes and room for alternatives: some 140 bytes, built, sent
and read for one number. As an array it is `choices[].completion_logprobs`, one number a token, and `logprobs` is
null.
"""

from __future__ import annotations

from enum import StrEnum

from verifiers_tito.wire.request_fields import RequestFieldError, read_form


class LogprobsForm(StrEnum):
    OBJECTS = "objects"
    ARRAY = "array"


class LogprobsFormError(RequestFieldError):
    """`logprobs_form` of a request cannot be followed."""

    param = "logprobs_form"


def check_logprobs_form(value: object, request: object) -> LogprobsForm:
    """The form that a request asks for, `OBJECTS` where it does not say (or says null), else `LogprobsFormError`.
    `request` has a chat completion's other fields as attributes."""
    form = read_form(value, LogprobsForm, default=LogprobsForm.OBJECTS, error=LogprobsFormError)
    if form is LogprobsForm.ARRAY:
        if getattr(request, "stream", None):
            raise LogprobsFormError('logprobs_form "array" cannot be streamed: ask for "objects", or leave out stream')
        for alternatives in ("top_logprobs", "logprob_token_ids"):
            if getattr(request, alternatives, None):
                raise LogprobsFormError(f'logprobs_form "array" has no room for {alternatives}: ask for "objects"')
        if not getattr(request, "return_token_ids", None):
            raise LogprobsFormError('logprobs_form "array" goes with the ids: set return_token_ids')
    return form
