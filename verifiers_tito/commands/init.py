"""`tito init`: a module of a new environment and its test, both of which work before anything in them is changed."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from verifiers_tito.bundled import bundled_folder
from verifiers_tito.commands.environment_templates import TEMPLATES, EnvironmentKind
from verifiers_tito.errors import ConfigError, InfraError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnvironment:
    """`name` is what `tito rollout` and `load_environment` take."""

    name: str
    kind: EnvironmentKind
    folder: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or keyword.iskeyword(self.module):
            raise ConfigError(
                f"an environment's name begins with a letter, goes on with letters, digits, - and _, and is no word of "
                f"Python; got {self.name!r}"
            )

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        words = [word for word in self.module.split("_") if word]
        joined = "".join(word[0].upper() + word[1:] for word in words)
        return joined if joined.endswith("Env") else f"{joined}Env"

    @property
    def file(self) -> Path:
        return self.folder / f"{self.module}.py"

    @property
    def test_file(self) -> Path:
        return self.folder / f"test_{self.module}.py"

    def texts(self) -> dict[Path, str]:
        """What goes into which file."""
        template = TEMPLATES[self.kind]
        names = {"name": self.name, "module": self.module, "class_name": self.class_name}
        return {
            self.file: template.module.substitute(names),
            self.test_file: template.test_file().substitute(names),
        }


def add_to(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = subcommands.add_parser("init", help="write a new environment's module and its test")
    parser.add_argument("name", metavar="NAME", help="letters, digits, - and _; `tito rollout NAME` will find it")
    parser.add_argument("--kind", choices=[str(kind) for kind in EnvironmentKind], default=str(EnvironmentKind.MULTI),
                        help="one turn, several, or with a tool (default: multi)")  # fmt: skip
    parser.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="folder to write to (default: here)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Writes both files, over none that is there, and prints what to do with them."""
    new = NewEnvironment(name=arguments.name, kind=EnvironmentKind(arguments.kind), folder=arguments.into)
    texts = new.texts()
    _refuse_taken_names(new)
    try:
        new.folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
    except OSError as error:
        raise InfraError(f"{new.file} and its test cannot be written: {error}") from error
    print(f"{new.file} and {new.test_file} are written. Next:")
    print(f"  python -m pytest {shlex.quote(str(new.test_file))}  # builds a small model the first time: a minute")
    elsewhere = "" if new.folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(new.folder))} && "
    print(f"  {elsewhere}tito rollout {new.name} --base-url http://localhost:8000/v1")
    return 0


def _refuse_taken_names(new: NewEnvironment) -> None:
    """A file of ours must not be lost, and must not stand where Python finds another module first."""
    for file in (new.file, new.test_file):
        if file.exists():
            raise ConfigError(f"{file} is there already, and nothing is overwritten: choose another name or folder")
    if _is_module(new.module) or (bundled_folder("envs") / f"{new.module}.py").is_file():
        raise ConfigError(
            f"there is a module {new.module} already, which would be found in place of the new one: choose another name"
        )


def _is_module(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None
