from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from automarket.errors import InvalidRequestError, StateError
from automarket.v1 import job_service_pb2 as pb
from gateway.control.jobs.webhooks import check_webhook, post, signature
from tests.support.jobs_mesh import asking, jobs_mesh

SECRET = "not a secret at all"


class Hook:
    """Somebody who wants to hear of jobs."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"location": self.url} if status == 302 else {})

    async def until_told(self, count: int, timeout: float = 30.0) -> None:
        async with asyncio.timeout(timeout):
            while len(self.got) < count:  # noqa: ASYNC110 - it comes from another process
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def listening(self):
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_the_end_of_a_job_is_told_signed_and_again_after_a_restart_until_it_is_taken():
    secret = {"AUTOMARKET_CONTROL_WEBHOOK_SECRET": SECRET}
    async with jobs_mesh(**secret) as (running, services), Hook(500).listening() as hook:
        job = await services.create(asking(webhook_url=hook.url, labels={"for": "poster"}))
        await hook.until_told(1)
        running.kill("control")
        running.start("control")
        await hook.until_told(2)
        for headers, body in hook.got:
            stamp = headers["automarket-timestamp"]
            assert abs(int(stamp) - time.time()) < 60
            assert headers["automarket-signature"] == signature(SECRET, stamp, body)
            assert headers["automarket-job"] == job.id
            told = json.loads(body)
            assert (told["id"], told["state"], told["labels"]) == (job.id, "JOB_STATE_DONE", {"for": "poster"})
        await services.until_ready()
        other = await services.create(asking(webhook_url=hook.url))
        await services.until_ended(other.id)
        await hook.until_told(3)
        assert hook.got[2][0]["automarket-job"] == other.id


async def test_redirects_are_not_followed():
    async with Hook(302).listening() as hook:
        assert await post(hook.url, {}, b"{}") == 302
        assert len(hook.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://127.0.0.1/", "http://10.0.0.1/", "https://", "nonsense"),
        *("https://x/" + "y" * 3000, "https://a..b/", f"https://{'a' * 64}.com/", "https://xn--zz--/"),
        "https://example.com:99999/",
    ],
)
def test_only_https_and_this_machine_are_told(url):
    with pytest.raises(InvalidRequestError):
        check_webhook(url, can_tell=True)


def test_without_a_secret_there_are_no_webhooks():
    check_webhook("", can_tell=False)
    check_webhook("https://example.com/hook", can_tell=True)
    check_webhook("http://localhost:9/hook", can_tell=True)
    with pytest.raises(StateError):
        check_webhook("https://example.com/hook", can_tell=False)


async def test_a_mesh_without_a_secret_refuses_such_a_job():
    async with jobs_mesh() as (_, services):
        with pytest.raises(StateError):
            await services.create(asking(webhook_url="https://example.com/hook"))
        assert not (await services.jobs.ListJobs(pb.ListJobsRequest())).jobs
