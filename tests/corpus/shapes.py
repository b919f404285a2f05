"""Seeded conversation shapes: what environments really send between two sampled turns.

Each of `SHAPES` makes one shape from a `Random`; `make_shapes(seed)` makes them all, the same ones for the same seed.
What a shape has on purpose is in its name; everything else is drawn.
"""

from __future__ import annotations

from random import Random

from tests.corpus import shapes_of_contents, shapes_of_turns
from tests.corpus.shape import Shape, ShapeMaker

SHAPES: tuple[ShapeMaker, ...] = (*shapes_of_turns.MAKERS, *shapes_of_contents.MAKERS)


def make_shapes(seed: int) -> list[Shape]:
    """All shapes; each has a random stream of its own, so that adding one changes no other."""
    return [make(Random(f"{seed} {make.__name__}")) for make in SHAPES]
