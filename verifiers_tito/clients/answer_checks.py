"""What has to hold of an answer before anybody learns from it: the server saw the ids that were sent, and sampled ids
that there are."""

from __future__ import annotations

from collections.abc import Sequence

from verifiers_tito.clients.prompt_runs import PromptRun
from verifiers_tito.errors import EmptyModelResponseError, InvalidModelResponseError
from verifiers_tito.transport import TurnAbortedError, decode
from verifiers_tito.types import first_difference
from verifiers_tito.wire.answers import ChatAnswer, EndsAnswer
from verifiers_tito.wire.sampled_answers import SampledAnswer


def check_not_aborted(answer: bytes) -> None:
    """A turn that the server gave up is asked for again. A message may hold the word, too: then the answer is read."""
    if b'"abort"' not in answer:
        return
    if any(choice.finish_reason == "abort" for choice in decode(answer, EndsAnswer, operation="a turn").choices):
        raise TurnAbortedError(
            "the server aborted the turn (finish_reason 'abort'): it is being stopped, or somebody paused it"
        )


def check_echo(sent: PromptRun, answer: ChatAnswer) -> None:
    """Raises unless the server says that it saw exactly the ids sent: by their digest, or by echoing them."""
    if not answer.choices:
        raise EmptyModelResponseError(f"the answer {answer.id} holds no choice")
    digest = answer.prompt_digest
    if digest is None:
        check_echoed_ids(sent.token_ids, answer.prompt_token_ids)
    elif digest != sent.digest.answer():
        raise InvalidModelResponseError(
            f"the server saw another prompt than it was sent: {sent.digest.count} ids with digest "
            f"{sent.digest.hexdigest()} sent, {digest.count} with {digest.blake2b} seen"
        )


def check_echoed_ids(sent: list[int], echoed: list[int] | None) -> None:
    """Raises unless the server echoed exactly the ids sent."""
    if echoed is None:
        raise InvalidModelResponseError(
            f"the server did not echo the {len(sent)} prompt ids it was sent, so its answer cannot be trusted; is it a "
            "vLLM?"
        )
    position = first_difference(sent, echoed)
    if position is not None:
        raise InvalidModelResponseError(
            f"the server saw another prompt than it was sent: {len(sent)} ids sent, {len(echoed)} echoed, parting at "
            f"index {position} (sent {sent[position : position + 5]}, echoed {echoed[position : position + 5]})"
        )


def check_vocabulary(answer: ChatAnswer | SampledAnswer, vocabulary_size: int | None) -> None:
    """Raises for a sampled id that the model does not have. Without a size, only negative ids are known to be none."""
    for choice in answer.choices:
        ids = choice.token_ids or ()
        wrong = unknown_id(ids, vocabulary_size)
        if wrong is not None:
            known = f"0 to {vocabulary_size - 1}" if vocabulary_size is not None else "not negative"
            raise InvalidModelResponseError(
                f"the answer holds the sampled id {wrong} at index {ids.index(wrong)}; the model's ids are {known}"
            )


def unknown_id(ids: Sequence[int], vocabulary_size: int | None) -> int | None:
    """One of `ids` that the model does not have, None where it has them all. Its ids are 0 to `vocabulary_size` - 1;
    without a size, only negative ids are known to be none."""
    lowest, highest = min(ids, default=0), max(ids, default=0)
    if lowest < 0:
        return lowest
    return highest if vocabulary_size is not None and highest >= vocabulary_size else None
