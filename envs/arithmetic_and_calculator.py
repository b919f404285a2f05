"""Arithmetic and calculator: two environments trained as one.

An `EnvGroup` of `arithmetic` (one turn, no tools) and `calculator` (tool calls): one dataset, each rollout played and
scored by the environment that its row belongs to. A row says in `task` which one that is.
"""

from __future__ import annotations

import verifiers_tito as vf


def load_environment(num_examples: int = 100, seed: int = 0) -> vf.Environment:
    """`num_examples` questions of each kind, drawn from `seed`."""
    names = ["arithmetic", "calculator"]
    return vf.EnvGroup(
        [vf.load_environment(name, num_examples=num_examples, seed=seed) for name in names], env_names=names
    )
