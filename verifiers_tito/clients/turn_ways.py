"""The way in which one turn's ids go in: the best of the server's routes that can carry the request.

A route that cannot is passed over for this turn, and stays. What each of them lacks is told where none is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifiers_tito.clients.answer_checks import check_vocabulary
from verifiers_tito.clients.native_completion import NativeCompletion, native_completion
from verifiers_tito.clients.own_reading import AnswerReader, OwnReading
from verifiers_tito.clients.prompt_runs import PromptRun
from verifiers_tito.clients.route_choice import RouteChoice
from verifiers_tito.clients.turn import Turn
from verifiers_tito.stitching import Fallback
from verifiers_tito.transport import decode
from verifiers_tito.types import FallbackReason, Served
from verifiers_tito.wire.answers import ChatAnswer
from verifiers_tito.wire.token_routes import TokenRoute

_MOST_IDS = 2**32
"""Of any vocabulary: nobody can decode higher ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWay:
    """A route, and who reads its answers where the server does not."""

    route: TokenRoute
    reader: AnswerReader | None = None

    def body(self, turn: Turn, run: PromptRun, *, room: int | None) -> dict[str, Any]:
        """`room` is how many ids can follow the prompt, None where the server does not say."""
        chat = turn.body([])
        if self.reader is not None and self.reader.keeps_special:
            chat["skip_special_tokens"] = False
        return self.route.body(chat, run.wire_form, room)

    def read(self, body: bytes, run: PromptRun, served: Served) -> NativeCompletion:
        """The answer as a chat completion. Raises `InvalidModelResponseError` where it cannot be read."""
        operation = f"POST {self.route.path}"
        if self.reader is None or self.route.sampled is None:
            return native_completion(body, decode(body, ChatAnswer, operation=operation), served)
        sampled = decode(body, self.route.sampled, operation=operation).sampled()
        check_vocabulary(sampled, _MOST_IDS)
        answer = self.reader.read(sampled, run.token_ids)
        return native_completion(None, answer, served)


class TurnWays:
    """Chooses for each turn anew."""

    def __init__(self, reading: OwnReading) -> None:
        self._reading = reading

    async def choose(self, routes: RouteChoice, turn: Turn) -> TurnWay | Fallback:
        """The way for this turn, or why it has to go in as messages."""
        chat, problems = turn.body([]), []
        for route in routes.left():
            problem = route.request_problem(chat)
            if problem:
                problems.append(f"{route.route}: {problem}")
                continue
            if route.sampled is None:
                return TurnWay(route=route)
            reader = await self._reading.reader(turn)
            if isinstance(reader, AnswerReader):
                return TurnWay(route=route, reader=reader)
            problems.append(f"{route.route}: {reader}")
        if not problems:
            return routes.none_left()
        return Fallback(FallbackReason.ROUTE_UNFIT, "; ".join(problems))
