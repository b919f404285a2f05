"""Prints `docs/renderers.md`: our renderers beside Tinker's and beside those of `renderers`.

`python -m tests.oracle.renderers_report --write` writes the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from tests.oracle.cookbook import PEERS, Compared, What, comparisons
from tests.oracle.cookbook_differences import DIFFERENCES
from tests.oracle.pairs import PAIRS
from tests.oracle.parsed_turns import DIFFERENCES as PARSED_DIFFERENCES
from tests.oracle.parsed_turns import parsed_turns
from tests.parsing.known_differences import KNOWN_DIFFERENCES
from tests.renderers.test_images import KIMI, QWEN2_5_VL, QWEN3_VL
from verifiers_tito.parsing.names import CALLS_BY_NAME, HARMONY_CALLS, HARMONY_REASONING, REASONING_BY_NAME
from verifiers_tito.renderers.images import ImageReader
from verifiers_tito.renderers.patch_counter import patch_counter

FILE = Path(__file__).parents[2] / "docs" / "renderers.md"
_PAGE_WIDTH = 120  # characters

INTRODUCTION = """\
# Renderers beside others

`verifiers_tito.renderers` derives all that it does from a model's chat template. Its prompts are the ids that
`apply_chat_template` gives, for the 48 templates of `tests/corpus` and seeded random conversations
(`tests/renderers/test_real_templates.py`). Two exceptions: `gptoss` and `lfm2_2_5` read reasoning under the name
`thinking` only, and get it under that name too. This page puts it beside packages that write each family by hand. Tests
hold every line to the letter: a new difference fails, and so does one that is gone.

## Tinker's renderers

`tinker-cookbook` {cookbook}, eight conversations for each renderer: ids of the prompt, ids and weights with the last
answer and with all answers trained, and what both read in the same sampled ids (content, reasoning, calls). DeepSeek
and Kimi use the templates that we bundle, the others the models' own; Kimi's and Nemotron's vocabularies are stand-ins
with the real control tokens.
"""
CALLS = """\
## Tool calls and reasoning

{introduction}

{differences}
"""
CALLS_INTRODUCTION = """\
A template's own text says which format it writes: a turn with a call is rendered, and read back by each format that is
known here. They go by the names of vLLM's parsers: {calls}. With the reasoning parsers {reasoning} they are compared
with vLLM's own on whole answers, on every beginning of one and on broken ones (`tests/parsing`). These are read
otherwise:
"""
IMAGES = """\
## Images

How many tokens an image stands for is told by the model's `preprocessor_config.json`
(`image_processing_utils.get_image_processor`), for Qwen as `transformers` counts, for Kimi (K2.5 and later, whose own
processor is code in the model's folder, which is not run) as vLLM does:

| Image | Qwen3-VL | Qwen2.5-VL | Kimi K2.6 |
|---|---|---|---|
{rows}

The figures that are often quoted (64, 70, 108) are Qwen3-VL's, where a token is 32 x 32 pixels and an image has at
least 65,536. Qwen2.5-VL and Kimi have tokens of 28 x 28; Qwen2.5-VL rounds sides, Kimi fills them up. Other models are
asked through `transformers`' processors, if these tell the number of patches; where none is given, or none can be
loaded, the error says what to give.
"""
HOW_TO_RUN = """\
## How this page is made

To run the comparisons, in an environment of its own beside this one: `pip install --no-deps tinker-cookbook=={cookbook}
tinker=={tinker} distro orjson`, then `pytest tests/oracle`; `python -m tests.oracle.renderers_report --write` writes
this page. Without `--no-deps` pip installs another PyTorch.
"""
PARSING = """\
## The package `renderers`

Version {renderers}. Prompts and bridges are compared in [agreement.md](agreement.md). Here both read the last turn of
the same conversations from the same sampled ids; theirs is given the prompt too.
"""


def report() -> str:
    """The whole page."""
    versions = {name.partition("-")[2] or name: version(name) for name in ("tinker-cookbook", "tinker", "renderers")}
    blocks = [
        INTRODUCTION.format(**versions),
        "\n".join(_cookbook_table()),
        "\n" + "\n".join(_cookbook_differences()),
        "\n" + PARSING.format(**versions),
        "\n".join(_parsing_table()),
        "\n" + "\n".join(_parsing_differences()),
        "\n" + _calls(),
        _images(),
        HOW_TO_RUN.format(**versions).rstrip(),
    ]
    return "\n".join(blocks) + "\n"


def _calls() -> str:
    known = [f"- `{one.calls}`: {one.reason}" for one in KNOWN_DIFFERENCES]
    introduction = CALLS_INTRODUCTION.format(
        calls=_listed([*CALLS_BY_NAME, HARMONY_CALLS]), reasoning=_listed([*REASONING_BY_NAME, HARMONY_REASONING])
    )
    return CALLS.format(introduction=fill(introduction, _PAGE_WIDTH), differences="\n".join(known))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _images() -> str:
    counters = [ImageReader(processor=patch_counter(settings)) for settings in (QWEN3_VL, QWEN2_5_VL, KIMI)]
    sizes = ((224, 224), (150, 224), (400, 300))
    rows = [
        f"| {width} x {height} | {' | '.join(str(one.token_count(height, width)) for one in counters)} |"
        for width, height in sizes
    ]
    return IMAGES.format(rows="\n".join(rows))


def _cookbook_table() -> Iterator[str]:
    yield f"| Renderer | {' | '.join(what.capitalize() for what in What)} |"
    yield "|---" * (len(What) + 1) + "|"
    for peer in PEERS:
        cells = [f"`{peer.our_name or peer.name}`", *(_equal(comparisons(peer.name), what) for what in What)]
        yield f"| {' | '.join(cells)} |"
    everything = [compared for peer in PEERS for compared in comparisons(peer.name)]
    yield f"| all | {' | '.join(_equal(everything, what) for what in What)} |"


def _equal(compared: Sequence[Compared], what: What) -> str:
    chosen = [one.is_equal for one in compared if one.what is what]
    return f"{sum(chosen)} of {len(chosen)}"


def _cookbook_differences() -> Iterator[str]:
    yield "| Renderers | Differ in | Conversations | Reason |"
    yield "|---|---|---|---|"
    for known in DIFFERENCES:
        cells = (
            ", ".join(f"`{name}`" for name in known.renderers),
            ", ".join(known.whats),
            ", ".join(known.conversations),
            known.reason,
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _parsing_table() -> Iterator[str]:
    yield "| Family | Renderer | Turns read alike |"
    yield "|---|---|---|"
    for pair in PAIRS:
        turns = parsed_turns(pair.family)
        yield f"| `{pair.family}` | `{pair.renderer}` | {sum(a == b for a, b in turns.values())} of {len(turns)} |"


def _parsing_differences() -> Iterator[str]:
    yield "| Families | Conversations | Reason |"
    yield "|---|---|---|"
    for reason in dict.fromkeys(PARSED_DIFFERENCES.values()):
        keys = [key for key, given in PARSED_DIFFERENCES.items() if given == reason]
        families, names = (", ".join(dict.fromkeys(part)) for part in zip(*keys, strict=True))
        yield f"| {families} | {names} | {reason.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        FILE.write_text(report(), encoding="utf-8")
    else:
        sys.stdout.write(report())
