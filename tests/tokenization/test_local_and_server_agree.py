"""The same bridge from local files and from what a server's `/tokenize` tells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenization.conversations import assistant, calling, harmless_contents, result, system, tails, user
from verifiers_tito.stitching import (
    Bridge,
    Fallback,
    Junction,
    RenderRequest,
    TailKind,
    TemplateBook,
    TemplateBridge,
    run_plan,
)
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import ContentForm, LocalTokenizer, Rendering, ServerRendering
from verifiers_tito.types import ControlTextPolicy


class Sides:
    """One template, known to both; each side has learned it by itself."""

    def __init__(self, tokenizer: FakeTokenizer) -> None:
        self._local = LocalTokenizer(tokenizer.transformers_tokenizer, form=ContentForm.STRING)
        self._server = self._local.with_policy(ControlTextPolicy.PARSE)
        self.local = TemplateBridge(TemplateBook(), self._render_locally)
        self.server = TemplateBridge(TemplateBook(), self._render_on_the_server)

    def _render_locally(self, request: RenderRequest) -> Rendering:
        return self._local.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)

    def _render_on_the_server(self, request: RenderRequest) -> Rendering:
        """All ids of the whole conversation, spelled as the vocabulary spells them."""
        whole = self._server.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)
        ids = whole.ids_from(0)
        return ServerRendering(ids, self._local.transformers_tokenizer.convert_ids_to_tokens(ids))


@pytest.fixture(scope="module")
def qwen(qwen3_tokenizer: FakeTokenizer) -> Sides:
    return Sides(qwen3_tokenizer)


@pytest.fixture(scope="module")
def llama(llama3_tokenizer: FakeTokenizer) -> Sides:
    return Sides(llama3_tokenizer)


def seen(outcome: Bridge | Fallback) -> Any:
    """What has to be equal; the sides' marks are not, and so are the words of a close that is not found."""
    if isinstance(outcome, Fallback):
        return outcome.reason
    return outcome.ids, outcome.close_length, outcome.close.ids, outcome.close.ended_by, outcome.close.is_opener


contents = st.one_of(harmless_contents, st.text(max_size=20).filter(lambda text: "<" not in text))
histories = st.sampled_from(
    [
        [user("q")],
        [system("be kind"), user("q")],
        [user("q"), system("be brief")],
        [user("q"), calling(), result("1"), assistant("a"), user("r")],
        [system("be kind"), user("q"), calling(), result("1")],
    ]
)
turns = st.one_of(
    st.just(assistant("words")),
    st.just(calling()),
    st.just(calling("call00001", "call00002")),
    st.just(calling(content="words")),
)


def junctions(max_results: int) -> st.SearchStrategy[Junction]:
    return st.builds(Junction.between, histories, turns, tails(contents, max_results=max_results))


@settings(max_examples=80, deadline=None)
@given(junctions(max_results=3))
def test_qwen_s_bridges_are_the_same(qwen: Sides, junction: Junction) -> None:
    assert seen(qwen.local.bridge(junction)) == seen(qwen.server.bridge(junction))


@settings(max_examples=80, deadline=None)
@given(junctions(max_results=2))
def test_llama_s_bridges_are_the_same(llama: Sides, junction: Junction) -> None:
    assert seen(llama.local.bridge(junction)) == seen(llama.server.bridge(junction))


@pytest.mark.parametrize("family", ["qwen", "llama"])
def test_most_tails_are_bridged_at_all(request: pytest.FixtureRequest, family: str) -> None:
    sides: Sides = request.getfixturevalue(family)
    for tail in ([user("a")], [result("1")], [result("1"), user("a")], [system("s"), user("a")]):
        after = calling() if tail[0]["role"] == "tool" else assistant("a")
        for side in (sides.local, sides.server):
            assert isinstance(side.bridge(Junction.between([user("q")], after, tail)), Bridge), tail


@pytest.mark.parametrize("family", ["qwen", "llama"])
def test_both_sides_find_the_same_closes_and_habits(request: pytest.FixtureRequest, family: str) -> None:
    sides: Sides = request.getfixturevalue(family)
    for side in (sides.local, sides.server):
        side.bridge(Junction.between([user("q")], assistant("a"), [user("b")]))
    local, server = sides.local.book, sides.server.book
    assert local.closes is not None
    assert server.closes is not None
    assert local.closes.plain == server.closes.plain
    assert local.closes.calls == server.closes.calls
    proven = {kind: (proof.verdict, proof.dropped, proof.marker) for kind, proof in local.tails.items()}
    assert proven.items() >= {(kind, (p.verdict, p.dropped, p.marker)) for kind, p in server.tails.items()}
    for side in (sides.local, sides.server):
        run_plan(side.book.learn_stripping(TailKind(("user",))), side.render)
    assert local.strips_reasoning(TailKind(("user",))) == server.strips_reasoning(TailKind(("user",)))
