"""Environments by name.

`load_environment("number-guess")` imports the module `number_guess` and calls its `load_environment`. Modules are
looked for where Python looks, then among the example environments that come with the project.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from verifiers_tito.bundled import bundled_folder
from verifiers_tito.envs.environment import Environment
from verifiers_tito.errors import ConfigError

BUNDLED = "verifiers_tito_envs."
"""Before the names of modules that no import path leads to."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*(\.[A-Za-z_][A-Za-z0-9_\-]*)*")


def load_environment(env_id: str, **env_args: Any) -> Environment:
    """The environment that the module of this name makes from `env_args`."""
    module = _find_module(env_id)
    factory = getattr(module, "load_environment", None)
    if factory is None:
        raise ConfigError(f"module {module.__name__} has no load_environment(); an environment's module needs one")
    environment: Environment = factory(**env_args)
    environment.env_id = environment.env_id or env_id
    environment.env_args = environment.env_args or env_args
    return environment


def _find_module(env_id: str) -> ModuleType:
    if not _NAME.fullmatch(env_id):
        raise ConfigError(f"environment names are made of letters, digits, - and _, got {env_id!r}")
    name = env_id.replace("-", "_")
    if name in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is not None:
        return importlib.import_module(name)
    folder = bundled_folder("envs")
    file = folder / f"{name}.py"
    if not file.is_file():
        known = sorted(path.stem.replace("_", "-") for path in folder.glob("*.py"))
        near = get_close_matches(name.replace("_", "-"), known, n=1)
        raise ConfigError(
            f"no environment {env_id}{f', did you mean {near[0]}?' if near else ':'} no module {name} can be imported, "
            f"and the bundled ones are {', '.join(known)}"
        )
    return _import_file(name, file)


def _import_file(name: str, file: Path) -> ModuleType:
    """Imports a file that no import path leads to, once."""
    full_name = f"{BUNDLED}{name}"
    if full_name in sys.modules:
        return sys.modules[full_name]
    spec = importlib.util.spec_from_file_location(full_name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full_name]
        raise
    return module
