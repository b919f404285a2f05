"""The `openai` package alone: messages in, asking for ids and log-probabilities as a trainer needs them."""

from __future__ import annotations

from typing import Any

from driving import Begin, drive, first, split_sampling


def load() -> Begin:
    from openai import AsyncOpenAI, omit  # noqa: PLC0415  in its own environment only

    clients: dict[str, AsyncOpenAI] = {}

    class MessageTalk:
        def __init__(self, begun: dict[str, Any]) -> None:
            self.begun = begun
            self.said: list[Any] = []
            url = begun["base_url"]
            if url not in clients:
                clients[url] = AsyncOpenAI(base_url=url, api_key="EMPTY", max_retries=0)
            self.client = clients[url]

        async def say(self, message: dict[str, Any], sampling: dict[str, Any]) -> None:
            if message["role"] == "tool":
                message = {**message, "tool_call_id": first(self.said[-1].get("tool_calls"))["id"]}
            self.said.append(message)
            arguments = split_sampling(sampling)
            completion = await self.client.chat.completions.create(
                model=self.begun["model"],
                messages=self.said,
                tools=self.begun["tools"] or omit,
                logprobs=True,
                max_tokens=arguments["max_tokens"],
                temperature=arguments["temperature"],
                extra_body={**arguments["extra_body"], "return_token_ids": True},
            )
            answer = completion.choices[0].message
            self.said.append(answer.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True))

    return MessageTalk


if __name__ == "__main__":
    drive(load, "openai")
