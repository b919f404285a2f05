"""The package's shape: what may import what, and how light it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import verifiers_tito as vf

PACKAGE = Path(vf.__file__).parent

LAYERS = (
    {"errors"},
    {"calling", "bundled", "extras", "futures"},
    {"types"},
    {"parsers", "utils"},
    {"wire"},
    {"transport"},
    {"tokenization"},
    {"stitching", "parsing"},
    {"renderers", "tokenizer_utils"},
    {"image_processing_utils"},
    {"clients"},
    {"rubrics", "rollouts", "datums", "tools", "weights"},
    {"losses", "results", "sampling", "tinker_conversion"},
    {"completers", "envs", "telemetry"},
    {"vllm_plugin", "local", "testing", "doctor", "adapters", "distributed"},
    {"training"},
    {"tinker"},
    {"commands"},
    {"cli"},
    {"decorators"},
)
OLD_PATHS = {
    "decorators.py",
    "envs/integrations/reasoninggym_env.py",
    "envs/integrations/textarena_env.py",
    "envs/reasoninggym_env.py",
    "envs/textarena_env.py",
    "utils/client_utils.py",
    "utils/env_utils.py",
    "utils/tool_utils.py",
}
"""Modules that only pass names on, where environments written for `verifiers` look for them. They import from anywhere,
and nothing in the package imports them."""
ONLY = {
    "datums": {"errors", "extras", "types", "datums"},
    "vllm_plugin": {"errors", "wire", "vllm_plugin"},
    "rollouts": {"errors", "types", "rollouts"},
    "results": {"errors", "types", "rollouts", "results"},
}


PARTS = {"pydantic_core": "pydantic", "tokenizers": "transformers"}
"""Packages that are the inside of a declared one, and are never there without it."""


def layer_of(module: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if module in names)


def package_imports() -> list[tuple[str, str, str]]:
    """Every import of one part of the package by another: (file, importing part, imported part)."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                if module and module.startswith("verifiers_tito."):
                    found.append((str(file.relative_to(PACKAGE)), part, module.split(".")[1]))
    return found


def foreign_imports() -> set[str]:
    """Top-level names of what the package imports from elsewhere, late imports too."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {module.split(".")[0] for module in modules}
    return found - {*sys.stdlib_module_names, PACKAGE.name}


def declared_packages() -> set[str]:
    """Distributions that `pyproject.toml` names, as they are written on the index."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    return {_normalized(re.split(r"[^\w.-]", requirement)[0]) for requirement in listed}


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everything_that_is_imported_is_declared() -> None:
    """Failure 29: a package that came along with another one is gone when that changes."""
    distributions, declared = packages_distributions(), declared_packages()
    undeclared = {
        name
        for name in foreign_imports()
        if not declared & {_normalized(one) for one in distributions.get(PARTS.get(name, name), [name])}
    }
    assert undeclared == set()


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith(("_", "."))}
    assert parts - {"py.typed"} == set().union(*LAYERS)


def test_imports_go_down_only() -> None:
    upward = [
        f"{file} imports {imported}"
        for file, importing, imported in package_imports()
        if importing != imported and file not in OLD_PATHS and layer_of(imported) >= layer_of(importing)
    ]
    assert upward == []


def test_old_paths_only_pass_names_on_and_nothing_imports_them() -> None:
    modules = {f"verifiers_tito.{path.removesuffix('.py').replace('/', '.')}" for path in OLD_PATHS}
    for path in OLD_PATHS:
        docstring, *body = ast.parse((PACKAGE / path).read_text()).body
        assert isinstance(docstring, ast.Expr)
        assert all(isinstance(node, ast.ImportFrom | ast.Assign) for node in body)
    imported = {
        node.module
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert imported & modules == set()


def test_datums_rollouts_and_the_plugin_import_only_what_their_users_have() -> None:
    foreign = [
        f"{file} imports {imported}"
        for file, importing, imported in package_imports()
        if importing in ONLY and imported not in ONLY[importing]
    ]
    assert foreign == []


def test_the_face_is_sorted_and_complete() -> None:
    assert sorted(vf.__all__) == vf.__all__
    assert [name for name in vf.__all__ if not hasattr(vf, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = vf.nonsense


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "vllm", "datasets", "pyarrow", "ray", "tinker", "openai")
    program = f"import sys, verifiers_tito; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_files_stay_small() -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert {file: length for file, length in lengths.items() if length > 400} == {}
