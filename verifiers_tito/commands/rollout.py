"""`tito rollout`: an environment's rollouts on a server, and what they came to.

    words ──► request ──► environment, model ──► generate (progress on standard error) ──► summary on standard output

Exit codes: 0 all rollouts finished, 3 some failed, 1 for an error of the run, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers_tito.commands.page import Page, one_line, visible
from verifiers_tito.commands.rollout_request import RolloutRequest, add_arguments, request_of
from verifiers_tito.commands.rollout_summary import first_failure, print_summary
from verifiers_tito.envs import Environment, load_environment
from verifiers_tito.envs.blocking import run_blocking
from verifiers_tito.errors import ConfigError, Error
from verifiers_tito.results import RolloutOutput

SOME_FAILED = 3
INTERRUPTED = 130  # what a shell reports after Ctrl-C
_LONGEST_CAUSE = 300
_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of `generate`. `sampled_ids` is what it has sampled so far, without what a folder had before."""

    request: RolloutRequest
    environment: Environment
    inputs: Sequence[dict[str, Any]]
    model: str
    folder: Path | None
    sampled_ids: int = 0

    async def results(self) -> dict[str, Any]:
        """What `generate` returns. The environment is torn down whatever happens."""
        try:
            return await self.environment.generate(
                self.inputs,
                self.request.client,
                self.model,
                self.request.sampling_args,
                results_path=self.folder,
                on_progress=[self._count],
                **self.request.options,
            )
        finally:
            await self._tear_down()

    def how_to_continue(self, words: Sequence[str]) -> str:
        """For somebody who has cut the run off: what is kept, and the command that does the rest."""
        if self.folder is None:
            return "interrupted; nothing is kept, because results were not to be saved: --save keeps what finished"
        more = [] if self.request.is_resumed else ["--resume", str(self.folder)]
        return (
            f"interrupted; what finished is kept in {self.folder}; to continue:\n  "
            f"{shlex.join(['tito', 'rollout', *words, *more])}"
        )

    async def _tear_down(self) -> None:
        """The results are there by now: what fails here is told, and ends nothing."""
        try:
            await self.environment.teardown()
        except Exception as error:
            _LOGGER.warning("%s was not torn down: %s: %s", self.request.env_id, type(error).__name__, error)

    def _count(self, everything: list[RolloutOutput], new: list[RolloutOutput], metadata: dict[str, Any]) -> None:
        self.sampled_ids += sum(output["token_usage"].get("output_tokens") or 0 for output in new)


def add_to(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = subcommands.add_parser(
        "rollout",
        help="run an environment's rollouts on a server: rewards, token-in rate, failures",
        epilog="Exit code 0 if all rollouts finished, 3 if some failed, 130 after Ctrl-C. Flags of vf-eval are taken "
        "where they mean the same.",
    )
    add_arguments(parser)
    return parser


def run(arguments: argparse.Namespace, *, words: Sequence[str], api_key: str | None) -> int:
    """`words` are the command's own, to be repeated in the command that continues the run."""
    from verifiers_tito.clients.introduction import key_accepted  # noqa: PLC0415  late: openai, a second
    from verifiers_tito.commands.served_model import choose_model  # noqa: PLC0415

    request = request_of(arguments, api_key=api_key)
    with _log_on_standard_error(_level(arguments)), key_accepted(", ".join(request.client.base_urls)):
        environment, inputs = _load(request)
        model = run_blocking(lambda: choose_model(request.client, wanted=request.model), threads=4)
        folder = request.results_folder(model)
        started = Run(request=request, environment=environment, inputs=inputs, model=model, folder=folder)
        try:
            results = run_blocking(started.results, threads=environment.max_workers)
        except KeyboardInterrupt:
            print(f"tito rollout: {started.how_to_continue(words)}", file=sys.stderr)
            return INTERRUPTED
    print_summary(Page(sys.stdout), results, sampled_ids=started.sampled_ids)
    return _exit_code(results["outputs"])


def _load(request: RolloutRequest) -> tuple[Environment, list[dict[str, Any]]]:
    """The environment, and a row of its evaluation dataset for each rollout. Modules in the current folder are found,
    too, behind all others."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        environment = load_environment(request.env_id, **request.env_args)
        rows = environment.get_eval_dataset(request.num_examples, seed=request.seed)
    except Error:
        raise
    except Exception as error:  # somebody else's module
        _LOGGER.debug("load_environment", exc_info=True)
        what = one_line(f"{type(error).__name__}: {error}", longest=_LONGEST_CAUSE)
        raise ConfigError(f"the environment {request.env_id} cannot be loaded: {what} (-v shows where)") from error
    if not rows:
        raise ConfigError(f"the evaluation dataset of {request.env_id} is empty: there is nothing to run")
    return environment, [row for row in rows for _ in range(request.rollouts_per_example)]


def _exit_code(outputs: Sequence[RolloutOutput]) -> int:
    failed = [output for output in outputs if output["error"] is not None]
    if not failed:
        return 0
    print(
        f"tito rollout: {len(failed)} of {len(outputs)} rollouts failed; the first: "
        f"{one_line(first_failure(failed), longest=_LONGEST_CAUSE)}",
        file=sys.stderr,
    )
    return SOME_FAILED


def _level(arguments: argparse.Namespace) -> int:
    if arguments.verbose:
        return logging.DEBUG
    return logging.WARNING if arguments.no_progress else logging.INFO


class _StandardError(logging.Handler):
    """Writes to what `sys.stderr` is at the moment: a progress bar takes its place while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(visible(self.format(record)), file=sys.stderr)


@contextmanager
def _log_on_standard_error(level: int) -> Iterator[None]:
    """What the library tells and warns of, until the command ends."""
    logger, handler = logging.getLogger("verifiers_tito"), _StandardError(level)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
