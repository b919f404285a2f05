"""TextArena's games for one player. Needs the extra `textarena`.

    ta.make(game) ──► reset, step, close ──► the shape of a Gymnasium game ──► `GymnasiumEnv`

Games with words (Wordle, Hangman, ...) read word lists of nltk, which textarena tries to download where they are
missing. Other games need nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from verifiers_tito.adapters.gymnasium_env import GymnasiumEnv
from verifiers_tito.errors import ConfigError
from verifiers_tito.extras import load_extra
from verifiers_tito.types import State


class TextArenaEnv(GymnasiumEnv):
    """`TextArenaEnv(game="GuessTheNumber-v0")`. The reward is the one the game gives when it ends, 0.0 before.

    Without a parser the game sees the model's whole text, and looks for `[action]` in it. `feedback_fn` makes text of
    what the game says to an action, but for its opening and its last word. Where the game hides a word (`secret_word`),
    that is the state's `answer`, which reward functions get.
    """

    def __init__(self, game: str = "Wordle-v0", feedback_fn: Callable[[str], str] = str, **kwargs: Any) -> None:
        super().__init__(make_env=lambda: _Game(game, feedback_fn), **kwargs)
        self.game = game

    async def setup_state(self, state: State) -> State:
        await super().setup_state(state)
        if (word := state["game"].secret_word) is not None:
            state["answer"] = word
        return state


class _Game:
    """One game, with the methods of Gymnasium."""

    def __init__(self, game: str, feedback_fn: Callable[[str], str]) -> None:
        textarena = load_extra("textarena", otherwise="TextArenaEnv needs the extra textarena: pip install textarena")
        try:
            self._game = textarena.make(game)
        except LookupError as error:
            raise ConfigError(
                f"{game} needs word lists: python -m nltk.downloader words averaged_perceptron_tagger_eng"
            ) from error
        self._seen = ""
        self._feedback_fn = feedback_fn

    @property
    def secret_word(self) -> str | None:
        word = (self._game.state.game_state or {}).get("secret_word")
        return word if isinstance(word, str) else None

    def reset(self, *, seed: int) -> str:
        self._game.reset(num_players=1, seed=seed)
        return self._observe()

    def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        ended, _ = self._game.step(str(action))
        if not ended:
            said = self._observe().removeprefix(f"[Player] {action}").strip()
            return str(self._feedback_fn(said)), 0.0, False, False, {}
        rewards, about = self._game.close()
        return str(about[0].get("reason", "The game is over.")), float(rewards[0]), True, False, {}

    def _observe(self) -> str:
        """What is new: wrappers for single prompts repeat all that was said, the player's own words included."""
        _, text = self._game.get_observation()
        new = text.removeprefix(self._seen)
        self._seen = text
        return str(new).strip()
