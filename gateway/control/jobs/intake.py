"""Taking a new job in: everything that can be found wrong with it is found before it waits."""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import TYPE_CHECKING

from automarket.client.assets import AssetClient
from automarket.errors import (
    AssetUnknown,
    AutoMarketError,
    HeaderMissing,
    InputIncomplete,
    InvalidRequestError,
    JobQueueFull,
    MethodUnknown,
    RequestTooLarge,
    StateError,
    StoreUnavailable,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.telemetry import inject
from automarket.v1 import job_service_pb2 as pb
from automarket.v1 import model_service_pb2
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from gateway.control.jobs.attempt import target_at
from gateway.control.jobs.states import set_time
from gateway.control.jobs.webhooks import check_webhook

if TYPE_CHECKING:
    from automarket.v1 import model_pb2, transform_pb2
    from automarket.v1.model_service_pb2_grpc import ModelServiceAsyncStub
    from gateway.control.jobs.places import Place
    from gateway.control.jobs.runner import Runner
    from gateway.control.jobs.store import Kept
    from gateway.control.jobs.work import Work

MAX_HEADER_BYTES = 3 * 1024 * 1024
MAX_INPUTS = 256
MAX_LABELS, MAX_LABEL_CHARACTERS = 16, 256
MAX_PRIORITY = 100
ESTIMATE_SECONDS = 10.0


class Intake:
    """Takes new jobs in.

    Args:
        runner: works on them.
        store_address: of the asset store, empty where there is none.
        can_tell: whether webhooks can be signed.
    """

    def __init__(self, runner: Runner, store_address: str = "", *, can_tell: bool = False) -> None:
        self._runner = runner
        self._store_address = store_address
        self._can_tell = can_tell

    async def create(self, request: pb.CreateJobRequest, retry_of: str = "") -> Kept | Work:
        """Create a job, or give the one that is there already.

        Raises:
            AutoMarketError: as JobService.CreateJob does.
        """
        runner = self._runner
        if not runner.store.database.is_durable:
            raise StateError("this mesh keeps no jobs", hint="start control with --data-dir DIR")
        check(request, can_tell=self._can_tell)
        fingerprint = fingerprint_of(request)
        if await runner.store.same(request.header.request_id, fingerprint) is not None:
            return await runner.find(request.header.request_id)
        if len(runner.lines) >= runner.settings.max_queued:
            raise JobQueueFull(
                f"{len(runner.lines):,} jobs wait, and no more may",
                hint="try again later, or raise AUTOMARKET_CONTROL_JOBS_MAX_QUEUED",
                retry_after=10.0,
            )
        line, estimate = await self._looked_at(request)
        job = _job(request, retry_of)
        if estimate is not None:
            job.estimate.CopyFrom(estimate)
        return await runner.admit(request, job, fingerprint, line)

    async def _looked_at(self, request: pb.CreateJobRequest) -> tuple[str, transform_pb2.CostEstimate | None]:
        """Check target, inputs, options and budget as far as somebody can tell now; give the line, and the cost."""
        await self._check_assets(request.header)
        try:
            place = await self._runner.places.complete(self._runner.places.route(request.target))
        except UnavailableError:
            if not self._runner.places.knows(request.target):
                raise
            return "", None  # it will be back
        if place.model is not None:
            check_slots(request.header, place.model)
        estimate = await self._estimate(request, place)
        if place.remote:
            await self._runner.ledger.check_budget(place.route.provider_id, estimate)
        return place.route.provider_id, estimate

    async def _check_assets(self, header: transform_pb2.TransformHeader) -> None:
        digests = list(dict.fromkeys(one.digest for one in header.inputs if one.WhichOneof("source") == "digest"))
        if not digests:
            return
        if not self._store_address:
            raise StoreUnavailable("this mesh has no asset store", hint="start it with one")
        async with open_channel(self._store_address) as channel:
            missing = await AssetClient(channel).find_missing(digests)
        if missing:
            raise AssetUnknown(f"the mesh has no asset {missing[0]}", hint="upload it first")

    async def _estimate(self, request: pb.CreateJobRequest, place: Place) -> transform_pb2.CostEstimate | None:
        """Ask the provider what it will cost, which checks the options; None when it cannot say."""
        asked = model_service_pb2.EstimateCostRequest(target=target_at(request.target, place), header=request.header)
        metadata = (
            ("automarket-resolved-model", place.route.model_id),
            ("automarket-resolved-provider", place.route.provider_id),
        )
        try:
            with errors_mapped({"provider": place.route.provider_id}):
                async with open_channel(place.route.address) as channel:
                    stub: ModelServiceAsyncStub = ModelServiceStub(channel)
                    answer = await stub.EstimateCost(asked, metadata=inject(metadata), timeout=ESTIMATE_SECONDS)
        except (MethodUnknown, UnavailableError, TimeoutError):
            return None
        except AutoMarketError as error:
            if isinstance(error, InvalidRequestError):
                raise
            return None
        return answer.estimate if answer.HasField("estimate") else None


def check_slots(header: transform_pb2.TransformHeader, model: model_pb2.Model) -> None:
    """Check that every slot that has to be filled is.

    Raises:
        InputIncomplete: one is not.
    """
    named = {one.slot for one in header.inputs}
    missing = [slot.name for slot in model.inputs if not slot.optional and slot.name not in named]
    if len(missing) > sum(not one.slot for one in header.inputs):
        message = f"model {model.id} needs an input for slot {missing[-1]!r}"
        raise InputIncomplete(message, fields={"header.inputs": f"slot {missing[-1]!r} is missing"})


def check(request: pb.CreateJobRequest, *, can_tell: bool) -> None:
    """Check what can be checked of a request by itself.

    Raises:
        InvalidRequestError: naming the field that is wrong.
    """
    if not request.HasField("header"):
        raise HeaderMissing("the request carries no header", hint="set target and header")
    header = request.header
    _check_id(header.request_id)
    if header.ByteSize() > MAX_HEADER_BYTES:
        message = f"the header is {header.ByteSize():,} bytes; at most {MAX_HEADER_BYTES:,} are allowed"
        raise RequestTooLarge(
            message, hint="upload large inputs and send their digests", fields={"header": "too large"}
        )
    if len(header.inputs) > MAX_INPUTS:
        raise InvalidRequestError(f"at most {MAX_INPUTS} inputs are allowed", fields={"header.inputs": "too many"})
    for number, one in enumerate(header.inputs):
        if one.WhichOneof("source") in (None, "stream"):
            message = f"input {number} of a job is by digest or inline"
            fields = {f"header.inputs[{number}]": "by digest or inline"}
            raise InputIncomplete(message, hint="upload it and send its digest", fields=fields)
    if header.HasField("store") and not header.store:
        fields = {"header.store": "a job's outputs are kept"}
        raise InvalidRequestError("the outputs of a job are kept by the store, and store is false", fields=fields)
    if header.HasField("resume"):
        raise InvalidRequestError("a job goes on by itself", fields={"header.resume": "not for jobs"})
    _check_words(request)
    check_webhook(request.webhook_url, can_tell=can_tell)


def _check_id(request_id: str) -> None:
    try:
        uuid.UUID(request_id)
    except ValueError:
        fields = {"header.request_id": "a UUID is required"}
        raise InvalidRequestError("the header's request_id is not a UUID", fields=fields) from None


def _check_words(request: pb.CreateJobRequest) -> None:
    if not -MAX_PRIORITY <= request.priority <= MAX_PRIORITY:
        fields = {"priority": f"-{MAX_PRIORITY} to {MAX_PRIORITY}"}
        raise InvalidRequestError(f"priority {request.priority} is out of range", fields=fields)
    if len(request.labels) > MAX_LABELS:
        raise InvalidRequestError(f"at most {MAX_LABELS} labels are allowed", fields={"labels": "too many"})
    for key, value in request.labels.items():
        if not 0 < len(key) <= MAX_LABEL_CHARACTERS or len(value) > MAX_LABEL_CHARACTERS:
            fields = {f"labels[{key[:40]}]": f"at most {MAX_LABEL_CHARACTERS} characters"}
            raise InvalidRequestError("a label is too long, or has no key", fields=fields)


def fingerprint_of(request: pb.CreateJobRequest) -> bytes:
    """Give what tells two requests apart."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _job(request: pb.CreateJobRequest, retry_of: str) -> pb.Job:
    job = pb.Job(
        id=request.header.request_id,
        state=pb.JOB_STATE_QUEUED,
        target=request.target,
        priority=request.priority,
        labels=request.labels,
        retry_of=retry_of,
    )
    set_time(job.create_time, time.time())
    return job
