"""The fake's engine: from a script's completion to sampled ids, the way vLLM's engine ends a generation.

Flow: the script's text or ids -> one token at a time -> stop ids, `max_tokens`, stop strings -> `Generated`. A prefix
cache counts what a real one would have found. Log-probabilities are made up: negative, and always the same for the
same token at the same position. It knows no HTTP, no messages, no parsing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.testing.fake_tokenizer import FakeTokenizer
from verifiers_tito.testing.scripts import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a generation ends."""

    most_new_tokens: int
    fewest_new_tokens: int = 0
    stop_strings: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    ignore_end_of_turn: bool = False
    show_stop: bool = False
    skip_special_tokens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was sampled. `texts[i]` is what `token_ids[i]` added; `text` is the whole, cut at a stop string.

    `held_back` is how many characters a stream keeps until the end, because a stop string may begin in them.
    """

    token_ids: list[int]
    texts: list[str]
    text: str
    finish_reason: str
    stop_reason: int | str | None
    held_back: int = 0

    @property
    def ended_by_token(self) -> bool:
        """Whether the last id is one that ends a turn, and stands in no text."""
        return self.finish_reason == "stop" and not isinstance(self.stop_reason, str)


def generate(
    completion: Completion, *, prompt_ids: Sequence[int], tokenizer: FakeTokenizer, limits: Limits
) -> Generated:
    """Samples `completion` under `limits`."""
    stream = tokenizer.text_stream(prompt_ids, skip_special_tokens=limits.skip_special_tokens)
    stop_ids = _stop_ids(tokenizer, limits)
    token_ids: list[int] = []
    texts: list[str] = []
    text = ""
    finish_reason, stop_reason = "length", None
    for token_id in _wanted_ids(completion, tokenizer=tokenizer, limits=limits):
        token_ids.append(token_id)
        stops = token_id in stop_ids
        texts.append("" if stops and not limits.show_stop else stream.step(token_id))
        text += texts[-1]
        stop_string = _found_stop(text, new=len(texts[-1]), limits=limits, count=len(token_ids))
        if stop_string is not None:
            return _cut(token_ids, texts, stop_string, limits)
        if stops:
            finish_reason = "stop"
            stop_reason = None if token_id == tokenizer.end_ids.turn else token_id
            break
    return Generated(
        token_ids=token_ids,
        texts=texts,
        text=text,
        finish_reason=finish_reason,
        stop_reason=stop_reason,
        held_back=_held_back(limits),
    )


def logprob(token_id: int, *, position: int) -> float:
    """A made-up log-probability between -12 and -0.001."""
    return -(1 + (token_id * 7919 + position * 104_729) % 11_999) / 1000


class PrefixCache:
    """Which prompt blocks a server has computed before. Blocks are whole, and depend on all that precedes them."""

    def __init__(self, *, block_size: int) -> None:
        self._block_size = block_size
        self._seen: set[int] = set()

    def cached_tokens(self, prompt_ids: Sequence[int]) -> int:
        """How many leading tokens are cached. The last token is always computed: its output is needed."""
        count = 0
        for key in self._keys(prompt_ids[:-1]):
            if key not in self._seen:
                break
            count += self._block_size
        return count

    def created_tokens(self, prompt_ids: Sequence[int], *, cached_tokens: int) -> int:
        whole_blocks = len(prompt_ids) // self._block_size * self._block_size
        return max(0, whole_blocks - cached_tokens)

    def add(self, token_ids: Sequence[int]) -> None:
        self._seen.update(self._keys(token_ids))

    def _keys(self, token_ids: Sequence[int]) -> list[int]:
        keys: list[int] = []
        before = 0
        for end in range(self._block_size, len(token_ids) + 1, self._block_size):
            before = hash((before, tuple(token_ids[end - self._block_size : end])))
            keys.append(before)
        return keys


def _stop_ids(tokenizer: FakeTokenizer, limits: Limits) -> frozenset[int]:
    if limits.ignore_end_of_turn:
        return limits.stop_ids
    return limits.stop_ids | {tokenizer.end_ids.turn} | tokenizer.end_ids.others


def _wanted_ids(completion: Completion, *, tokenizer: FakeTokenizer, limits: Limits) -> list[int]:
    """The script's ids, brought to the length that the limits allow and demand."""
    end = tokenizer.end_ids.turn
    if completion.token_ids is None:
        wanted = tokenizer.encode(completion.text or "", add_special_tokens=False)
    else:
        wanted = list(completion.token_ids)
    shortest = limits.most_new_tokens if limits.ignore_end_of_turn else limits.fewest_new_tokens
    if len(wanted) < shortest:
        filling = wanted or [end]
        wanted = [filling[i % len(filling)] for i in range(shortest)]
    if completion.finish == "stop" and wanted[-1:] != [end]:
        wanted.append(end)
    return wanted[: limits.most_new_tokens]


def _held_back(limits: Limits) -> int:
    if limits.show_stop or not limits.stop_strings:
        return 0
    return max(map(len, limits.stop_strings)) - 1


def _found_stop(text: str, *, new: int, limits: Limits, count: int) -> str | None:
    """The stop string that the newest token completed; of several, the one that ends first."""
    if not new or count <= limits.fewest_new_tokens:
        return None
    ends: dict[int, str] = {}
    for stop in limits.stop_strings:
        start = text.find(stop, max(0, len(text) - new - len(stop) + 1))
        if start >= 0:
            ends.setdefault(start + len(stop), stop)
    return ends[min(ends)] if ends else None


def _cut(token_ids: list[int], texts: list[str], stop: str, limits: Limits) -> Generated:
    """A generation that a stop string ends: the text is cut, the ids are not."""
    text = "".join(texts)
    start = text.find(stop, max(0, len(text) - len(texts[-1]) - len(stop) + 1))
    return Generated(
        token_ids=token_ids,
        texts=texts,
        text=text[: start + len(stop) if limits.show_stop else start],
        finish_reason="stop",
        stop_reason=stop,
        held_back=_held_back(limits),
    )
