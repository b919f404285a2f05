"""Which way of sending token ids one server takes: the best of those it lists, proven by the echo.

A server that does not list its routes is tried: one that does not exist answers 404. Stock vLLM's own way is a field
that older servers do not know and pass over: they render the (empty) messages instead, which the echoed ids show.
Either way the next route is tried with the same turn, so that none is lost; what was found holds until the server
goes away. Whether a route can carry a certain turn is the business of `turn_ways`.
"""

from __future__ import annotations

import logging

from verifiers_tito.clients.introduction import Introduction
from verifiers_tito.errors import ConfigError, InvalidModelResponseError, ModelError
from verifiers_tito.stitching import Fallback
from verifiers_tito.transport import RequestRefusedError, RouteMissingError
from verifiers_tito.types import FallbackReason, Route
from verifiers_tito.wire.token_routes import TOKEN_ROUTES, TokenRoute


class RouteChoice:
    """The routes of one server. `wanted` allows that one only: no other is tried instead."""

    def __init__(self, wanted: Route | str | None = None) -> None:
        if wanted is not None and wanted not in list(Route):
            known = ", ".join(repr(str(route)) for route in Route)
            raise ConfigError(f"route must be one of {known}, got {wanted!r}")
        self._wanted = None if wanted is None else Route(wanted)
        self._ruled_out: dict[Route, str] = {}
        self._proven: set[Route] = set()
        self._logger = logging.getLogger(__name__)

    def left(self) -> list[TokenRoute]:
        """The routes that may be used, as far as is known, the best first."""
        return [way for way in TOKEN_ROUTES if way.route not in self._ruled_out and self._wanted in (None, way.route)]

    def none_left(self) -> Fallback:
        """Why turns have to go in as messages where no route is left."""
        if self._wanted is Route.CHAT:
            return Fallback(FallbackReason.ROUTE_CHOSEN)
        return Fallback(FallbackReason.ROUTE_MISSING, "; ".join(self._ruled_out.values()))

    def current(self) -> TokenRoute | Fallback:
        """The best route that is left, or why turns have to go in as messages."""
        return next(iter(self.left()), None) or self.none_left()

    @property
    def wants_token_ids(self) -> bool:
        """Whether somebody wants one of the token routes, and no other."""
        return self._wanted not in (None, Route.CHAT)

    def require_wanted(self, told: Introduction) -> None:
        """Raises `RouteMissingError` where a server that says this of itself cannot have the wanted route: before the
        first turn, which would go in as messages either way."""
        for way in TOKEN_ROUTES:
            if way.route is self._wanted and way.route not in self._proven:
                problem = way.problem_with(vllm_version=told.vllm_version, paths=told.paths)
                if problem:
                    raise self._missing(f"{way.absence}: {problem}")

    def prove(self, way: TokenRoute) -> None:
        """The server was seen to take exactly the ids that were sent this way."""
        self._proven.add(way.route)

    def has_proven(self, way: TokenRoute) -> bool:
        return way.route in self._proven

    def learn(self, told: Introduction) -> None:
        """Rules out what a server of this version, with these routes, cannot take: nothing has to be tried then. For a
        wanted route see `require_wanted`."""
        for way in TOKEN_ROUTES if self._wanted is None else ():
            if way.route in self._proven or way.route in self._ruled_out:
                continue
            problem = way.problem_with(vllm_version=told.vllm_version, paths=told.paths)
            if problem:
                self._ruled_out[way.route] = f"{way.absence}: {problem}"
                self._tell(way, self._ruled_out[way.route])

    def rule_out(self, way: TokenRoute, error: ModelError) -> None:
        """Takes `error` for the answer of a server that does not have this route. Raises it where it is another."""
        if not self._speaks_against(way, error):
            raise error
        words = f"{way.absence}: {error}"
        if self._wanted is not None:
            raise self._missing(words) from error
        if way.route in self._ruled_out:
            return
        self._proven.discard(way.route)
        self._ruled_out[way.route] = words
        self._tell(way, words)

    def _missing(self, words: str) -> RouteMissingError:
        return RouteMissingError(f"{words} (route={str(self._wanted)!r} allows no other way)")

    def start_over(self) -> None:
        """Another server may answer at this address from now on."""
        self._ruled_out.clear()
        self._proven.clear()

    def _tell(self, ruled_out: TokenRoute, words: str) -> None:
        """Where a better route is left, the loss changes nothing and is not worth a line in every run."""
        left = self.current()
        if isinstance(left, TokenRoute):
            if TOKEN_ROUTES.index(left) < TOKEN_ROUTES.index(ruled_out):
                return
            self._logger.info("%s; token ids go in by %s instead", words, left.route)
            return
        self._logger.warning(
            "%s; turns go in as messages, and their histories are tokenized anew. Start vLLM with "
            "VLLM_PLUGINS=verifiers_tito (or `tito serve`) to send token ids.",
            left.detail,
        )

    def _speaks_against(self, way: TokenRoute, error: ModelError) -> bool:
        if isinstance(error, RouteMissingError):
            return True
        unproven = not way.is_ours and way.route not in self._proven
        return unproven and isinstance(error, RequestRefusedError | InvalidModelResponseError)
