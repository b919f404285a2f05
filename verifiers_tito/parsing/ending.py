"""Where an answer ends: the ids of its text and the tokens or strings that closed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.parsing.result import ParseTermination


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfTurn:
    """What ends a turn. `stop_ids` are the format's own end tokens, `eos_ids` the vocabulary's other ones."""

    stop_ids: frozenset[int] = frozenset()
    eos_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()

    def split_ids(self, token_ids: Sequence[int]) -> tuple[Sequence[int], ParseTermination]:
        """The ids (C,) before the first end token, and how they ended. A second end token behind it is malformed."""
        for position, token_id in enumerate(token_ids):
            if token_id in self.stop_ids or token_id in self.eos_ids:
                return token_ids[:position], self._termination(token_id, is_last=position == len(token_ids) - 1)
        return token_ids, ParseTermination.MALFORMED

    def cut_text(self, text: str, termination: ParseTermination) -> tuple[str, ParseTermination]:
        """The text before the stop string that stands first, as vLLM cuts it."""
        places = [place for place in (text.find(stop) for stop in self.stop_strings) if place >= 0]
        if not places:
            return text, termination
        return text[: min(places)], ParseTermination.STOP_SEQUENCE

    def _termination(self, token_id: int, *, is_last: bool) -> ParseTermination:
        if not is_last:
            return ParseTermination.MALFORMED
        return ParseTermination.STOP_SEQUENCE if token_id in self.stop_ids else ParseTermination.EOS
