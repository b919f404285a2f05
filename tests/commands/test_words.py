"""Words that a command does not know: one line, in the command's own name, with what was meant."""

from __future__ import annotations

import pytest

from verifiers_tito import cli


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["rollout", "number-guess", "--base-ulr=http://x"],
            "tito rollout: --base-ulr=http://x: no such argument; did you mean --base-url? "
            "(tito rollout --help lists all)",
        ),
        (
            ["rollout", "number-guess", "--rollout-per-example", "3"],
            "tito rollout: --rollout-per-example 3: no such argument; did you mean --rollouts-per-example? "
            "(tito rollout --help lists all)",
        ),
        (["show", "runs/x", "--frobnicate"], "tito show: --frobnicate: no such argument (tito show --help lists all)"),
        (["rollout", "one", "two"], "tito rollout: two: no such argument (tito rollout --help lists all)"),
        ([], "tito: the following arguments are required: COMMAND (tito --help lists all)"),
    ],
)
def test_an_unknown_word_is_one_line_that_names_the_command_and_the_nearest_option(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{told}\n"
