"""A key is never shown: not in logs, errors, descriptions, answers, or what an object says of itself."""

from __future__ import annotations

import asyncio
import logging

import pytest
from google.protobuf import json_format

from automarket.errors import AutoMarketError, SettingInvalid
from automarket.logs import JsonFormatter
from automarket.rpc.channel import errors_mapped
from automarket.rpc.status import to_status
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.provider_servers.chat.test_closing import until
from tests.vendors.http import answer
from tests.vendors.said import TEXT

PLANTED = "sk-planted-9f8e7d6c5b4a-never-show-me"
PARTS = (PLANTED, PLANTED[:10], PLANTED[-10:])


class Log(logging.Handler):
    """Keeps every line that would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._formatter = JsonFormatter("test")

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self._formatter.format(record))


@pytest.fixture
def log():
    handler, root = Log(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def shows(text):
    return [one for one in PARTS if one in text]


def repeating(request):
    """Answer as a vendor that repeats what it was sent, in every place where that might be."""
    sent = str(request.headers)
    status = {"ok": 400, "context": 401, "cut": 403, "slow": 500, "tools": 429}.get(_model(request), 404)
    body = {"type": "error", "error": {"message": f"bad headers {sent}", "type": sent, "code": sent, "param": sent}}
    return answer(body, status, x_request_id=f"req {PLANTED}", request_id=f"req {PLANTED}", retry_after=PLANTED)


def _model(request):
    return request.json["model"] if request.method == "POST" else ""


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_key_is_never_shown(vendor, log):
    async with talking_to(vendor, api_key=PLANTED, models="ok,context,cut,slow,tools,other") as asked:
        stub = MediaProviderServiceStub(asked.served.channel)
        said = [repr(asked.provider._settings), str(asked.provider._settings), repr(asked.provider.upstream())]
        asked.fake._handle = repeating
        for model in ("ok", "context", "cut", "slow", "tools", "other"):
            first = asked.first(model)
            try:
                await asked.served.transform(first)
            except AutoMarketError as error:
                said += [repr(error), str(error), repr(vars(error)), repr(to_status(error).details)]
            known = await stub.GetDiagnostics(pb.GetDiagnosticsRequest(request_id=first.header.request_id))
            said.append(json_format.MessageToJson(known))
        for answered in (
            await stub.GetProvider(pb.GetProviderRequest()),
            await stub.ListModels(pb.ListModelsRequest()),
            await stub.GetServiceStatus(pb.GetServiceStatusRequest(log_line_count=100)),
        ):
            said.append(json_format.MessageToJson(answered))
    assert len(said) > 25
    assert not [found for one in said for found in shows(one)]
    assert any(asked.provider.id in line for line in log.lines)  # it is logged that the list cannot be had
    assert not [line for line in log.lines if shows(line)]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_key_that_is_configured_works_and_is_not_given_back(vendor, log):
    async with talking_to(vendor, api_key="sk-wrong-0123456789") as asked:
        assert (await asked.ask("ok")).error is not None
        asked.fake._handle = _open_to(PLANTED, asked.fake._handle)
        request = pb.ConfigureRequest()
        request.settings.update({"api_key": PLANTED, "timeout": 30})
        stub = MediaProviderServiceStub(asked.served.channel)
        answered = await stub.Configure(request)
        assert sorted(answered.changed) == ["api_key", "timeout"]
        assert (await asked.ask("ok")).text == TEXT
        await until(lambda: asked.provider._listed)
        said = [json_format.MessageToJson(answered), repr(asked.provider._settings)]
        said.append(json_format.MessageToJson(await stub.GetProvider(pb.GetProviderRequest())))
        assert asked.provider.upstream().first_seconds == 30
    assert not [found for one in [*said, *log.lines] for found in shows(one)]


def _open_to(key, handle):
    """Take a key instead of the one that the stand-in knows."""

    def taking(request):
        mine = {name: value.replace(key, _KNOWN) for name, value in request.headers.items()}
        request.headers.update(mine)
        return handle(request)

    return taking


_KNOWN = "sk-planted-0123456789abcdef"


@pytest.mark.parametrize(
    ("setting", "value"), [("base_url", "ftp://x"), ("timeout", 0), ("api_key", ""), ("idle_timeout", "long")]
)
async def test_settings_that_are_not_taken_are_named(setting, value):
    async with talking_to("openai") as asked:
        request = pb.ConfigureRequest()
        request.settings.update({setting: value})
        with pytest.raises(SettingInvalid) as caught, errors_mapped():
            await MediaProviderServiceStub(asked.served.channel).Configure(request)
        assert list(caught.value.fields) == [f"settings.{setting}"]
        await asyncio.sleep(0)
        assert (await asked.ask("ok")).text == TEXT
