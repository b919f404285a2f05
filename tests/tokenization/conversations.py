"""Random contents and conversations for Hypothesis: words, blanks, control strings and halves of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

WORDS = (
    "a",
    "river",
    "The",
    "don't",
    "42",
    "3.14",
    "x_1",
    "naïve",
    "日本",
    "👩‍👧",
    "e\u0301",
    "{}",
    '"q"',
    "</div>",
    "f(x):",
)
BLANKS = (" ", "  ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0")

harmless_contents = st.lists(st.sampled_from((*WORDS, *BLANKS)), max_size=8).map("".join)
"""Nothing in them is or becomes a control string of any vocabulary."""


def halves_of(control: str) -> st.SearchStrategy[str]:
    cut = st.integers(1, len(control) - 1)
    return st.one_of(cut.map(lambda at: control[:at]), cut.map(lambda at: control[at:]))


def contents(controls: Sequence[str], *, min_size: int = 0) -> st.SearchStrategy[str]:
    """Contents in which anything may stand next to anything."""
    control = st.sampled_from(list(controls))
    pieces = st.one_of(
        control, control.flatmap(halves_of), st.sampled_from(BLANKS), st.sampled_from(WORDS), st.just("<|")
    )
    return st.lists(pieces, min_size=min_size, max_size=6).map("".join)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: str) -> dict[str, Any]:
    return {"role": "system", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(name: str = "f", call_id: str = "call00001", arguments: Any = None) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments or {"n": 1}}}


def result(content: str, call_id: str = "call00001") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def calling(*ids: str, content: str | None = None) -> dict[str, Any]:
    return assistant(content, tool_calls=[call(call_id=each) for each in ids or ("call00001",)])


def tails(content: st.SearchStrategy[str], *, max_results: int = 2) -> st.SearchStrategy[list[dict[str, Any]]]:
    """What an environment says after a turn: results, then users and a system message, in any number."""
    results = st.lists(content.map(result), max_size=max_results)
    others = st.lists(st.one_of(content.map(user), content.map(system)), max_size=2)
    return st.builds(list.__add__, results, others).filter(bool)
