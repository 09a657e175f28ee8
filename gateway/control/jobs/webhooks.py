"""Webhooks: whoever asked for it is told of a job's end, by a signed POST, until it says that it has understood.

What is still to be told is in the database, written together with the job's end, so that a restart loses nothing.

The signature is `v1=` and the HMAC-SHA256, in hex, of the timestamp, a dot and the body, with the secret as its key.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
from google.protobuf import json_format

from automarket.assets.fetch import addresses_of, trusted
from automarket.errors import AddressRefused, AutoMarketError, InvalidRequestError, StateError
from automarket.v1 import job_service_pb2 as pb

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gateway.control.database import Database

log = logging.getLogger("automarket.control")

TIMESTAMP, SIGNATURE, JOB = "automarket-timestamp", "automarket-signature", "automarket-job"
MAX_URL_CHARACTERS = 2048
PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 12 * 3600.0)
TIMEOUT_SECONDS = 15.0
MOST_SECONDS = 60.0
"""For one try, however slowly the answer comes."""
_GONE = 410
_TOGETHER = 8


def check_webhook(url: str, *, can_tell: bool) -> None:
    """Check where a job's end is to be told.

    Raises:
        InvalidRequestError: it is no https URL, nor http to this machine.
        StateError: there is no secret to sign with.
    """
    if not url:
        return
    fields = {"webhook_url": "https, or http to this machine"}
    try:
        is_right = len(url) <= MAX_URL_CHARACTERS and _is_right(httpx.URL(url))
    except (httpx.InvalidURL, UnicodeError):  # a host may be no name at all
        is_right = False
    if not is_right:
        raise InvalidRequestError("the webhook_url is neither https nor http to this machine", fields=fields)
    if not can_tell:
        hint = "set AUTOMARKET_CONTROL_WEBHOOK_SECRET and start control anew"
        raise StateError(
            "this mesh has no secret to sign webhooks with", hint=hint, fields={"webhook_url": "no secret"}
        )


def _is_right(target: httpx.URL) -> bool:
    target.host.encode("idna")
    is_port = target.port is None or 0 < target.port < 65_536
    return bool(target.host) and is_port and (target.scheme == "https" or _is_own(target))


def _is_own(target: httpx.URL) -> bool:
    if target.scheme != "http":
        return False
    try:
        return target.host == "localhost" or ipaddress.ip_address(target.host).is_loopback
    except ValueError:
        return False


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Give the signature of a body that is sent at a time, in seconds of the epoch."""
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Webhooks:
    """Tells of the ends of jobs.

    Args:
        database: has what is still to be told.
        secret: what it is signed with; empty tells nobody.
        pauses: seconds before each further try; after the last one it is given up.
    """

    def __init__(self, database: Database, secret: str, pauses: Sequence[float] = PAUSES) -> None:
        self._database = database
        self._secret = secret
        self._pauses = pauses
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell what is still to be told."""
        if self._secret:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; the rest is told when control is back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Look for what there is to tell."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait: float | None = 5.0
            try:
                wait = await self._tell_due()
            except AutoMarketError as error:
                log.warning("webhooks wait for the database", extra={"reason": error.reason})
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _tell_due(self) -> float | None:
        """Tell what is due; give the seconds until more is, None when there is nothing."""
        while rows := await self._database.run(_due):
            await asyncio.gather(*(self._tell(*row) for row in rows))
        next_due = await self._database.run(_next_due)
        return None if next_due is None else max(0.01, next_due - time.time())

    async def _tell(self, number: int, url: str, tries: int, job: bytes) -> None:
        told = await self._told(url, pb.Job.FromString(job))
        if told or tries >= len(self._pauses):
            if not told:
                log.warning("a webhook is given up", extra={"job": pb.Job.FromString(job).id, "tries": tries + 1})
            await self._database.run(lambda connection: _settle(connection, number))
            return
        due = time.time() + self._pauses[tries]
        await self._database.run(lambda connection: _put_off(connection, number, due))

    async def _told(self, url: str, job: pb.Job) -> bool:
        """Tell of a job; True when there is nothing more to be told."""
        body = json_format.MessageToJson(job, preserving_proto_field_name=True, indent=None).encode()
        stamp = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "user-agent": "automarket",
            JOB: job.id,
            TIMESTAMP: stamp,
            SIGNATURE: signature(self._secret, stamp, body),
        }
        try:
            async with asyncio.timeout(MOST_SECONDS):
                status = await post(url, headers, body)
        except AddressRefused:
            log.warning("a webhook leads to a private address and is not followed", extra={"job": job.id})
            return True
        except (httpx.HTTPError, AutoMarketError, OSError) as error:
            log.info("a webhook was not taken", extra={"job": job.id, "reason": type(error).__name__})
            return False
        except Exception:  # one that cannot be told must not keep the others from it
            log.exception("a webhook cannot be told", extra={"job": job.id})
            return False
        return 200 <= status < 300 or status == _GONE


async def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """Send a body to an address that was checked; give the status. Redirects are not followed, no proxy is used.

    Raises:
        AddressRefused: it leads to a private address, and is not this machine by http.
        httpx.HTTPError, AutoMarketError: nobody took it.
    """
    target = httpx.URL(url)
    own = _is_own(target)
    addresses = await addresses_of(target, allow_private=own)
    if own and not all(ipaddress.ip_address(one).is_loopback for one in addresses):
        raise AddressRefused(f"{target.host} is not this machine")
    pinned = target.copy_with(host=addresses[0], userinfo=b"")
    headers = {**headers, "host": target.netloc.decode("ascii")}
    trust = True if own else await asyncio.to_thread(trusted)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        extensions = {"sni_hostname": target.host}
        async with client.stream("POST", pinned, content=body, headers=headers, extensions=extensions) as response:
            return response.status_code


def _due(connection: sqlite3.Connection) -> list[tuple[int, str, int, bytes]]:
    sql = (
        "SELECT webhooks.number, url, tries, job FROM webhooks JOIN jobs ON jobs.number = webhooks.number "
        "WHERE due <= ? ORDER BY due LIMIT ?"
    )
    return connection.execute(sql, (int(time.time() * 1000), _TOGETHER)).fetchall()


def _next_due(connection: sqlite3.Connection) -> float | None:
    found = connection.execute("SELECT MIN(due) FROM webhooks").fetchone()[0]
    return None if found is None else found / 1000


def _settle(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM webhooks WHERE number = ?", (number,))


def _put_off(connection: sqlite3.Connection, number: int, due: float) -> None:
    connection.execute("UPDATE webhooks SET tries = tries + 1, due = ? WHERE number = ?", (int(due * 1000), number))
