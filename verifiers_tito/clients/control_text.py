"""Control strings in untrusted contents, where no local tokenizer can keep them text: found, and dealt with by policy.

The server tokenizes what a template made of a content, and cannot be told which part was which. So what looks like
markup is collected from user and tool messages, and the server's tokenizer is asked once which of it is a control
token.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from verifiers_tito.errors import UntrustedTextError
from verifiers_tito.tokenization import ServerTokenizer, untrusted_texts
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import ControlTextPolicy

_CANDIDATE = re.compile(r"(?=(<[^<>\s]{1,80}>|\[[^\[\]\s]{1,40}\]|\][~!][^\s\[\]]{0,20}[\[\]]|\[e~\[|◁[^\s◁▷]{1,40}▷))")
"""What control tokens look like, as vocabularies spell them. A string may begin inside another."""


class ControlTextGuard:
    """Applies a policy to contents that the server will tokenize."""

    def __init__(self, server: ServerTokenizer, policy: ControlTextPolicy) -> None:
        self._server = server
        self._policy = policy
        self._warned: set[str] = set()
        self._logger = logging.getLogger(__name__)

    async def find(
        self, messages: Sequence[Mapping[str, Any]], *, model: str, tokens: Container[str] | None = None
    ) -> list[str]:
        """The control strings in these messages' untrusted texts, each as often as it stands there. `tokens` are the
        spellings of the tokens that the server made of them, if that is known: it is asked about those only."""
        if self._policy is ControlTextPolicy.PARSE:
            return []
        candidates = [text for text in control_candidates(messages) if tokens is None or text in tokens]
        if not candidates:
            return []
        try:
            found = await self._server.control_strings(sorted(set(candidates)), model=model)
        except RouteMissingError:
            found = {text for text in candidates if "|" in text}  # a guess, where nobody can be asked
        return [text for text in candidates if text in found]

    def pass_or_refuse(self, found: Sequence[str], *, model: str, why_not_local: str) -> int:
        """How many control strings pass. Raises `UntrustedTextError` where none may."""
        if not found:
            return 0
        shown = ", ".join(repr(text) for text in sorted(set(found))[:5])
        if self._policy is ControlTextPolicy.TEXT:
            count = "1 control string" if len(found) == 1 else f"{len(found)} control strings"
            raise UntrustedTextError(
                f"{count} in user or tool messages ({shown}) would become control tokens of {model}, and no local "
                f"tokenizer keeps them text ({why_not_local or 'none was found'}). Give "
                "StitchingConfig(tokenizer=FOLDER) on a server that takes token ids, clean the messages, or let them "
                'pass with StitchingConfig(control_text="warn")'
            )
        if model not in self._warned:
            self._warned.add(model)
            self._logger.warning(
                "%s: control strings in user or tool messages (%s) become control tokens, because no local tokenizer "
                "keeps them text (%s); later ones are only counted",
                model,
                shown,
                why_not_local or "none was found",
            )
        return len(found)


def control_candidates(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything in untrusted texts that looks like markup, and so may be a control string."""
    texts = (text for message in messages for text in untrusted_texts(message))
    return [found for text in texts for found in _CANDIDATE.findall(text)]
