"""The vendors' lists of models, and what is offered while there is none."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from automarket.errors import OptionInvalid, ProviderUnknown
from automarket.v1 import media_provider_service_pb2
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from provider_servers.openrouter.provider import ListedModel, _model
from provider_servers.runtime import Kind, Pricing
from provider_servers.runtime.chat.listing import token_price, usable
from provider_servers.runtime.conversation_faults import media_slot
from provider_servers.runtime.descriptors import model_to_proto
from provider_servers.runtime.installed import describe_all, load
from provider_servers.runtime.testing import serving
from tests.provider_servers.chat.asking import VENDORS, Vendor, talking_to
from tests.provider_servers.chat.test_closing import until
from tests.vendors.http import FakeServer, answer, page
from tests.vendors.openai import OpenAI
from tests.vendors.said import KEY, TEXT

LISTED = {
    "openai": ["gpt-6-luna", "gpt-4o-mini", "gpt-audio-2"],
    "openrouter": ["acme/model", "openrouter/auto"],
    "together": ["moonshotai/Kimi-K3"],
    "anthropic": ["claude-opus-5", "claude-haiku-4-5", "claude-plain"],
}


async def listed(asked):
    """Give the language models, once the vendor has told them; those that make media have tests of their own."""
    await until(lambda: asked.provider._listed)
    return {model.id: model for model in asked.provider.models() if model.capabilities == ("text-to-text",)}


@pytest.mark.parametrize("vendor", LISTED)
async def test_models_are_those_of_the_vendor(vendor):
    async with talking_to(vendor, models="one-more") as asked:
        assert list(await listed(asked)) == [*LISTED[vendor], "one-more"]


@pytest.mark.parametrize("vendor", LISTED)
async def test_without_an_answer_there_is_a_list_built_in(vendor):
    async with talking_to(vendor, base_url="http://127.0.0.1:1/v1", models="") as asked:
        assert any(model.capabilities == ("text-to-text",) for model in asked.provider.models())


async def test_prices_and_lengths():
    async with talking_to("openrouter", models="") as asked:
        model, router = (await listed(asked)).values()
        assert model.pricing == Pricing("token", 3e-05, 6e-05, "USD", cached_input_cost=3e-06)
        assert (model.context_tokens, model.max_output_tokens) == (131072, 4096)
        assert router.pricing is None
        assert media_slot(model, "image")
        assert media_slot(model, "file") is None
        assert set(model.options) == {
            *("max_tokens", "seed", "temperature", "tools", "tool_choice", "system_prompt", "models", "provider")
        }
        assert len(model.description) <= 240
    async with talking_to("together", models="") as asked:
        [model] = (await listed(asked)).values()
        assert model.pricing == Pricing("token", 3e-06, 1.5e-05, "USD", cached_input_cost=3e-07)
        assert model.context_tokens == 1_000_000
    async with talking_to("together", models="", model_list="v2") as asked:
        first, second = (await listed(asked)).values()
        assert (first.id, second.id) == ("openai/gpt-oss-20b", "openai/gpt-oss-120b")
        assert first.context_tokens == 131072
        assert first.pricing == Pricing("token", 5e-08, 2e-07, "USD", cached_input_cost=1e-08)
        assert media_slot(first, "image")


async def test_hundreds_of_models_are_described_once_for_each_list():
    async with talking_to("openrouter", models="") as asked:
        await listed(asked)
        entry = ListedModel("acme/model", supported_parameters=["max_tokens", "seed", "tools"])
        many = [_model(msgspec.structs.replace(entry, id=f"acme/model-{number}")) for number in range(400)]
        asked.provider._listed, asked.provider._offered = many, None
        messages = asked.served.server._host.models
        first = messages.now()
        assert len(first.models) == 400
        assert messages.now() is first
        assert messages.now().models[7] == model_to_proto(many[7], asked.provider)
        stub = MediaProviderServiceStub(asked.served.channel)
        assert await stub.ListModels(media_provider_service_pb2.ListModelsRequest()) == first
        asked.provider._listed, asked.provider._offered = many[:3], None
        assert [one.id for one in messages.now().models] == ["acme/model-0", "acme/model-1", "acme/model-2"]


async def test_what_anthropic_says_of_its_models():
    async with talking_to("anthropic", models="") as asked:
        models = await listed(asked)
        assert (models["claude-opus-5"].context_tokens, models["claude-opus-5"].max_output_tokens) == (1000000, 128000)
        plain = models["claude-plain"]
        assert media_slot(plain, "image") is None
        assert "reasoning_effort" not in plain.options
        assert list(plain.options["response_format"]["properties"]) == ["text"]


async def test_models_that_are_told_how_many_tokens_they_think():
    async with talking_to("anthropic", models="") as asked:
        await listed(asked)
        await asked.ask("claude-haiku-4-5", reasoning_effort="high")
        assert asked.fake.posts[-1].json["thinking"] == {"type": "enabled", "budget_tokens": 16384}
        assert asked.fake.posts[-1].json["max_tokens"] == 128000
        assert "output_config" not in asked.fake.posts[-1].json
        await asked.ask("claude-haiku-4-5", reasoning_effort="max", max_tokens=4000)
        assert asked.fake.posts[-1].json["thinking"]["budget_tokens"] == 2976
        heard = await asked.ask("claude-haiku-4-5", reasoning_effort="low", max_tokens=1000)
        assert type(heard.error) is OptionInvalid
        assert list(heard.error.fields) == ["header.text_to_text.max_tokens"]


async def test_openai_says_when_a_model_ends():
    async with talking_to("openai", models="") as asked:
        models = await listed(asked)
        assert models["gpt-4o-mini"].description == "OpenAI ends it on 2027-01-14."
        assert media_slot(models["gpt-audio-2"], "audio")
        assert media_slot(models["gpt-4o-mini"], "audio") is None
        assert models["gpt-4o-mini"].canonical_id == "openai/gpt-4o-mini"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_list_that_is_garbage_leaves_what_there_was(vendor):
    async with talking_to(vendor, models="one-more") as asked:
        before = list(await listed(asked))
        for wrong in (answer({"data": 7}), page(200), page(502), answer([{"no": "id"}])):
            asked.fake._handle = lambda _, wrong=wrong: wrong
            asked.provider._renew.set()
            count = len(asked.fake.requests)
            await until(lambda count=count: len(asked.fake.requests) > count)
            await asyncio.sleep(0.05)
            assert list(await listed(asked)) == before
        assert not asked.provider._following.done()


async def test_a_server_of_ones_own(monkeypatch):
    cls = VENDORS["openai-compatible"][1]
    monkeypatch.delenv("AUTOMARKET_OPENAI_COMPATIBLE_BASE_URL", raising=False)
    assert "AUTOMARKET_OPENAI_COMPATIBLE_BASE_URL" in cls.availability().hint
    monkeypatch.setenv("AUTOMARKET_OPENAI_COMPATIBLE_BASE_URL", "http://127.0.0.1:8000/v1/")
    assert cls.availability().available
    assert cls().upstream().base_url == "http://127.0.0.1:8000/v1"
    assert cls.kind == Kind.LOCAL
    monkeypatch.setenv("AUTOMARKET_OPENAI_COMPATIBLE_BASE_URL", "ftp://nowhere")
    assert not cls.availability().available
    assert "base_url" in cls.availability().reason.lower()


async def test_any_number_of_servers_are_providers_without_code(monkeypatch):
    async with FakeServer(OpenAI().handle).serving() as server:
        monkeypatch.setenv(
            "AUTOMARKET_CHAT_SERVERS", f"vllm={server.url}/v1/, my-studio=http://127.0.0.1:1/v1,nonsense"
        )
        monkeypatch.setenv("AUTOMARKET_VLLM_API_KEY", KEY)
        monkeypatch.setenv("AUTOMARKET_VLLM_MODELS", "ok")
        found = {one["id"]: one for one in describe_all()}
        assert found["vllm"]["available"]
        assert found["my-studio"]["available"]
        assert found["chat-server-3"]["reason"] == "entry 3 of AUTOMARKET_CHAT_SERVERS is not NAME=ADDRESS"
        assert found["chat-server-3"]["hint"].startswith("write a name")
        with pytest.raises(ProviderUnknown, match="no provider 'elsewhere'"):
            load("elsewhere")
        async with serving(load("vllm")()) as served:
            heard = await Vendor("vllm", server, served, []).ask("ok")
            assert heard.text == TEXT
            assert served.provider.name == "vllm"


def test_prices_are_exact_or_unknown():
    assert token_price("0.00003", "0.00006") == Pricing("token", 3e-05, 6e-05)
    assert token_price("-1", "-1") is None
    assert token_price(None, 3) is None
    assert token_price("free", 3) is None
    assert token_price(0.1, 0.3, tokens=1_000_000).input_cost == 1e-07


def test_ids_that_the_mesh_cannot_name_are_left_out():
    provider = VENDORS["openai"][1](VENDORS["openai"][2](api_key=KEY))
    made = [provider.named(name) for name in ("ok", "with space", "ok", "ü", "x" * 256)]
    assert [model.id for model in usable(made)] == ["ok"]
