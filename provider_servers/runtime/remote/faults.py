"""Errors of the mesh for what makers of media refuse; kinds of trouble are those of `chat.refusals`.

| trouble | error |
| --- | --- |
| 401; 403 | ProviderNotConfigured |
| 402; 403 of an empty balance | CreditExhausted |
| 404, 410 at a submit | ModelGone |
| 404, 410 of work that was taken | OutputExpired |
| content refused | ContentRefused |
| 413 | InputTooLarge |
| 400, 422 that name a field | OptionInvalid, or InputUnsuitable for an input |
| other 4xx | InvalidRequestError |
| 429 | RateLimited, with the time to wait |
| 503, 529 | VendorOverloaded |
| other 5xx, pages of HTML | BackendFailed |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.errors import InputUnsuitable, InvalidRequestError, ModelGone, OptionInvalid, OutputExpired
from provider_servers.runtime.vendors.errors import to_error
from provider_servers.runtime.vendors.refusals import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automarket.errors import AutoMarketError
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.vendor import Vendor


def to_media_error(
    refusal: Refusal, vendor: Vendor, model: str, names: Mapping[str, str], *, at_work: bool = False
) -> AutoMarketError:
    """Give the error of the mesh that a refusal is.

    Args:
        refusal: what the vendor says.
        vendor: who it is.
        model: the model that was asked for.
        names: paths of the request by the vendor's names: {"image_url": "inputs.image"}.
        at_work: it is about work that was taken.
    """
    error = to_error(refusal, vendor, model)
    trouble = Trouble.MODEL if refusal.status == 410 else refusal.trouble
    if trouble is Trouble.MODEL and at_work:
        return OutputExpired(
            f"{vendor.name} no longer knows the work, which it had taken: {refusal.message or refusal.status}",
            hint="run it again; what it cost is not given back",
            metadata=error.metadata,
        )
    if trouble is Trouble.MODEL:
        message = f"{vendor.name} has no model {model!r} any more: {refusal.message or refusal.status}"
        return ModelGone(message, hint=f"see what there is: automarket models --provider {vendor.id}",
                         metadata=error.metadata)  # fmt: skip
    if trouble is Trouble.REQUEST and (path := names.get(refusal.param)):
        kind = InputUnsuitable if path.startswith("inputs") else OptionInvalid
        said = refusal.message or f"refused with {refusal.status}"
        hint = f"change {path.rpartition('.')[2]}: automarket models {model} shows what it takes"
        return kind(error.message, hint=hint, fields={f"header.{path}": said}, metadata=error.metadata)
    if trouble is Trouble.REQUEST:
        hint = f"change the request: automarket models {model} shows what it takes"
        fields = error.fields if isinstance(error, InvalidRequestError) else None
        return InvalidRequestError(error.message, hint=hint, fields=fields, metadata=error.metadata)
    return error
