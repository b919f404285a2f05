"""`generate`, `evaluate` and their blocking twins: many rollouts of an environment, scored, saved, continued.

What an environment adds to a run is put together here; how it goes is `Generation`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from os import PathLike
from typing import Any

from verifiers_tito.envs.blocking import run_blocking
from verifiers_tito.envs.dataset import Row, to_rows
from verifiers_tito.envs.execution import InProcess, Job, Workers
from verifiers_tito.envs.generation import GenerateOutputs, Generation, token_estimate
from verifiers_tito.envs.given_client import AnyClient, GivenClient, SharedClients, address, run_in_this_loop
from verifiers_tito.envs.options import GenerateOptions, LogCallback, ProgressCallback, StartCallback
from verifiers_tito.envs.scoring import KindOfScoring, ScoringKind, choose_scoring
from verifiers_tito.errors import ConfigError
from verifiers_tito.results import RunSettings
from verifiers_tito.rollouts import NO_LIMIT, Limits, RetryRule
from verifiers_tito.rubrics import Rubric
from verifiers_tito.types import SamplingArgs, State, Tool
from verifiers_tito.wire.package_version import package_version
from verifiers_tito.wire.sampling_fields import refuse_misspelt

Inputs = Iterable[Mapping[str, Any]]


class GeneratingEnvironment:
    """The part of an environment that runs many rollouts. Needs the rest of it."""

    rubric: Rubric
    env_id: str
    env_args: dict[str, Any]
    sampling_args: dict[str, Any]
    tool_defs: list[Tool]
    max_seq_len: int | None
    max_workers: int
    score_rollouts: bool
    pass_threshold: float
    _clients: SharedClients

    def get_eval_dataset(self, n: int = -1, seed: int | None = None) -> list[Row]:
        raise NotImplementedError

    async def rollout(
        self,
        input: Mapping[str, Any],
        client: GivenClient,
        model: str,
        sampling_args: SamplingArgs | Mapping[str, Any] | None = None,
    ) -> State:
        raise NotImplementedError

    async def teardown(self) -> None:
        raise NotImplementedError

    async def generate(
        self,
        inputs: Inputs,
        client: GivenClient,
        model: str,
        sampling_args: SamplingArgs | Mapping[str, Any] | None = None,
        max_concurrent: int = -1,
        results_path: str | PathLike[str] | None = None,
        state_columns: Sequence[str] | None = None,
        save_results: bool = False,
        push_to_hf_hub: bool = False,
        hf_hub_dataset_name: str | None = None,
        independent_scoring: bool = False,
        max_retries: int = 0,
        on_start: StartCallback | None = None,
        on_progress: ProgressCallback | Sequence[ProgressCallback] | None = None,
        on_log: LogCallback | None = None,
        *,
        max_tokens_in_flight: int | None = None,
        show_progress: bool = True,
        postpone_full_collections: bool = True,
        workers: Workers | None = None,
    ) -> GenerateOutputs:
        """One rollout per input; inputs of the same `example_id` are a group. Returns `{"outputs", "metadata"}`.

        `client` is one of ours, or a `ClientConfig` or `AsyncOpenAI`, of which a token client is made and closed at the
        end. `workers` (`vf.RayWorkers`) run the rollouts in processes of their own, with clients of the same kind. What
        the other arguments do is told at `GenerateOptions`. Failures are in the outputs; raised are a refused key and
        wrong arguments.
        """
        options = GenerateOptions(
            max_concurrent=max_concurrent,
            results_path=results_path,
            state_columns=state_columns,
            save_results=save_results,
            push_to_hf_hub=push_to_hf_hub,
            hf_hub_dataset_name=hf_hub_dataset_name,
            independent_scoring=independent_scoring,
            max_retries=max_retries,
            on_start=on_start,
            on_progress=on_progress,
            on_log=on_log,
            max_tokens_in_flight=max_tokens_in_flight,
            show_progress=show_progress,
            postpone_full_collections=postpone_full_collections,
        )
        rows, sampling = input_rows(inputs), {**self.sampling_args, **(sampling_args or {})}
        refuse_misspelt(sampling)
        kind = self._scoring(options).kind
        async with AsyncExitStack() as stack:
            if workers is not None:
                execution = workers.execution(
                    Job(
                        environment=self,
                        client=client,
                        model=model,
                        sampling_args=sampling,
                        options=options,
                        compares=kind is ScoringKind.GROUP,
                    )
                )
            else:
                open_client = await stack.enter_async_context(self._clients.opened(client))
                execution = self.in_process(open_client, model, sampling, options)
            settings = self._run_settings(rows, address(client), model, sampling, options, kind)
            return await Generation(settings=settings, options=options, kind=kind, execution=execution).run(rows)

    def in_process(
        self, client: AnyClient, model: str, sampling: Mapping[str, Any], options: GenerateOptions
    ) -> InProcess:
        """Runs rollouts of this environment in this process, scored as `options` say."""

        async def rollout(row: dict[str, Any]) -> State:
            return await self.rollout(row, client, model, sampling)

        return InProcess(
            rollout=rollout,
            scoring=self._scoring(options),
            limits=self.limits(options, sampling),
            retries=RetryRule(most_retries=options.max_retries),
            state_columns=options.columns,
            fatal=client.authentication_errors,
            postpones_full_collections=options.postpone_full_collections,
        )

    async def evaluate(
        self,
        client: GivenClient,
        model: str,
        sampling_args: SamplingArgs | Mapping[str, Any] | None = None,
        num_examples: int = -1,
        rollouts_per_example: int = 1,
        max_concurrent: int = -1,
        results_path: str | PathLike[str] | None = None,
        **options: Any,
    ) -> GenerateOutputs:
        """`generate` on the first `num_examples` (-1: all) of the evaluation dataset, each `rollouts_per_example`
        times; `options` are those of `generate`."""
        if rollouts_per_example < 1:
            raise ConfigError(f"rollouts_per_example must be at least 1, got {rollouts_per_example}")
        rows = self.get_eval_dataset(num_examples)
        inputs = [row for row in rows for _ in range(rollouts_per_example)]
        return await self.generate(inputs, client, model, sampling_args, max_concurrent, results_path, **options)

    def generate_sync(
        self, inputs: Inputs, client: GivenClient, model: str, *arguments: Any, **options: Any
    ) -> GenerateOutputs:
        """`generate`, waited for: in scripts, threads and notebooks. Connections belong to one event loop, so a client
        that was made of a `ClientConfig` stands for its configuration here, and an `AsyncOpenAI` for one with
        connections of its own. A client of ours that was made of an `AsyncOpenAI`, and an `AsyncOpenAI` with an
        `http_client`, must not have been used yet."""

        async def run(own_client: GivenClient) -> GenerateOutputs:
            return await self.generate(inputs, own_client, model, *arguments, **options)

        return run_blocking(lambda: run_in_this_loop(client, run), threads=self.max_workers)

    def evaluate_sync(self, client: GivenClient, model: str, *arguments: Any, **options: Any) -> GenerateOutputs:
        """`evaluate`, waited for; see `generate_sync`."""

        async def run(own_client: GivenClient) -> GenerateOutputs:
            return await self.evaluate(own_client, model, *arguments, **options)

        return run_blocking(lambda: run_in_this_loop(client, run), threads=self.max_workers)

    def _run_settings(
        self,
        rows: Sequence[Row],
        base_url: str,
        model: str,
        sampling: Mapping[str, Any],
        options: GenerateOptions,
        kind: ScoringKind,
    ) -> RunSettings:
        examples = len({row["example_id"] for row in rows})
        return RunSettings(
            env_id=self.env_id,
            env_args=self.env_args,
            model=model,
            sampling_args=sampling,
            scoring=str(kind),
            base_url=base_url,
            num_examples=examples,
            rollouts_per_example=len(rows) // examples if examples else 0,
            state_columns=options.columns,
            pass_threshold=self.pass_threshold,
            package_version=package_version(),
            tools=tuple(self.tool_defs),
        )

    def _scoring(self, options: GenerateOptions) -> KindOfScoring:
        return choose_scoring(self.rubric, score_rollouts=self.score_rollouts, independent=options.independent_scoring)

    def limits(self, options: GenerateOptions, sampling: Mapping[str, Any]) -> Limits:
        """The estimate is the most that a rollout can hold: see `token_estimate`."""
        turns = getattr(self, "max_turns", NO_LIMIT)
        per_turn = sampling.get("max_completion_tokens") or sampling.get("max_tokens")
        if options.max_tokens_in_flight is not None and self.max_seq_len is None and (per_turn is None or turns < 1):
            raise ConfigError(
                "max_tokens_in_flight needs to know how long a rollout can get: give max_seq_len, or max_turns and "
                'sampling_args={"max_tokens": ...}'
            )

        def tokens_of(row: dict[str, Any]) -> int:
            return token_estimate(row, tokens_per_turn=per_turn, turns=turns, max_seq_len=self.max_seq_len)

        return Limits(rollouts=options.max_concurrent, tokens=options.max_tokens_in_flight, tokens_of=tokens_of)


def input_rows(inputs: Inputs) -> list[Row]:
    """The inputs as rows with an `example_id`; a row that stands there several times stays one object."""
    if isinstance(inputs, str | Mapping):
        raise ConfigError("generate takes a list of rows or a dataset: [row] for one rollout")
    listed = list(inputs)
    rows = [row for row in listed if isinstance(row, dict) and row.get("example_id") is not None]
    return rows if len(rows) == len(listed) else to_rows(listed)
