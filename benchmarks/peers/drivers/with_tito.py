"""Our token client, as a rollout uses it, with the configuration that a user gets who chooses nothing."""

from __future__ import annotations

from typing import Any

from driving import Begin, drive, first, split_sampling


def load() -> Begin:
    import verifiers_tito as vf  # noqa: PLC0415  a failure to import is an answer
    from verifiers_tito.types import step_tokens  # noqa: PLC0415

    clients: dict[str, vf.OpenAIChatCompletionsTokenClient] = {}

    class TokenTalk:
        def __init__(self, begun: dict[str, Any]) -> None:
            self.state = vf.State(
                input={}, trajectory=[], trajectory_id="peers", model=begun["model"], sampling_args={}, tool_defs=[]
            )
            self.tools = [vf.Tool(**tool["function"]) for tool in begun["tools"] or []] or None
            self.said: list[vf.Message] = []
            url = begun["base_url"]
            if url not in clients:
                clients[url] = vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=url, max_retries=0))
            self.client = clients[url]

        async def say(self, message: dict[str, Any], sampling: dict[str, Any]) -> None:
            prompt = [*self.said, self.message(message)]
            response = await self.client.get_response(
                prompt, self.state["model"], split_sampling(sampling), self.tools, state=self.state
            )
            answer = response.message.plain()
            step = {"prompt": prompt, "completion": [answer], "response": response}
            self.state["trajectory"].append({**step, "tokens": step_tokens(response, max_seq_len=None)})
            self.said = [*prompt, answer]

        def message(self, message: dict[str, Any]) -> vf.Message:
            if message["role"] == "user":
                return vf.UserMessage(content=message["content"])
            return vf.ToolMessage(content=message["content"], tool_call_id=first(self.said[-1].tool_calls).id)

    return TokenTalk


if __name__ == "__main__":
    drive(load, "openai", "aiohttp")
