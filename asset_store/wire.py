"""Requests of the contract as the store's own values."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import TYPE_CHECKING

from asset_store.listing import DEFAULT_PAGE, LARGEST_PAGE, Query
from asset_store.part import Plan
from automarket.assets.roles import Role
from automarket.digests import check_digest
from automarket.errors import InputEmpty, InvalidRequestError
from automarket.stored import lineage_from_proto

if TYPE_CHECKING:
    from automarket.stored import Lineage
    from automarket.v1 import asset_pb2, asset_service_pb2

MAX_NAME_BYTES = 255
MAX_PARENTS = 256
MAX_HEADER_BYTES = 64 * 1024


def plan_of(header: asset_service_pb2.UploadHeader) -> Plan:
    """Give the upload that a header describes.

    Raises:
        InvalidRequestError: a field is wrong; the error names it.
    """
    size = header.size_bytes if header.HasField("size_bytes") else None
    if size is not None and size <= 0:
        raise InputEmpty("an asset has at least one byte", fields={"header.size_bytes": "at least 1"})
    if header.ByteSize() > MAX_HEADER_BYTES:
        raise InvalidRequestError("the header is over 64 KiB", fields={"header": "at most 64 KiB"})
    return Plan(
        upload_id=upload_id_of(header.upload_id),
        header=header.SerializeToString(deterministic=True),
        digest=_digest(header.digest),
        size=size,
        file_name=_file_name(header.file_name),
        lineage=_lineage(header.lineage) if header.HasField("lineage") else None,
    )


def upload_id_of(text: str) -> str:
    """Give an upload's id in its one usual form.

    Raises:
        InvalidRequestError: it is not a UUID.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidRequestError(
            f"{text[:80]!r} is not an upload id", hint="choose a UUID", fields={"upload_id": "a UUID"}
        ) from None


def _digest(text: str) -> str | None:
    if text:
        check_digest(text)
    return text or None


def _file_name(name: str) -> str:
    if name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidRequestError(
            "the file name has folders in it or is too long",
            fields={"header.file_name": f"a name without folders, at most {MAX_NAME_BYTES} bytes"},
        )
    return name


def _lineage(message: asset_pb2.Lineage) -> Lineage:
    if not message.operation or len(message.parents) > MAX_PARENTS:
        raise InvalidRequestError(
            "the lineage does not say what made the asset, or names too many parents",
            fields={"header.lineage": f"an operation, and at most {MAX_PARENTS} parents"},
        )
    for parent in message.parents:
        check_digest(parent)
    return lineage_from_proto(message)


def query_of(request: asset_service_pb2.ListRequest) -> Query:
    """Give what a request wants listed.

    Raises:
        InvalidRequestError: the page size is out of range.
        DigestInvalid: the parent is not a digest.
    """
    if not 0 <= request.page_size <= LARGEST_PAGE:
        raise InvalidRequestError("the page size is out of range", fields={"page_size": f"1 to {LARGEST_PAGE}, or 0"})
    return Query(
        page_size=request.page_size or DEFAULT_PAGE,
        page_token=request.page_token,
        role=Role.from_number(request.role),
        media_type_prefix=request.media_type_prefix,
        derived=request.derived if request.HasField("derived") else None,
        parent=_digest(request.parent_digest) or "",
        created_after=request.created_after.ToDatetime(UTC) if request.HasField("created_after") else None,
    )
