"""Where authors import `MaybeThinkParser` from; it is defined beside `ThinkParser`."""

from verifiers_tito.parsers.think_parser import MaybeThinkParser

__all__ = ["MaybeThinkParser"]
