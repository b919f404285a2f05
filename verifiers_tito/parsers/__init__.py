"""Parsers: what a model's words hold, for environments and reward functions."""

from verifiers_tito.parsers.parser import Parser
from verifiers_tito.parsers.think_parser import MaybeThinkParser, ThinkParser
from verifiers_tito.parsers.xml_parser import XMLParser

__all__ = ["MaybeThinkParser", "Parser", "ThinkParser", "XMLParser"]
