"""What it means for a call, and for those that follow, that a vendor refuses it and says that another may take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from automarket.errors import ProviderBusy, RateLimited, Retry, VendorFailing, VendorOverloaded

if TYPE_CHECKING:
    from gateway.relay.balance import Balance
    from gateway.relay.call import Call
    from gateway.relay.status import Advice

# Who asks to wait for longer is asked now and then all the same.
LONGEST_SECONDS: Final = 60.0
_WANTS_REST: Final = frozenset((RateLimited.reason, VendorOverloaded.reason, VendorFailing.reason))


def note_refusal(call: Call, advice: Advice, balance: Balance, now: float) -> None:
    """Take a status of a vendor's provider.

    No other instance of the provider tries the same model for this call: all of them ask the same vendor. Another model
    may still be had there. Who asked to wait is asked last meanwhile, by other calls, too.
    """
    route = call.destination.route if call.destination is not None else None
    if route is None or route.local or advice.retry != Retry.OTHER or advice.reason == ProviderBusy.reason:
        return
    call.refused.add((route.provider_id, route.model_id))
    call.tried.discard(route.instance_id)
    if advice.reason in _WANTS_REST and advice.seconds:
        balance.rest(route.provider_id, route.model_id, now + min(advice.seconds, LONGEST_SECONDS))
