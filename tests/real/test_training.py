"""The learner sees what the real server sampled; and Tinker's first tutorial runs from training to sampling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import verifiers_tito as vf
import verifiers_tito.tinker as tinker
from tests.conftest import MODELS
from tests.real.guessing import FEWEST_TOKENS, guessing_games
from verifiers_tito.local.models import build_model
from verifiers_tito.local.server import LocalServer
from verifiers_tito.tinker import types
from verifiers_tito.training import (
    LocalService,
    TrainingClient,
    check_logprobs,
    compare_logprobs,
    create_training_client,
)

pytestmark = pytest.mark.vllm
PAGE = Path(__file__).parent.parent.parent / "docs" / "training.md"


@pytest.fixture(params=["smollm2", "qwen3-tiny"])
def server(request: pytest.FixtureRequest, real_servers: dict[str, LocalServer]) -> LocalServer:
    return real_servers[request.param]


async def datums_of_rollouts(server: LocalServer) -> list[vf.Datum]:
    """Six games, each of which is one datum."""
    states = await guessing_games(server)
    sets = [vf.build_datums(state["trajectory"], advantage=1.0) for state in states]
    assert [datum_set.splits for datum_set in sets] == [[]] * 6
    return [datum for datum_set in sets for datum in datum_set.datums]


def with_altered_bridge(datum: vf.Datum) -> tuple[vf.Datum, int]:
    """The same datum with another id at one place between two sampled turns, and that place among the inputs."""
    sampled = np.flatnonzero(datum.loss_fn_inputs["mask"])
    bridge = next(int(at) for at, after in pairwise(sampled) if after - at > 3) + 2
    ids = datum.model_input.to_ints()
    ids[bridge] += 1
    return vf.Datum(model_input=vf.ModelInput.from_ints(ids), loss_fn_inputs=datum.loss_fn_inputs), bridge


async def test_the_learner_sees_what_was_sampled_and_notices_one_altered_bridge_token(
    server: LocalServer, tmp_path: Path
) -> None:
    datums = await datums_of_rollouts(server)
    with create_training_client(Path(server.options.model), folder=tmp_path, tokens_per_batch=512) as client:
        answer = await client.forward(datums, "ppo")
        report = compare_logprobs(datums, answer.logprobs)
        assert report.tokens >= FEWEST_TOKENS
        report.require()
        assert answer.metrics["ratio:mean"] == pytest.approx(1.0, abs=1e-5)
        assert answer.metrics["ratio:max"] <= report.largest_ratio == pytest.approx(1.0, abs=1.1e-3)
        assert answer.metrics["clip_fraction"] == 0.0
        longest = max(datums, key=lambda datum: datum.loss_fn_inputs["mask"].sum())
        check_logprobs(client, [longest]).require()
        altered, bridge = with_altered_bridge(longest)
        report = check_logprobs(client, [altered])
        with pytest.raises(vf.LogprobMismatchError, match=r"differ over \d+ sampled tokens.*First at datum 0 target"):
            report.require()
        assert report.first is not None
        assert report.first.target >= bridge


TAUGHT_BEFORE = (
    ("river stone", "iver-ray one-stay"),
    ("bread table", "ead-bray able-tay"),
    ("silver tiger", "ilver-say iger-tay"),
    ("basket window", "asket-bay indow-way"),
    ("garden market", "arden-gay arket-may"),
    ("planet doctor", "anet-play octor-day"),
)
EXAMPLES = (
    ("banana split", "anana-bay plit-say"),
    ("quantum physics", "uantum-qay ysics-phay"),
    ("donut shop", "onut-day op-shay"),
    ("pickle jar", "ickle-pay ar-jay"),
)


def process_example(example: tuple[str, str], tokenizer: Any) -> types.Datum:
    """As the tutorial has it: the prompt is not trained on."""
    prompt_tokens = tokenizer.encode(f"English: {example[0]}\nPig Latin:", add_special_tokens=True)
    completion_tokens = tokenizer.encode(f" {example[1]}\n\n", add_special_tokens=False)
    tokens = prompt_tokens + completion_tokens
    weights = np.array(([0] * len(prompt_tokens)) + ([1] * len(completion_tokens)), dtype=np.float32)
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens=tokens[:-1]),
        loss_fn_inputs={"weights": weights[1:], "target_tokens": np.array(tokens[1:], dtype=np.int64)},
    )


def taught(training_client: TrainingClient, processed_examples: list[types.Datum], *, steps: int) -> list[float]:
    """The tutorial's loop; its loss for each token, step by step."""
    losses = []
    for _ in range(steps):
        fwdbwd_future = training_client.forward_backward(processed_examples, "cross_entropy")
        optim_future = training_client.optim_step(types.AdamParams(learning_rate=3e-3, grad_clip_norm=1.0))
        fwdbwd_result = fwdbwd_future.result()
        optim_future.result()
        logprobs = np.concatenate([out["logprobs"].tolist() for out in fwdbwd_result.loss_fn_outputs])
        weights = np.concatenate([ex.loss_fn_inputs["weights"].tolist() for ex in processed_examples])
        losses.append(float(-np.dot(logprobs, weights) / weights.sum()))
    return losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Teachable:
    """A server of a small model of bytes that has seen some Pig Latin, and the folder it was started with."""

    base_url: str
    folder: str


