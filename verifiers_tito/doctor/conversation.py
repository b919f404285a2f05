"""The proof by doing: two real turns through the token client, and whether the second continued the first's ids."""

from __future__ import annotations

from openai import AsyncOpenAI

from verifiers_tito.clients.openai_chat_completions_token_client import OpenAIChatCompletionsTokenClient
from verifiers_tito.doctor.findings import ConversationFinding
from verifiers_tito.errors import Error
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import Message, Response, State, StitchingConfig, TurnTokens, UserMessage, step_tokens

MAX_TOKENS = 8
_FIRST: list[Message] = [UserMessage(content="What is 2 + 2?")]
_SECOND = UserMessage(content="And 3 + 3?")


async def converse(provider: AsyncOpenAI, model: str, *, tokenizer: LocalTokenizer | None) -> ConversationFinding:
    """`tokenizer` is the local one that a client would load; whether it uses it, the client finds out itself."""
    stitching = StitchingConfig(tokenizer=tokenizer)
    state = State(
        input={}, trajectory=[], trajectory_id="doctor", model=model, sampling_args={}, tool_defs=[], is_completed=False
    )
    try:
        async with OpenAIChatCompletionsTokenClient(provider, stitching=stitching) as client:
            first = await _turn(client, state, _FIRST)
            second = await _turn(client, state, [*_FIRST, first.message.plain(), _SECOND])
    except Error as error:
        return ConversationFinding(works=False, problem=str(error))
    return judge(first, second)


def judge(first: Response, second: Response) -> ConversationFinding:
    """Whether the second turn went in as ids that begin with all of the first's."""
    before, after, served = first.message.tokens, second.message.tokens, second.served
    if before is None or after is None or served is None or first.served is None:
        return ConversationFinding(works=False, problem="the server sends no token ids; vLLM does since 0.10.2")
    problem = ""
    if not served.route.is_token_in:
        detail = f" ({served.detail})" if served.detail else ""
        problem = f"the second turn went in as messages: {served.reason}{detail}"
    elif not _continues(before, after):
        problem = "the second turn's prompt does not begin with the ids of the first turn"
    return ConversationFinding(
        works=not problem,
        problem=problem,
        first_turn=first.served.label,
        second_turn=served.label,
        first_prompt_ids=len(before.prompt_ids),
        first_sampled_ids=len(before.completion_ids),
        second_prompt_ids=len(after.prompt_ids),
        tokenizer=served.tokenizer,
        route=served.route,
    )


def _continues(before: TurnTokens, after: TurnTokens) -> bool:
    ids = [*before.prompt_ids, *before.completion_ids]
    return len(after.prompt_ids) > len(ids) and after.prompt_ids[: len(ids)] == ids


async def _turn(client: OpenAIChatCompletionsTokenClient, state: State, prompt: list[Message]) -> Response:
    response = await client.get_response(prompt, state["model"], {"max_tokens": MAX_TOKENS}, state=state)
    state["trajectory"].append(
        {
            "prompt": prompt,
            "completion": [response.message.plain()],
            "response": response,
            "tokens": step_tokens(response, max_seq_len=None),
        }
    )
    return response
