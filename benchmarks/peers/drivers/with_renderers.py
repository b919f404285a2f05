"""The `renderers` package: its Qwen3 renderer, its bridge to the next turn, and its client of vLLM's generate route."""

from __future__ import annotations

import json
from typing import Any

from driving import Begin, drive, first


def load() -> Begin:
    from openai import AsyncOpenAI  # noqa: PLC0415  in its own environment only
    from renderers import Qwen3RendererConfig, create_renderer  # noqa: PLC0415
    from renderers.base import load_tokenizer  # noqa: PLC0415
    from renderers.client import generate  # noqa: PLC0415

    # Its own choice renders a conversation anew whenever a user speaks, which changes the ids.
    keeping_ids = Qwen3RendererConfig(thinking_retention="all")
    clients: dict[str, AsyncOpenAI] = {}
    renderers: dict[str, Any] = {}

    class RenderedTalk:
        def __init__(self, begun: dict[str, Any]) -> None:
            self.begun = begun
            self.said: list[Any] = []
            self.before: dict[str, Any] | None = None
            url, folder = begun["base_url"], begun["model_folder"]
            if url not in clients:
                clients[url] = AsyncOpenAI(base_url=url, api_key="EMPTY", max_retries=0)
            if folder not in renderers:
                renderers[folder] = create_renderer(load_tokenizer(folder), keeping_ids)
            self.renderer = renderers[folder]

        async def say(self, message: dict[str, Any], sampling: dict[str, Any]) -> None:
            new = self.message(message)
            self.said.append(new)
            self.before = await generate(
                client=clients[self.begun["base_url"]],
                renderer=self.renderer,
                messages=self.said,
                model=self.begun["model"],
                prompt_ids=self.bridged(new),
                tools=self.begun["tools"],
                sampling_params=sampling,
            )
            answer = {"role": "assistant", "content": self.before["content"] or ""}
            if calls := self.calls():
                answer["tool_calls"] = calls
            self.said.append(answer)

        def bridged(self, new: dict[str, Any]) -> list[int] | None:
            """The prompt's ids, or None where it is to be rendered anew."""
            if self.before is None:
                return None
            bridge = self.renderer.bridge_to_next_turn(
                self.before["prompt_ids"], self.before["completion_ids"], [new], tools=self.begun["tools"]
            )
            return None if bridge is None else bridge.token_ids

        def calls(self) -> list[dict[str, Any]]:
            """As its `render` takes them: it parses arguments, and writes them again."""
            found = [call for call in self.before["tool_calls"] or [] if call.name]
            return [
                {
                    "id": f"call-{len(self.said)}-{position}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for position, call in enumerate(found)
            ]

        def message(self, message: dict[str, Any]) -> dict[str, Any]:
            if message["role"] == "user":
                return message
            return {**message, "tool_call_id": first(self.said[-1].get("tool_calls"))["id"]}

    return RenderedTalk


if __name__ == "__main__":
    drive(load, "renderers", "openai", "transformers")