@pytest.fixture(scope="module")
def teachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teachable]:
    service, folder = LocalService(), tmp_path_factory.mktemp("taught")
    with create_training_client(build_model("bytes-tiny", models=MODELS), folder=folder, service=service) as client:
        taught(client, [process_example(example, client.get_tokenizer()) for example in TAUGHT_BEFORE], steps=60)
        client.save_weights_and_get_sampling_client("before")
    yield Teachable(base_url=service.base_url, folder=str(folder / "weights" / "before"))
    service.close()


def test_tinkers_first_tutorial_teaches_pig_latin_and_samples_it(
    teachable: Teachable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    service_client = tinker.ServiceClient(base_url=teachable.base_url)
    models = [item.model_name for item in service_client.get_server_capabilities().supported_models]
    training_client = service_client.create_lora_training_client(base_model=models[0], rank=32)
    tokenizer = training_client.get_tokenizer()
    processed_examples = [process_example(example, tokenizer) for example in EXAMPLES]
    losses = taught(training_client, processed_examples, steps=30)
    assert losses[0] > 2.0
    assert losses[-1] < 0.25 * losses[0]

    sampling_client = training_client.save_weights_and_get_sampling_client(name="my-model")
    prompt = types.ModelInput.from_ints(
        tokens=tokenizer.encode("English: pickle jar\nPig Latin:", add_special_tokens=True)
    )
    params = types.SamplingParams(max_tokens=40, temperature=0.0, stop=["\n"])
    result = sampling_client.sample(prompt=prompt, sampling_params=params, num_samples=8).result()
    assert [tokenizer.decode(seq.tokens)[-1:] for seq in result.sequences] == ["\n"] * 8
    sample_response = sampling_client.sample(
        prompt=prompt,
        num_samples=1,
        sampling_params=tinker.SamplingParams(max_tokens=1),
        include_prompt_logprobs=True,
        topk_prompt_logprobs=5,
    ).result()
    assert sample_response.prompt_logprobs[0] is None
    assert len(sample_response.prompt_logprobs) == prompt.length
    assert len(sample_response.topk_prompt_logprobs[1]) >= 5

    learned = training_client.forward(processed_examples[3:], "cross_entropy").result().logprobs[0]
    told = sampling_client.compute_logprobs(processed_examples[3].model_input).result()
    np.testing.assert_allclose(told[1:], learned[:-1], atol=1e-3)
    training_client.close()
    service_client.close()


def ppo_datum(prompt_tokens: list[int], sequence: types.SampledSequence, advantage: float) -> types.Datum:
    """As Tinker's reference builds it, padded with zeros over the prompt."""
    import torch  # noqa: PLC0415  takes seconds: not while tests are collected

    full_tokens = prompt_tokens + sequence.tokens
    zeros = [0.0] * (len(prompt_tokens) - 1)
    return tinker.types.Datum(
        model_input=tinker.types.ModelInput.from_ints(tokens=full_tokens[:-1]),
        loss_fn_inputs={
            "target_tokens": tinker.TensorData.from_torch(torch.tensor(full_tokens[1:])),
            "advantages": tinker.TensorData.from_torch(torch.tensor(zeros + [advantage] * len(sequence.tokens))),
            "logprobs": tinker.TensorData.from_torch(torch.tensor([*zeros, *(sequence.logprobs or [])])),
        },
    )


async def test_tinkers_patterns_run_from_text_over_ppo_to_new_weights(
    teachable: Teachable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with tinker.ServiceClient(base_url=teachable.base_url) as service_client:
        client = await service_client.create_lora_training_client_async(base_model=teachable.folder, rank=8)
        ref_sampling_client = service_client.create_sampling_client(model_path=teachable.folder)
        tokenizer, prompt = client.get_tokenizer(), "English: pickle jar\nPig Latin:"
        prompt_tokens = tokenizer.encode(prompt, add_special_tokens=False)
        sample_result = ref_sampling_client.sample(
            prompt=tinker.types.ModelInput.from_str(prompt),
            num_samples=4,
            sampling_params=tinker.SamplingParams(max_tokens=12),
        ).result()
        for sequence in sample_result.sequences:
            full_tokens = tinker.types.ModelInput.from_ints(tokens=prompt_tokens + sequence.tokens)
            all_logprobs = await ref_sampling_client.compute_logprobs_async(full_tokens)
            told: list[Any] = all_logprobs[len(prompt_tokens) : len(prompt_tokens) + len(sequence.tokens)]
            np.testing.assert_allclose(told, sequence.logprobs, atol=1e-3)
        batch = [ppo_datum(prompt_tokens, sequence, (-1.0) ** n) for n, sequence in enumerate(sample_result.sequences)]

        fwd_bwd_future = await client.forward_backward_async(batch, "ppo", {"clip_high_threshold": 1.2})
        optim_future = await client.optim_step_async(types.AdamParams(learning_rate=1e-2))
        assert (await fwd_bwd_future).metrics["ratio:mean"] == pytest.approx(1.0, abs=1e-4)
        await optim_future
        assert client.forward(batch, "ppo").result().metrics["ratio:max"] > 1.01
        away = client.forward_backward_custom(
            batch, lambda data, logprobs: (sum(column.mean() for column in logprobs), {"datums": float(len(data))})
        )
        assert away.result().metrics["datums"] == 4.0

        resume_path = client.save_state(name="0010").result().path
        client.load_state(resume_path).result()
        sampling_path = client.save_weights_for_sampler(name="0000").result().path
        sampling_client = service_client.create_sampling_client(model_path=sampling_path)
        learned = client.forward(batch[:1], "ppo").result().logprobs[0]
        told = sampling_client.compute_logprobs(batch[0].model_input).result()
        np.testing.assert_allclose(told[1:], learned[:-1], atol=1e-3)
        client.close()


async def test_the_page_on_training_runs_as_it_is_printed(
    teachable: Teachable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with vf.ServiceClient(base_url=teachable.base_url) as service:
        model = service.create_sampling_client(model_path=teachable.folder).get_base_model()
    env = vf.load_environment("number-guess", num_examples=1, max_turns=3)
    async with vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=teachable.base_url)) as client:
        states = await env.run_group([env.dataset[0]] * 3, client, model, {"max_tokens": 12})
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    printed = block.replace("http://localhost:8000/v1", teachable.base_url).replace("path/to/model", teachable.folder)
    program: dict[str, Any] = {"states": states}
    exec(printed, program)
    with vf.ServiceClient(base_url=teachable.base_url) as service:
        assert [served.model_name for served in service.get_server_capabilities().supported_models] == [model]
    assert len(program["datums"]) >= 3
    assert (tmp_path / "runs").is_dir()
    program["training"].close()
    program["service"].close()
