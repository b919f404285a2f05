"""Images in prompts: how many tokens they stand for, where they stand, and what is refused."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from tests.renderers.made import KIMI as KIMI_TOKENS
from tests.renderers.made import bare_tokenizer, renderer_of
from verifiers_tito.errors import ConfigError, RendererError
from verifiers_tito.image_processing_utils import get_image_processor
from verifiers_tito.renderers import ImagePart, TextPart, TrainOnWhat, fetch_image, get_renderer
from verifiers_tito.renderers.patch_counter import KimiPatchCounter, PatchCounter
from verifiers_tito.types import EncodedTextChunk, ImageChunk

QWEN3_VL = {"image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 16, "merge_size": 2,
            "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216}}  # fmt: skip
QWEN2_5_VL = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2,
              "min_pixels": 3_136, "max_pixels": 12_845_056}  # fmt: skip

KIMI = {"media_proc_cfg": {"patch_size": 14, "merge_kernel_size": 2, "in_patch_limit": 16_384,
        "patch_limit_on_one_side": 512, "fixed_output_tokens": None}}  # fmt: skip
_LIMITS = ("in_patch_limit", "patch_limit_on_one_side", "fixed_output_tokens")


@pytest.fixture(scope="module")
def processors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = {}
    for name, settings in {"qwen3_vl": QWEN3_VL, "qwen2_5_vl": QWEN2_5_VL, "kimi": KIMI}.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
        made[name] = get_image_processor(folder)
    return made


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), 1)


def encoded(image: Image.Image, form: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=form)
    return buffer.getvalue()


class TenBytes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"0123456789")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def ten_bytes() -> Iterator[str]:
    """A URL on this machine."""
    with HTTPServer(("127.0.0.1", 0), TenBytes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/x.png"
        server.shutdown()
        thread.join()


def asking(*images: Any) -> list[dict[str, Any]]:
    parts = [ImagePart(type="image", image=image) for image in images]
    return [{"role": "user", "content": [*parts, TextPart(type="text", text="What is in this image?")]}]


def images_in(chunks: list[Any]) -> list[ImageChunk]:
    return [chunk for chunk in chunks if isinstance(chunk, ImageChunk)]


@pytest.mark.parametrize(
    ("processor", "width", "height", "tokens"),
    [
        ("qwen3_vl", 224, 224, 64),
        ("qwen3_vl", 150, 224, 70),
        ("qwen3_vl", 400, 300, 108),
        ("qwen2_5_vl", 224, 224, 64),
        ("qwen2_5_vl", 150, 224, 40),
        ("qwen2_5_vl", 400, 300, 154),
        ("kimi", 224, 224, 64),
        ("kimi", 150, 224, 48),
        ("kimi", 400, 300, 165),
    ],
)
def test_an_image_stands_for_as_many_tokens_as_its_model_s_processor_says(
    processors: dict[str, Any], processor: str, width: int, height: int, tokens: int
) -> None:
    renderer = renderer_of("qwen3_vl", image_processor=processors[processor])
    prompt = renderer.build_generation_prompt(asking(picture(width, height)))
    (image,) = images_in(prompt.chunks)
    assert (image.expected_tokens, image.format) == (tokens, "png")
    assert prompt.length == tokens + sum(len(chunk.tokens) for chunk in prompt.chunks if chunk is not image)


def test_an_image_takes_the_place_of_its_placeholder(processors: dict[str, Any]) -> None:
    renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
    first, second = picture(64, 64), picture(400, 300)
    prompt = renderer.build_generation_prompt(asking(first, second))
    texts = [
        renderer.tokenizer.decode(c.tokens) if isinstance(c, EncodedTextChunk) else c.length for c in prompt.chunks
    ]
    assert texts == [
        "<|im_start|>user\n<|vision_start|>",
        64,
        "<|vision_end|><|vision_start|>",
        108,
        "<|vision_end|>What is in this image?<|im_end|>\n<|im_start|>assistant\n",
    ]


@pytest.mark.parametrize(("form", "mime"), [("PNG", "png"), ("JPEG", "jpeg")])
def test_the_bytes_of_a_data_uri_stay_as_they_are(processors: dict[str, Any], form: str, mime: str) -> None:
    data = encoded(picture(32, 32), form)
    uri = f"data:image/{mime};base64,{base64.b64encode(data).decode()}"
    renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
    as_ours, as_openai_s = (
        images_in(renderer.build_generation_prompt(messages).chunks)
        for messages in (asking(uri), [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}])
    )
    assert as_ours == as_openai_s == [ImageChunk(data, mime, 64)]  # type: ignore[arg-type]


def test_an_image_at_a_url_is_loaded_and_made_a_png_where_it_is_neither_png_nor_jpeg(
    processors: dict[str, Any],
) -> None:
    renderer = renderer_of(
        "qwen3_vl",
        image_processor=processors["qwen3_vl"],
        load_image=lambda url: encoded(picture(32, 32, "RGBA"), "WEBP"),
    )
    (image,) = images_in(renderer.build_generation_prompt(asking("https://example.com/photo.webp")).chunks)
    assert Image.open(BytesIO(image.data)).format == "PNG"


def test_a_pillow_image_from_a_jpeg_is_a_png_and_says_so(processors: dict[str, Any]) -> None:
    opened = Image.open(BytesIO(encoded(picture(32, 32), "JPEG")))
    renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
    (image,) = images_in(renderer.build_generation_prompt(asking(opened)).chunks)
    assert (image.format, Image.open(BytesIO(image.data)).format) == ("png", "PNG")


def test_fetching_gives_an_image_of_the_size_allowed(ten_bytes: str) -> None:
    assert fetch_image(ten_bytes, most_bytes=10) == b"0123456789"
    with pytest.raises(RendererError, match=r"x\.png has more than 9 bytes"):
        fetch_image(ten_bytes, most_bytes=9)


def test_images_have_no_weight_in_supervised_examples(processors: dict[str, Any]) -> None:
    renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
    talk = [*asking(picture(400, 300)), {"role": "assistant", "content": "A wall."}]
    model_input, weights = renderer.build_supervised_example(talk)
    assert len(weights) == model_input.length
    assert weights.sum() == len(renderer.tokenizer.encode("A wall.<|im_end|>"))
    _, everything = renderer.build_supervised_example(talk, TrainOnWhat.ALL_TOKENS)
    assert everything.sum() == model_input.length - 108


def test_a_placeholder_in_a_text_is_text(processors: dict[str, Any]) -> None:
    renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
    messages = asking(picture(64, 64))
    messages[0]["content"][1]["text"] = "What is <|image_pad|>?"
    assert len(images_in(renderer.build_generation_prompt(messages).chunks)) == 1


@pytest.mark.corpus
@pytest.mark.parametrize("settings", [QWEN3_VL, QWEN2_5_VL], ids=["qwen3_vl", "qwen2_5_vl"])
def test_patches_are_counted_as_transformers_counts_them(settings: dict[str, Any]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (  # noqa: PLC0415  seconds
        Qwen2VLImageProcessorPil,
    )

    theirs = Qwen2VLImageProcessorPil(**{name: value for name, value in settings.items() if "type" not in name})
    ours, random = PatchCounter.from_settings(settings), Random(5)
    assert ours is not None
    for _ in range(500):
        height, width = random.randint(20, 3000), random.randint(20, 3000)
        assert ours.get_number_of_image_patches(height, width) == theirs.get_number_of_image_patches(height, width)


@pytest.mark.corpus
@pytest.mark.parametrize(
    "limits",
    [
        {"in_patch_limit": 16_384, "patch_limit_on_one_side": 512},
        {"in_patch_limit": 4_096, "patch_limit_on_one_side": 64},
        {"in_patch_limit": 4_096, "patch_limit_on_one_side": 64, "fixed_output_tokens": 50},
    ],
)
def test_kimi_s_patches_are_counted_as_vllm_counts_them(limits: dict[str, Any]) -> None:
    theirs = pytest.importorskip("vllm.transformers_utils.processors.kimi_k25_vision_fused").navit_resize_image
    settings = {**KIMI["media_proc_cfg"], **limits}
    ours, random = KimiPatchCounter.from_settings({"media_proc_cfg": settings}), Random(5)
    assert ours is not None
    for _ in range(500):
        height, width = random.randint(1, 9000), random.randint(1, 9000)
        expected = theirs(width, height, 14, 2, *(settings[name] for name in _LIMITS))["num_tokens"]
        assert ours.get_number_of_image_patches(height, width) == expected * ours.merge_size**2


def test_kimi_s_template_has_a_place_for_each_image(processors: dict[str, Any]) -> None:
    renderer = get_renderer("kimi_k26", bare_tokenizer(*KIMI_TOKENS, end="<|im_end|>"), processors["kimi"])
    prompt = renderer.build_generation_prompt(asking(picture(224, 224), picture(400, 300)))
    _, first, between, second, _ = prompt.chunks
    assert [chunk.length for chunk in (first, second)] == [64, 165]
    assert isinstance(between, EncodedTextChunk)
    assert renderer.tokenizer.decode(between.tokens) == "<|media_end|><|media_begin|>image<|media_content|>"


@pytest.mark.corpus
def test_the_settings_of_a_downloaded_model_are_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--maker--kimi" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "preprocessor_config.json").write_text(json.dumps(KIMI))
    references = tmp_path / "models--maker--kimi" / "refs"
    references.mkdir()
    (references / "main").write_text("0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert get_image_processor("maker/kimi") == KimiPatchCounter.from_settings(KIMI)


@pytest.mark.parametrize("kind", ["Glm4vImageProcessor", "Qwen2VLImageProcessorOfMine", None])
def test_other_models_patches_are_left_to_their_own_processors(kind: str | None) -> None:
    assert PatchCounter.from_settings({**QWEN3_VL, "image_processor_type": kind}) is None
    assert PatchCounter.from_settings({**QWEN3_VL, "image_processor_type": "Qwen2_5_VLImageProcessor"}) is not None


class TestErrors:
    def test_an_address_where_nobody_answers(self) -> None:
        with pytest.raises(RendererError, match=r"the image at http://127.0.0.1:9/x.png cannot be fetched: .*data URI"):
            fetch_image("http://127.0.0.1:9/x.png")

    def test_an_address_and_no_loader(self, processors: dict[str, Any]) -> None:
        renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
        with pytest.raises(RendererError, match=r"http://127.0.0.1:9/x.png is not fetched: .*load_image=fetch_image"):
            renderer.build_generation_prompt(asking("http://127.0.0.1:9/x.png"))

    def test_an_image_that_is_cut_off(self, processors: dict[str, Any]) -> None:
        data = encoded(Image.frombytes("P", (64, 64), Random(1).randbytes(64 * 64)), "GIF")[:-900]
        renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
        uri = f"data:image/gif;base64,{base64.b64encode(data).decode()}"
        with pytest.raises(RendererError, match=rf"an image of {len(data)} bytes cannot be read: .*; give a whole PNG"):
            renderer.build_generation_prompt(asking(uri))
        with pytest.raises(RendererError, match=r"a PIL image cannot be read: .*; give a whole PNG"):
            renderer.build_generation_prompt(asking(Image.open(BytesIO(data))))

    def test_an_image_that_would_fill_the_memory(
        self, processors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        uri = f"data:image/png;base64,{base64.b64encode(encoded(picture(64, 64), 'PNG')).decode()}"
        renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
        with pytest.raises(RendererError, match=r"cannot be read: .*decompression bomb"):
            renderer.build_generation_prompt(asking(uri))

    def test_no_image_processor(self) -> None:
        with pytest.raises(RendererError, match="1 images in the messages and no image processor; give one"):
            renderer_of("qwen3_vl").build_generation_prompt(asking(picture(8, 8)))

    def test_a_template_that_shows_no_images(self, processors: dict[str, Any]) -> None:
        renderer = renderer_of("qwen3", image_processor=processors["qwen3_vl"])
        with pytest.raises(RendererError, match="0 placeholders for 1 images"):
            renderer.build_generation_prompt(asking(picture(8, 8)))

    def test_a_processor_that_does_not_count(self) -> None:
        renderer = renderer_of("qwen3_vl", image_processor=object())
        with pytest.raises(RendererError, match="object does not tell the number of an image's patches"):
            renderer.build_generation_prompt(asking(picture(8, 8)))

    @pytest.mark.parametrize(
        ("image", "problem"),
        [
            ("/etc/passwd", "an http\\(s\\) URL or a base64 data URI, got '/etc/passwd'"),
            ("data:image/png;base64,?", "holds no base64"),
            ("data:image/png;base64,AAAA", "an image of 3 bytes cannot be read"),
            (7, "not a int"),
            (Image.new("RGB", (900, 1)), "900x1 pixels is refused: one side is more than 200 times"),
        ],
    )
    def test_what_is_no_image(self, processors: dict[str, Any], image: Any, problem: str) -> None:
        renderer = renderer_of("qwen3_vl", image_processor=processors["qwen3_vl"])
        with pytest.raises(RendererError, match=problem):
            renderer.build_generation_prompt(asking(image))

    @pytest.mark.corpus  # transformers' own processors take seconds to import
    def test_a_folder_without_a_processor(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot be loaded: .*; give a folder with preprocessor_config.json"):
            get_image_processor(tmp_path)
