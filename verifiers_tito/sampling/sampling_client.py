"""A model on a server, sampled from in token ids: what Tinker's client of this name does, on vLLM.

    ModelInput, SamplingParams ──► SampleRequest ──► /v1/completions ──► checks ──► SampleResponse

Requests run side by side on the connection's thread: start as many as wanted, then wait for their results.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from verifiers_tito.errors import InvalidModelResponseError, TokenizerUnavailableError, WeightsError
from verifiers_tito.futures import ApiFuture
from verifiers_tito.sampling.connection import Connection
from verifiers_tito.sampling.sample_answer import to_sample_response
from verifiers_tito.sampling.sample_request import SampleRequest
from verifiers_tito.sampling.sampled_model import SampledModel
from verifiers_tito.tokenization import load_tokenizer
from verifiers_tito.types import EncodedTextChunk, ModelInput, SampleResponse, SamplingParams, TextChunk

_ONE_TOKEN = SamplingParams(max_tokens=1)


class SamplingClient:
    """Made by `ServiceClient.create_sampling_client`, whose connection it shares.

    Errors are those of `verifiers_tito.errors`: what cannot be asked for raises at once, what the server refuses or
    answers wrongly raises where the result is asked for.
    """

    def __init__(self, connection: Connection, model: SampledModel, *, tokenizer: Any = None) -> None:
        self.model = model
        self._connection = connection
        self._given_tokenizer = tokenizer
        self._weights_pushed = connection.weights_pushed

    def __repr__(self) -> str:
        return f"SamplingClient({self.model.name} at {self._connection.config.base_url})"

    def sample(
        self,
        prompt: ModelInput,
        num_samples: int,
        sampling_params: SamplingParams,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
    ) -> ApiFuture[SampleResponse]:
        """`num_samples` completions of `prompt`, with the log-probability of each sampled id before temperature, top-k
        and top-p. A seed gives the same samples again, each of them another one. Strings and ids in `stop` end a
        completion beside the model's own end token, and stay in its ids, as that one does."""
        request = SampleRequest(
            prompt=self._in_ids(prompt),
            num_samples=num_samples,
            params=sampling_params,
            include_prompt_logprobs=include_prompt_logprobs,
            topk_prompt_logprobs=topk_prompt_logprobs,
        )
        self._check_weights()
        return self._connection.submit(self._sample(request))

    async def sample_async(
        self,
        prompt: ModelInput,
        num_samples: int,
        sampling_params: SamplingParams,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
    ) -> SampleResponse:
        return await self.sample(prompt, num_samples, sampling_params, include_prompt_logprobs, topk_prompt_logprobs)

    def compute_logprobs(self, prompt: ModelInput) -> ApiFuture[list[float | None]]:
        """The log-probability of each of the N ids given those before it; None for the first. N may be the whole
        context."""
        request = SampleRequest(
            prompt=self._in_ids(prompt), num_samples=1, params=_ONE_TOKEN, include_prompt_logprobs=True
        )
        self._check_weights()
        return self._connection.submit(self._compute_logprobs(request))

    async def compute_logprobs_async(self, prompt: ModelInput) -> list[float | None]:
        return await self.compute_logprobs(prompt)

    def get_tokenizer(self) -> Any:
        """The model's `transformers` tokenizer: the one that was given, or from the model's files, where this machine
        has them. Loaded once. Raises `TokenizerUnavailableError`."""
        return self._tokenizer

    def get_base_model(self) -> str:
        """The served model's name."""
        return self.model.name

    @cached_property
    def _tokenizer(self) -> Any:
        if self._given_tokenizer is not None:
            return self._given_tokenizer
        if self.model.root is None:
            raise TokenizerUnavailableError(
                f"the server does not say where the files of {self.model.name} are: give "
                "create_sampling_client(tokenizer=...)"
            )
        return load_tokenizer(self.model.root)

    def _in_ids(self, prompt: ModelInput) -> ModelInput:
        """With its text tokenized, without special tokens, as Tinker's users encode prompts."""
        if not any(isinstance(chunk, TextChunk) for chunk in prompt.chunks):
            return prompt
        encode = self.get_tokenizer().encode
        return ModelInput(
            [
                EncodedTextChunk(encode(chunk.text, add_special_tokens=False))
                if isinstance(chunk, TextChunk)
                else chunk
                for chunk in prompt.chunks
            ]
        )

    def _check_weights(self) -> None:
        if self._weights_pushed != self._connection.weights_pushed:
            raise WeightsError(
                f"{self!r} was made for weights that others have replaced since: make a new client, and serve weights "
                "that are to stay (a reference model's) from a server of their own"
            )

    async def _sample(self, request: SampleRequest) -> SampleResponse:
        token_ids = request.prompt.to_ints()
        return await self._complete(request, token_ids, request.body(token_ids, self.model))

    async def _compute_logprobs(self, request: SampleRequest) -> list[float | None]:
        token_ids = request.prompt.to_ints()
        if len(token_ids) == self.model.max_model_len and len(token_ids) > 1:
            return await self._fill_context(request, token_ids)
        return (await self._sample(request)).prompt_logprobs or []

    async def _fill_context(self, request: SampleRequest, token_ids: list[int]) -> list[float | None]:
        """vLLM wants room for one more id than the prompt holds. So the last one is sampled: it is the only one that
        may be, and its log-probability is told as it was before the others were ruled out."""
        *before, last = token_ids
        body = {**request.body(before, self.model), "allowed_token_ids": [last]}
        shorter = replace(request, prompt=ModelInput.from_ints(before))
        response = await self._complete(shorter, before, body)
        (sampled,) = response.sequences
        if sampled.tokens != [last]:
            raise InvalidModelResponseError(f"the server sampled {sampled.tokens} where only {last} was allowed")
        return [*(response.prompt_logprobs or []), *(sampled.logprobs or [])]

    async def _complete(self, request: SampleRequest, token_ids: list[int], body: dict[str, Any]) -> SampleResponse:
        answer = await self._connection.complete(body)
        self._check_weights()  # they may have changed half-way
        return to_sample_response(answer, request, token_ids, vocabulary_size=self.model.vocabulary_size)
