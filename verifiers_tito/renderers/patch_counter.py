"""How many patches an image becomes with Qwen's and Kimi's vision models, told from the model's
`preprocessor_config.json` alone: Kimi's own processor comes as code in the model's folder, which is not run here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_MOST_ELONGATED = 200
_QWEN = re.compile(r"Qwen(2|2_5_|3)VLImageProcessor(Fast|Pil)?")
"""The processors that count so. Others have settings of the same names: GLM-4V's bounds are on two frames together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchCounter:
    """Qwen's: both sides are rounded to multiples of `patch_size * merge_size`, and scaled together where the image has
    more or fewer pixels than the model takes ("naive dynamic resolution", Qwen2-VL, arXiv:2409.12191, section 2.1).

    Sizes in pixels. Field and method names are those of the image processors of `transformers`."""

    patch_size: int
    merge_size: int
    min_pixels: int
    max_pixels: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """From the contents of a `preprocessor_config.json`; None where it is not of a Qwen model."""
        if not _QWEN.fullmatch(str(settings.get("image_processor_type"))):
            return None
        size = settings.get("size") or {}
        least = settings.get("min_pixels", size.get("shortest_edge"))
        most = settings.get("max_pixels", size.get("longest_edge"))
        if least is None or most is None or not {"patch_size", "merge_size"} <= settings.keys():
            return None
        return cls(
            patch_size=settings["patch_size"], merge_size=settings["merge_size"], min_pixels=least, max_pixels=most
        )

    def get_number_of_image_patches(self, height: int, width: int, images_kwargs: object = None) -> int:
        """Patches; `merge_size` squared of them are one token. Raises `ValueError` for an image that is too narrow."""
        if max(height, width) > _MOST_ELONGATED * min(height, width):
            raise ValueError(f"one side is more than {_MOST_ELONGATED} times the other")
        unit = self.patch_size * self.merge_size
        rows, columns = round(height / unit), round(width / unit)
        pixels = rows * columns * unit**2
        if pixels > self.max_pixels:
            scale = math.sqrt(height * width / self.max_pixels)
            rows, columns = (max(1, math.floor(side / scale / unit)) for side in (height, width))
        elif pixels < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (height * width))
            rows, columns = (math.ceil(side * scale / unit) for side in (height, width))
        return rows * columns * self.merge_size**2


@dataclass(frozen=True, slots=True, kw_only=True)
class KimiPatchCounter:
    """Kimi's (K2.5 and later, with MoonViT): an image is made smaller until it has no more than `most_patches` and no
    side has more than `most_patches_of_side`, never larger, and filled up to whole tokens. `patch_size` in pixels."""

    patch_size: int
    merge_size: int
    most_patches: int
    most_patches_of_side: int
    fixed_tokens: int | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """From the contents of a `preprocessor_config.json`; None where it is not of a Kimi model."""
        media = settings.get("media_proc_cfg") or {}
        needed = {"patch_size", "merge_kernel_size", "in_patch_limit", "patch_limit_on_one_side"}
        if not needed <= media.keys():
            return None
        merge_size = media["merge_kernel_size"]
        return cls(
            patch_size=media["patch_size"],
            merge_size=merge_size if isinstance(merge_size, int) else merge_size[0],
            most_patches=media["in_patch_limit"],
            most_patches_of_side=media["patch_limit_on_one_side"],
            fixed_tokens=media.get("fixed_output_tokens"),
        )

    def get_number_of_image_patches(self, height: int, width: int, images_kwargs: object = None) -> int:
        """Patches, those of the filling too; `merge_size` squared of them are one token."""
        if self.fixed_tokens is not None:
            return self.fixed_tokens * self.merge_size**2
        longest = self.most_patches_of_side * self.patch_size
        patches = max(1, width // self.patch_size) * max(1, height // self.patch_size)
        scale = min(1.0, math.sqrt(self.most_patches / patches), longest / width, longest / height)
        unit = self.patch_size * self.merge_size
        rows, columns = (math.ceil(max(1, int(side * scale)) / unit) for side in (height, width))
        return rows * columns * self.merge_size**2


def patch_counter(settings: Mapping[str, Any]) -> PatchCounter | KimiPatchCounter | None:
    """From the contents of a `preprocessor_config.json`; None for a model that counts otherwise."""
    return PatchCounter.from_settings(settings) or KimiPatchCounter.from_settings(settings)
