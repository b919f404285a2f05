"""The token client of the `verifiers` package, fed step by step as its own MultiTurnEnv does it."""

from __future__ import annotations

from typing import Any

from driving import Begin, drive, first, split_sampling


def load() -> Begin:
    from verifiers.clients.openai_chat_completions_token_client import (  # noqa: PLC0415  in its own environment only
        OpenAIChatCompletionsTokenClient,
    )
    from verifiers.types import ClientConfig, State, Tool, ToolMessage, UserMessage  # noqa: PLC0415
    from verifiers.utils.response_utils import parse_response_message, parse_response_tokens  # noqa: PLC0415

    clients: dict[str, Any] = {}

    class TokenTalk:
        def __init__(self, begun: dict[str, Any]) -> None:
            self.state = State(trajectory=[], trajectory_id="peers", model=begun["model"])
            self.tools = [Tool(**tool["function"]) for tool in begun["tools"] or []] or None
            self.said: list[Any] = []
            url = begun["base_url"]
            if url not in clients:
                config = ClientConfig(api_base_url=url, api_key_var="NO_KEY", max_retries=0)
                clients[url] = OpenAIChatCompletionsTokenClient(config)
            self.client = clients[url]

        async def say(self, message: dict[str, Any], sampling: dict[str, Any]) -> None:
            prompt = [*self.said, self.message(message)]
            response = await self.client.get_response(
                prompt=prompt,
                model=self.state["model"],
                sampling_args=split_sampling(sampling),
                tools=self.tools,
                state=self.state,
            )
            completion = await parse_response_message(response)
            tokens = await parse_response_tokens(response, None)
            step = {"prompt": prompt, "completion": completion, "response": response, "tokens": tokens}
            self.state["trajectory"].append(step)
            self.said = [*prompt, *completion]

        def message(self, message: dict[str, Any]) -> Any:
            if message["role"] == "user":
                return UserMessage(content=message["content"])
            return ToolMessage(content=message["content"], tool_call_id=first(self.said[-1].tool_calls).id)

    return TokenTalk


if __name__ == "__main__":
    drive(load, "verifiers", "openai")
