"""What stitching a turn came to."""

from __future__ import annotations

from dataclasses import dataclass

from verifiers_tito.types import FallbackReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitched:
    """A prompt in ids: the first `reused_ids` were sent or sampled before, the other `bridged_ids` are new.

    `earlier_prompt_ids` is the very list with which `token_ids` begins: the prompt of the turn that is continued.

    `neutralized` counts control strings in the new messages that were kept from becoming control ids, `control_strings`
    those that could not be kept from it. `tokenizer` tells who derived the new ids.
    """

    token_ids: list[int]
    reused_ids: int
    earlier_prompt_ids: list[int]
    neutralized: int = 0
    control_strings: int = 0
    tokenizer: str = ""

    @property
    def bridged_ids(self) -> int:
        return len(self.token_ids) - self.reused_ids


@dataclass(frozen=True, slots=True)
class Fallback:
    """The prompt has to go in as messages, because of `reason`; `detail` adds words where somebody gave them."""

    reason: FallbackReason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else str(self.reason)
