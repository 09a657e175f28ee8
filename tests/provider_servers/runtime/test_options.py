"""Options as an author gets them, and what is refused."""

from __future__ import annotations

import pytest

from automarket.errors import OptionInvalid, OptionUnknown
from tests.provider_servers.runtime.bench import call, first, told


async def test_defaults_are_filled_in_and_what_is_given_wins(bench):
    assert told(await call(bench.channel, first())) == {"do": "", "number": 3}
    assert told(await call(bench.channel, first(number=7, temperature=0)))["number"] == 7


async def test_typed_options_and_the_models_own_are_merged(bench):
    request = first(model="tone", breath=True)
    request.header.text_to_speech.speed = 2
    request.header.text_to_speech.format.sample_rate_hertz = 8000
    await call(bench.channel, request)
    assert bench.provider.order == [{"speed": 2.0, "format": {"sample_rate_hertz": 8000}, "breath": True}]


async def test_an_option_given_twice_is_refused(bench):
    request = first(model="tone", speed=1)
    request.header.text_to_speech.speed = 2
    with pytest.raises(OptionInvalid) as caught:
        await call(bench.channel, request)
    assert caught.value.fields == {"header.model_options.speed": "given twice"}


@pytest.mark.parametrize(("name", "hint"), [("numbr", "did you mean number?"), ("zzz", "it takes do, number, parts")])
async def test_an_unknown_option_names_the_nearest_or_all(bench, name, hint):
    with pytest.raises(OptionUnknown) as caught:
        await call(bench.channel, first(**{name: 1}))
    assert caught.value.hint.startswith(hint)
    assert list(caught.value.fields) == [f"header.model_options.{name}"]


@pytest.mark.parametrize(("given", "got"), [("9007199254740993", 2**53 + 1), ("-4", -4), (5.0, 5), (2**53, 2**53)])
async def test_whole_numbers_arrive_whole(bench, given, got):
    found = told(await call(bench.channel, first(number=given)))["number"]
    assert (found, type(found)) == (got, int)


@pytest.mark.parametrize("value", ["--5", "²", "1" * 5000, "", "four", 1.5, True, None, -10, float(2**61)])
async def test_what_is_no_whole_number_in_range_is_refused(bench, value):
    with pytest.raises(OptionInvalid) as caught:
        await call(bench.channel, first(number=value))
    assert list(caught.value.fields) == ["header.model_options.number"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_numbers_that_are_not_finite_are_refused(bench, value):
    request = first()
    request.header.model_options.fields["temperature"].number_value = value
    with pytest.raises(OptionInvalid, match="not finite"):
        await call(bench.channel, request)
    typed = first(model="tone")
    typed.header.text_to_speech.speed = value
    with pytest.raises(OptionInvalid) as caught:
        await call(bench.channel, typed)
    assert list(caught.value.fields) == ["header.text_to_speech.speed"]
