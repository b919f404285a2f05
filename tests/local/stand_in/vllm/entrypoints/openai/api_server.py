"""A stand-in for vLLM's server program: answers /health, has an engine process, and misbehaves on request.

Put `tests/local/stand_in` on PYTHONPATH and `python -m vllm.entrypoints.openai.api_server` starts it.
STAND_IN_MODE: `healthy`, `dies` (writes a log and exits 3), `deaf` (answers 503 for ever), `stubborn` (healthy, but
server and engine ignore SIGTERM). STAND_IN_PIDS: file for the two process ids, one a line.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = os.environ["STAND_IN_MODE"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if MODE != "deaf" and self.path == "/health" else 503)
        self.end_headers()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments, _ = parser.parse_known_args()
    ignore = "trap '' TERM; " if MODE == "stubborn" else ""
    engine = subprocess.Popen(["sh", "-c", f"{ignore}exec sleep 600"])
    pids = Path(os.environ["STAND_IN_PIDS"])
    pids.with_suffix(".part").write_text(f"{os.getpid()}\n{engine.pid}\n")
    pids.with_suffix(".part").rename(pids)
    print(f"key {os.environ.get('VLLM_API_KEY')}, plugins {os.environ.get('VLLM_PLUGINS')}", flush=True)
    if MODE == "dies":
        for number in range(40):
            print(f"log line {number}", flush=True)
        sys.exit(3)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ThreadingHTTPServer((arguments.host, arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
