"""Whom we compare with, and each one's own virtual environment, made on the first run."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from verifiers_tito.errors import InfraError

DRIVERS = Path(__file__).parent / "drivers"
ENVIRONMENTS = Path(".peers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`requirements` are pip's; without any it runs in this environment."""

    name: str
    driver: str
    requirements: tuple[str, ...]
    needs: str
    """What a server must have for token ids to go in."""

    @property
    def slug(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def is_ours(self) -> bool:
        return not self.requirements


_BEFORE_HTTPX2 = ("openai<3", "httpx")
"""`renderers` takes answers as httpx's, which `openai` 3 refuses, and httpx is not among its own requirements."""

PEERS = (
    Peer(
        name="verifiers_tito",
        driver="with_tito.py",
        requirements=(),
        needs="any vLLM from 0.27 on; less is sent with the plugin",
    ),
    Peer(
        name="verifiers 0.1.12",
        driver="with_verifiers.py",
        requirements=("verifiers==0.1.12",),
        needs="the route /v1/chat/completions/tokens, which no vLLM has by itself; our plugin's has the same shape",
    ),
    Peer(
        name="renderers 0.1.12",
        driver="with_renderers.py",
        requirements=("renderers[transformers]==0.1.12", *_BEFORE_HTTPX2),
        needs="a vLLM with --enable-scale-out that names tokens token_id:N, as older ones did",
    ),
    Peer(
        name="renderers 0.1.8",
        driver="with_renderers.py",
        requirements=("renderers==0.1.8", *_BEFORE_HTTPX2),
        needs="a vLLM with --enable-scale-out; the newest renderers that can read what 0.32 answers",
    ),
    Peer(
        name="openai",
        driver="with_openai.py",
        requirements=(f"openai=={version('openai')}",),
        needs="nothing: messages go in",
    ),
)


def interpreter(peer: Peer, *, root: Path = ENVIRONMENTS, tell: Callable[[str], None] = lambda words: None) -> Path:
    """The Python that has the peer, installed now if it is not yet. Raises `InfraError` in pip's words."""
    if peer.is_ours:
        return Path(sys.executable)
    folder, wanted = root / peer.slug, "\n".join(peer.requirements)
    stamp = folder / "installed.txt"
    python = (folder / "bin" / "python").absolute()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    tell(f"installing {peer.name} into {folder} ...")
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.requirements]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InfraError(f"pip could not install {', '.join(peer.requirements)}: {done.stderr.strip()[-500:]}")
    stamp.write_text(wanted)
    return python
