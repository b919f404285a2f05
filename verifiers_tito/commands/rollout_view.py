"""One saved rollout as people read it: the conversation, and before each turn of the model where its ids came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from verifiers_tito.commands.page import BAD, GOOD, Page, visible
from verifiers_tito.results import Record, state_of
from verifiers_tito.types import Messages, Served, State, StepTokens, TrajectoryStep
from verifiers_tito.utils import messages_to_printable

_ROLE_STYLES = {"system": "magenta", "user": "cyan", "assistant": "green", "tool": "blue"}
_NO_SCORE = "-"


def title(record: Record) -> str:
    """Which rollout it is, in the words that `--rollout` takes, and its reward."""
    return visible(f"{record['example_id']}:{record['rollout_index']}  reward {score(record['reward'])}")


def score(value: float | None) -> str:
    return _NO_SCORE if value is None else f"{value:.4g}"


def print_rollout(page: Page, record: Record, *, with_ids: bool) -> None:
    """The rollout, an empty line in front of it."""
    state = state_of(record)
    page.print()
    page.print(Text(title(record), style="bold"))
    for label, value, style in _facts(record, state):
        page.print(Text.assemble("  ", f"{label:<10}", (visible(value), style)))
    said: list[Any] = []
    ids: list[int] = []
    for number, step in enumerate(state["trajectory"], 1):
        _print_new_messages(page, said, step["prompt"])
        page.print(_turn(number, step))
        if with_ids and step["tokens"] is not None:
            _print_ids(page, step["tokens"], ids)
        _print_messages(page, step["completion"])
        said = [*step["prompt"], *step["completion"]]
        ids = [*step["tokens"]["prompt_ids"], *step["tokens"]["completion_ids"]] if step["tokens"] is not None else []
    whole = [*state["prompt"], *(state["completion"] or [])]
    if whole[: len(said)] == said:  # what the environment said last, or all where no turn was taken
        _print_messages(page, whole[len(said) :])


def _facts(record: Record, state: State) -> Iterator[tuple[str, str, str]]:
    """Label, value, style."""
    metrics = ", ".join(f"{name} {score(value)}" for name, value in (record["metrics"] or {}).items())
    yield "metrics", metrics or _NO_SCORE, ""
    yield "advantage", score(record["advantage"]), ""
    yield "stopped", record["stop_condition"] or _NO_SCORE, ""
    usage = record["token_usage"]
    yield "tokens", f"{usage.get('input_tokens') or 0:,} in, {usage.get('output_tokens') or 0:,} sampled", ""
    if record["answer"] not in (None, ""):
        yield "answer", str(record["answer"]), ""
    if record["error"] is not None:
        yield "error", f"{record['error']['error']}: {record['error']['error_chain_str']}", BAD


def _turn(number: int, step: TrajectoryStep) -> Text:
    """`turn 2  chat/tokens: 65 reused, 12 bridged (local tokenizer); 8 sampled, stop`."""
    response, tokens = step["response"], step["tokens"]
    served: Served | None = getattr(response, "served", None)
    line = Text(f"turn {number}  ", style="bold")
    if served is None:
        line.append("nobody says how it was served", style=BAD)
    else:
        is_good = served.route.is_token_in or number == 1
        line.append(visible(f"{served.label}: {_origin(served, tokens)}"), style=GOOD if is_good else BAD)
    sampled = "" if tokens is None else f"; {len(tokens['completion_ids'])} sampled"
    finish = getattr(getattr(response, "message", None), "finish_reason", None)
    line.append(f"{sampled}{f', {visible(finish)}' if finish else ''}", style="not bold")
    scores = [f"{name} {score(step[name])}" for name in ("reward", "advantage") if step[name] is not None]
    line.append("".join(f"; {text}" for text in scores), style="not bold")
    return line


def _origin(served: Served, tokens: StepTokens | None) -> str:
    """Where the ids of the prompt came from."""
    if served.route.is_token_in:
        who = f" ({served.tokenizer} tokenizer)" if served.tokenizer else ""
        parts = [f"{served.reused_ids} ids reused, {served.bridged_ids} bridged{who}"]
    elif served.retokenized_ids:
        parts = [f"{served.retokenized_ids} ids retokenized"]
    else:
        parts = ["ids unknown" if tokens is None else f"{len(tokens['prompt_ids'])} ids, all new"]
    if served.detail:
        parts.append(served.detail)
    if served.neutralized:
        parts.append(f"{served.neutralized} control strings kept text")
    if served.control_strings:
        parts.append(f"{served.control_strings} control strings became control ids")
    if served.retries:
        parts.append(f"{served.retries} retries")
    return ", ".join(parts)


def _print_ids(page: Page, tokens: StepTokens, before: Sequence[int]) -> None:
    """The prompt's ids that were not there before, and the sampled ones."""
    prompt_ids = tokens["prompt_ids"]
    kept = len(before) if prompt_ids[: len(before)] == before else 0
    page.block(f"prompt ids {kept} to {len(prompt_ids)}: {_spaced(prompt_ids[kept:])}", style="dim")
    page.block(f"sampled ids: {_spaced(tokens['completion_ids'])}", style="dim")


def _spaced(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))


def _print_new_messages(page: Page, said: Sequence[Any], prompt: Messages) -> None:
    if prompt[: len(said)] == said:
        _print_messages(page, prompt[len(said) :])
        return
    page.print(Text("the history was rewritten; the whole prompt:", style=BAD))
    _print_messages(page, prompt)


def _print_messages(page: Page, messages: Sequence[Any]) -> None:
    for message in messages_to_printable(messages):
        role = str(message["role"])
        about = f" ({message['tool_call_id']})" if message.get("tool_call_id") else ""
        page.print(Text(visible(f"{role}{about}"), style=_ROLE_STYLES.get(role, "")))
        if message.get("reasoning_content"):
            page.block(visible(f"(thinks) {str(message['reasoning_content']).strip()}"), style="dim italic")
        if message.get("content"):
            page.block(visible(str(message["content"])))
        for call in message.get("tool_calls") or []:
            page.block(visible(_call(call)), style="bold")


def _call(call: Mapping[str, Any]) -> str:
    return f"calls {call['name']} {call['arguments']}   ({call['id']})"
