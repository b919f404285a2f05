from __future__ import annotations

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
    assert "sk-secret" not in config.model_dump_json()


def test_the_key_comes_from_the_named_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-this")
    monkeypatch.setenv("MY_KEY", "sk-this")
    assert vf.ClientConfig(api_key_var="MY_KEY").resolve_api_key() == "sk-this"
    assert vf.ClientConfig().resolve_api_key() == "EMPTY"
    assert vf.ClientConfig(api_key="given", api_key_var="MY_KEY").resolve_api_key() == "given"


def test_the_old_library_s_fields_are_accepted() -> None:
    config = vf.ClientConfig(
        api_key_var="VLLM_API_KEY",
        api_base_url="http://a/v1",
        timeout=3600,
        connect_timeout=5,
        max_connections=28000,
        max_retries=10,
        extra_headers={"X-A": "b"},
    )
    assert config.max_connections == 28_000
