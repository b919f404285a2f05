"""Calls that are almost Python, made Python: what models write where Python is stricter than they are.

    month=07    from='x'    note='it's late'    note='two lines, written as two'

As vLLM repairs LFM2's calls. Nothing is run: texts are only parsed.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Callable, Iterator

_KEYWORD_SUFFIX = "_pyreservedkw_"
_STRINGS = re.compile(r"""('(?:\\.|[^'\\])*+\\?'?|"(?:\\.|[^"\\])*+\\?"?)""", re.DOTALL)
_PADDED_NUMBER = re.compile(r"(?<![\w.])0[\d_]*+(?![.eEjJ])")
_PARAMETER = re.compile(r"(?<=[(,])(\s*+)([^\W\d]\w*+)(?=\s*+=(?!=))")
_QUOTE = re.compile("['\"]")
_CHARACTER = re.compile(r"\\.|[\n\r\t\0'\"]", re.DOTALL)
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": r"\x00"}
_BEHIND_STRING = re.compile(r"\s*+[,)\]}:]")
_MOST_CLOSERS = 64
"""Of places where a string may end, each of which is a parse."""


def parsed_python(text: str) -> ast.Module:
    """Raises what `ast.parse` raises, and warns of nothing: escapes in strings are the model's affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.parse(text)


def repaired(text: str) -> Iterator[str]:
    """Other ways to read a text that is not Python, the likeliest first."""
    escaped = _mapped(text, code=_without_padding, strings=_escaped)
    yield escaped
    requoted = _requoted(escaped)
    if requoted != escaped:
        escaped = _mapped(requoted, code=str, strings=_escaped)
        yield escaped
    yield _mapped(escaped, code=_without_keywords, strings=str)


def original_name(name: str | None) -> str | None:
    """The name of a parameter as the model wrote it."""
    stem = (name or "").removesuffix(_KEYWORD_SUFFIX)
    return stem if stem != name and keyword.iskeyword(stem) else name


def _mapped(text: str, *, code: Callable[[str], str], strings: Callable[[str], str]) -> str:
    return "".join((strings if number % 2 else code)(part) for number, part in enumerate(_STRINGS.split(text)))


def _escaped(string: str) -> str:
    return _CHARACTER.sub(lambda found: _ESCAPES.get(found.group(), found.group()), string)


def _without_padding(code: str) -> str:
    def plain(found: re.Match[str]) -> str:
        digits = found.group().replace("_", "")
        return str(int(digits)) if digits.strip("0") else found.group()

    return _PADDED_NUMBER.sub(plain, code)


def _without_keywords(code: str) -> str:
    def renamed(found: re.Match[str]) -> str:
        return found.group() + (_KEYWORD_SUFFIX if keyword.iskeyword(found.group(2)) else "")

    return _PARAMETER.sub(renamed, code)


def _requoted(text: str) -> str:
    """The text with the first string that cannot end at its first closing quote ended where it can, if that is at one
    place only."""
    place = 0
    while (opened := _QUOTE.search(text, place)) is not None:
        quote, begin = opened.group(), opened.end()
        closer = next(_quotes(text, begin, quote), None)
        if closer is None:
            return text
        if not _BEHIND_STRING.match(text, closer + 1):
            return _ended(text, begin, list(_quotes(text, begin, quote)))
        place = closer + 1
    return text


def _quotes(text: str, begin: int, quote: str) -> Iterator[int]:
    return (found.start() for found in _CHARACTER.finditer(text, begin) if found.group() == quote)


def _ended(text: str, begin: int, quotes: list[int]) -> str:
    closers = [place for place in quotes if _BEHIND_STRING.match(text, place + 1)]
    readings = []
    for closer in closers if len(closers) <= _MOST_CLOSERS else ():
        inner = [place for place in quotes if place < closer]
        edges = zip([begin, *inner], [*inner, closer], strict=True)
        reading = text[:begin] + "\\".join(text[one:other] for one, other in edges) + text[closer:]
        try:
            parsed_python(_mapped(reading, code=str, strings=_escaped))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        readings.append(reading)
    return readings[0] if len(readings) == 1 else text
