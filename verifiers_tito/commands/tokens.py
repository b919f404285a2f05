"""`tito tokens`: a conversation token by token: whose each is, what is trained, what a bridge adds.

FILE | -  ──►  messages, tools  ──►  renderer  ──►  Explanation  ──►  rows on a terminal, or one HTML page
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from verifiers_tito.commands.page import BAD, GOOD, Page, labelled, visible
from verifiers_tito.commands.tokens_html import html_page
from verifiers_tito.errors import ConfigError

if TYPE_CHECKING:
    from verifiers_tito.renderers import TemplateRenderer
    from verifiers_tito.renderers.explanation import ExplainedBridge, ExplainedToken, Explanation

STANDARD_INPUT = "-"
_COLOURS = ("cyan", "magenta", "blue", "yellow")
"""Messages take turns with them."""
_TRAINED = "last-assistant-message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """`messages` and `tools` in OpenAI's shape."""

    messages: Sequence[Any]
    tools: Sequence[Any] | None


def add_to(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = subcommands.add_parser(
        "tokens",
        help="a conversation's tokens: whose each is, what is trained, what the next turn adds",
        epilog="FILE holds a JSON list of messages, or an object with `messages` and, if there are any, `tools`.",
    )
    add = parser.add_argument
    add("conversation", metavar="FILE", help="a conversation in JSON; - reads standard input")
    add("--tokenizer", metavar="FOLDER",
        help="a tokenizer's folder or cached model (default: qwen3-tiny, built on the spot)")  # fmt: skip
    add("--renderer", metavar="NAME", help="a renderer's name, such as qwen3 (default: the tokenizer's own template)")
    add("--train", default=_TRAINED, metavar="WHAT",
        help=f"what has weight: all-assistant-messages, all-tokens, ... (default: {_TRAINED})")  # fmt: skip
    add("--template-argument", action="append", default=[], metavar="NAME=JSON",
        help="an argument for the template, such as enable_thinking=false; may be repeated")  # fmt: skip
    add("--html", type=Path, metavar="OUT", help="write a self-contained page, too")
    return parser


def run(arguments: argparse.Namespace, *, default_tokenizer: Callable[[], Path]) -> int:
    """Writes the page if it was asked for, then prints the tokens, whose reader may leave early."""
    from verifiers_tito.renderers.explanation import explain  # noqa: PLC0415  late: a second

    conversation = read_conversation(arguments.conversation)
    place = arguments.tokenizer or default_tokenizer()
    renderer = _renderer(place, arguments, conversation)
    explanation = explain(renderer, conversation.messages, _train_on_what(arguments.train))
    if arguments.html is not None:
        title = f"{'conversation' if arguments.conversation == STANDARD_INPUT else arguments.conversation} in tokens"
        _write(arguments.html, html_page(explanation, title=title))
    print_explanation(Page(sys.stdout), explanation)
    return 0


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the page cannot be written: {error}; give --html a file in a folder that exists") from error
    print(f"written: {file}", file=sys.stderr)


def read_conversation(name: str) -> Conversation:
    """From a file, or from standard input. Raises `ConfigError`."""
    try:
        text = sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8")
        value = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"the conversation in {name} cannot be read: {error}") from error
    holder = value if isinstance(value, dict) else {"messages": value}
    messages, tools = holder.get("messages"), holder.get("tools")
    if not isinstance(messages, list) or not isinstance(tools, list | None):
        raise ConfigError(f"{name} holds no conversation: give a list of messages, or an object with `messages`")
    return Conversation(messages=messages, tools=tools)


def print_explanation(page: Page, explanation: Explanation) -> None:
    page.print(labelled(_summary(explanation)))
    page.print()
    for number, token in enumerate(explanation.tokens):
        page.print(_row(number, token, explanation))
    if explanation.bridge is not None:
        page.print()
        page.print(Text(bridge_line(explanation.bridge), style=BAD if explanation.bridge.problem else "bold"))
        for number, token in enumerate(explanation.bridge.added, start=explanation.bridge.reused):
            page.print(_row(number, token, explanation))


def _summary(explanation: Explanation) -> list[tuple[str, str, str]]:
    trained = sum(token.is_trained for token in explanation.tokens)
    rows = [
        ("tokens", f"{len(explanation.tokens)}, of which {trained} are trained", "bold"),
        ("stops", ", ".join(map(repr, explanation.stops)), ""),
        ("template", f"{len(explanation.tokens_of(None))} tokens around the messages", "dim"),
    ]
    for place, message in enumerate(explanation.messages):
        own = explanation.tokens_of(place)
        rows.append((f"{place} {message['role']}", f"{len(own)} tokens", _COLOURS[place % len(_COLOURS)]))
    return rows


def _row(number: int, token: ExplainedToken, explanation: Explanation) -> Text:
    label = "COMPLETION" if token.is_trained else "prompt"
    whose = "" if token.message is None else f"{token.message} {explanation.messages[token.message]['role']}"
    line = Text(f"[{number:4d}] {token.token_id:>6} ")
    line.append(f"{label:<10} ", style=GOOD if token.is_trained else "dim")
    style = "dim" if token.message is None else _COLOURS[token.message % len(_COLOURS)]
    return line.append(f"{whose:<12} {visible(repr(token.text))}", style=style)


def bridge_line(bridge: ExplainedBridge) -> str:
    """What the bridge comes to, in words."""
    if bridge.problem:
        return visible(f"behind message {bridge.after} there is no bridge: {bridge.problem}")
    same = "the same ids as" if bridge.is_template_s else "other ids than"
    return (
        f"bridge behind message {bridge.after}: {bridge.reused} ids as sent and sampled, {len(bridge.added)} new; "
        f"{same} rendering everything anew"
    )


def _renderer(place: Path | str, arguments: argparse.Namespace, conversation: Conversation) -> TemplateRenderer:
    from verifiers_tito.renderers import TemplateRenderer, get_renderer  # noqa: PLC0415  late: a second
    from verifiers_tito.tokenizer_utils import get_tokenizer  # noqa: PLC0415

    tokenizer = get_tokenizer(place)
    settings: dict[str, Any] = {
        "tools": conversation.tools,
        "template_arguments": _template_arguments(arguments.template_argument),
    }
    if arguments.renderer is None:
        return TemplateRenderer(tokenizer, **settings)
    made = get_renderer(arguments.renderer, tokenizer, **settings)
    if not isinstance(made, TemplateRenderer):
        raise ConfigError(f"the renderer {arguments.renderer!r} is not made from a template, so nothing is told of it")
    return made


def _template_arguments(given: Sequence[str]) -> dict[str, Any]:
    made = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            made[name] = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigError(f"--template-argument {text}: give NAME=JSON, such as enable_thinking=false") from error
    return made


def _train_on_what(name: str) -> Any:
    from verifiers_tito.renderers import TrainOnWhat  # noqa: PLC0415

    wanted = name.replace("-", "_").lower()
    if wanted not in list(TrainOnWhat):
        known = ", ".join(what.replace("_", "-") for what in TrainOnWhat)
        raise ConfigError(f"--train {name}: choose one of {known}")
    return TrainOnWhat(wanted)
