"""What a docstring says of a function and of its parameters, in the style of Google, NumPy, Sphinx or Epydoc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc

import docstring_parser


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """`description` is the text outside all sections; `parameters` maps names to what is said of them."""

    description: str
    parameters: Mapping[str, str]


def read_documentation(docstring: str | None) -> Documentation:
    """A docstring in no known style is all description."""
    text = cleandoc(docstring or "")
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return Documentation(description=text, parameters={})
    parameters = {
        name.strip().lstrip("*"): parameter.description.strip()
        for parameter in parsed.params
        for name in parameter.arg_name.split(",")  # NumPy's `x, y : int`
        if parameter.description
    }
    return Documentation(description=(parsed.description or "").strip(), parameters=parameters)
