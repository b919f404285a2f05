"""What a list of prompt ids on the wire may hold.

Used by the server plugin and by the fake, so that both refuse the same bodies in the same words. It knows the
vocabulary's size, not the tokenizer.
"""

from __future__ import annotations

from verifiers_tito.wire.request_fields import RequestFieldError


class TokenIdsError(RequestFieldError):
    """`tokens` of a request cannot be used as a prompt."""

    param = "tokens"


def check_token_ids(tokens: object, *, vocabulary_size: int) -> list[int]:
    """Returns `tokens` as they are when every id can be looked up, else raises `TokenIdsError`.

    The message names the first offending position and value. Whether the prompt *fits* is vLLM's own check, in
    vLLM's own words.
    """
    if not isinstance(tokens, list) or not tokens:
        raise TokenIdsError("tokens must be a non-empty list of token ids, got " + _describe(tokens))
    if set(map(type, tokens)) != {int}:  # the cheap question first: a prompt may hold 100,000 ids
        position = next(i for i, token in enumerate(tokens) if type(token) is not int)
        raise TokenIdsError(f"tokens[{position}] must be an integer token id, got {_describe(tokens[position])}")
    lowest = min(tokens)
    if lowest < 0:
        raise TokenIdsError(f"tokens[{tokens.index(lowest)}] is negative: {lowest}")
    highest = max(tokens)
    if highest >= vocabulary_size:
        raise TokenIdsError(
            f"Token id {highest} at tokens[{tokens.index(highest)}] is out of vocabulary "
            f"(the model has ids 0 to {vocabulary_size - 1})"
        )
    return tokens


def _describe(value: object) -> str:
    if isinstance(value, list):
        return "an empty list"
    if isinstance(value, bool | int | float | str):
        return f"{type(value).__name__} {value!r:.40}"
    return type(value).__name__
