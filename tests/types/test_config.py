from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

import verifiers_tito as vf


def test_both_spellings_of_the_address_are_the_same_config() -> None:
    old, new = vf.ClientConfig(api_base_url="http://a/v1"), vf.ClientConfig(base_url="http://a/v1")
    assert old == new
    assert old.api_base_url == new.base_url == "http://a/v1"


def test_contradicting_spellings_are_refused() -> None:
    with pytest.raises(vf.ConfigError, match="both api_base_url and base_url"):
        vf.ClientConfig(api_base_url="http://a/v1", base_url="http://b/v1")


def test_an_unknown_field_is_refused_by_name_and_its_value_stays_hidden() -> None:
    with pytest.raises(vf.ConfigError, match="does not know api_keey; known fields: base_url") as caught:
        vf.ClientConfig(api_keey="sk-secret")
    assert "sk-secret" not in str(caught.value)


def test_a_value_out_of_range_is_refused_without_showing_the_key() -> None:
    with pytest.raises(vf.ConfigError, match="timeout: Input should be greater than 0") as caught:
        vf.ClientConfig(timeout=-1, api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)


def test_the_key_is_in_no_repr_and_no_dump() -> None:
    config = vf.ClientConfig(api_key="sk-secret", extra_headers={"X-Token": "sk-other"})
    assert "sk-" not in repr(config)
    assert "sk-" not in config.model_dump_json()


def test_the_key_comes_from_the_named_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-this")
    monkeypatch.setenv("MY_KEY", "sk-this")
    assert vf.ClientConfig(api_key_var="MY_KEY").resolve_api_key() == "sk-this"
    assert vf.ClientConfig().resolve_api_key() == "EMPTY"
    assert vf.ClientConfig(api_key="given", api_key_var="MY_KEY").resolve_api_key() == "given"


@pytest.mark.parametrize(
    "fields", [{"api_key": "sk-secret\n"}, {"extra_headers": {"X": "sk-secret\r\n"}}, {"api_key": "sk-sécret"}]
)
def test_a_key_that_no_header_may_hold_is_refused_unseen(fields: dict[str, Any]) -> None:
    with pytest.raises(vf.ConfigError, match="line break or another character") as caught:
        vf.ClientConfig(**fields)
    assert "sk-" not in str(caught.value)


def test_such_a_key_in_the_environment_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret\n")
    with pytest.raises(vf.ConfigError, match="environment variable MY_KEY holds a line break") as caught:
        vf.ClientConfig(api_key_var="MY_KEY").resolve_api_key()
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "notaurl", "ftp://a/v1", "http://user:pa55@host/v1"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(vf.ConfigError, match="base_url: must") as caught:
        vf.ClientConfig(base_url=url)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("port", ["0", "99999", "abc"])
def test_an_address_with_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(vf.ConfigError, match=r"^ClientConfig refused: base_url: (must be an address|Port )"):
        vf.ClientConfig(base_url=f"http://localhost:{port}/v1")


def test_a_choice_of_stitching_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(vf.ConfigError, match=r"StitchingConfig does not know tokeniser; known fields: tokenizer, "):
        vf.StitchingConfig(tokeniser="server")  # type: ignore[call-arg]
    chosen = vf.StitchingConfig(tokenizer="server")
    assert replace(chosen, thinking="template").tokenizer == "server"
    assert pickle.loads(pickle.dumps(chosen)) == chosen


async def test_nothing_of_openai_s_environment_goes_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.example/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    async with vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig()) as client:
        assert str(client.client.base_url) == "http://localhost:8000/v1/"
        assert "secret" not in repr(client.client.default_headers)
