"""Image processors by name, as `renderers.get_renderer` takes them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.extras import load_extra
from verifiers_tito.renderers.patch_counter import patch_counter

_SETTINGS = "preprocessor_config.json"
_NEED = "image processors need transformers and Pillow; run: pip install 'verifiers-tito[local,images]'"


@lru_cache(maxsize=8)
def get_image_processor(model: str | Path) -> Any:
    """What tells how many tokens an image stands for, from a model's folder, or by the name of a model whose files are
    in the local Hugging Face cache. Raises `ConfigError`.

    For Qwen's and Kimi's vision models that is read from `preprocessor_config.json`; else it is the image processor of
    `transformers` (with Pillow, without torchvision). Code that comes with a model is not run.
    """
    settings = _settings_of(model)
    if settings is not None:
        counter = patch_counter(json.loads(settings.read_text(encoding="utf-8")))
        if counter is not None:
            return counter
    load_extra("PIL", otherwise=_NEED)
    processors = load_extra("transformers", otherwise=_NEED)
    try:
        return processors.AutoImageProcessor.from_pretrained(str(model), local_files_only=True, backend="pil")
    except Exception as error:  # whatever a broken or missing file makes the library raise
        problem = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"the image processor of {model} cannot be loaded: {problem}; give a folder with preprocessor_config.json, "
            "or the name of a model that was downloaded (hf download MODEL)"
        ) from error


def _settings_of(model: str | Path) -> Path | None:
    """A model's `preprocessor_config.json`, in its folder or in the local cache."""
    in_folder = Path(model) / _SETTINGS
    if in_folder.is_file():
        return in_folder
    try:
        cached = load_extra("huggingface_hub", otherwise=_NEED).try_to_load_from_cache(str(model), _SETTINGS)
    except ValueError:  # a path is no name of a model
        return None
    return Path(cached) if isinstance(cached, str) else None
