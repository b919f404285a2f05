"""A prompt's JSON and digest grow with it, and are what they would be made anew."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from verifiers_tito.clients.prompt_runs import PromptRun, PromptRuns
from verifiers_tito.wire.prompt_digest import PromptDigest

ids = st.lists(st.integers(0, 200_000), max_size=20)


@given(st.lists(ids, min_size=1, max_size=6))
def test_a_run_that_grew_is_one_that_was_made_at_once(parts: list[list[int]]) -> None:
    run = PromptRun.of(list(parts[0]))
    for part in parts[1:]:
        run = run.grown_to(run.token_ids + part)
    whole = [token_id for part in parts for token_id in part]
    assert run.token_ids == whole
    assert msgspec.json.decode(bytes(run.wire_form)) == whole
    assert run.digest.answer() == PromptDigest().extend(whole).answer()


def test_a_prompt_is_known_by_its_very_list() -> None:
    runs = PromptRuns()
    first = [1, 2, 3]
    runs.keep(PromptRun.of(first))
    grown = runs.run([1, 2, 3, 4], earlier=first)
    assert bytes(grown.wire_form) == b"[1,2,3,4]"
    assert bytes(runs.run([9, 4], earlier=[1, 2, 3, 4]).wire_form) == b"[9,4]"


def test_conversations_that_go_on_in_turns_are_all_remembered() -> None:
    runs = PromptRuns()
    lists = [[number] for number in range(4)]
    for token_ids in lists:
        runs.keep(PromptRun.of(token_ids))
    for token_ids in lists:
        longer = [*token_ids, 7]
        assert runs.run(longer, earlier=token_ids).token_ids is longer


def test_a_list_that_was_edited_is_sent_as_it_is_now() -> None:
    runs, first = PromptRuns(), [1, 2, 3]
    runs.keep(PromptRun.of(first))
    del first[:1]
    run = runs.run([2, 3, 4], earlier=first)
    assert bytes(run.wire_form) == b"[2,3,4]"
    assert run.digest.answer() == PromptDigest().extend([2, 3, 4]).answer()
