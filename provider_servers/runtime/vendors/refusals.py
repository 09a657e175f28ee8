"""What a vendor says of a call that it does not fulfil, and what kind of trouble that is.

| trouble | error | tried elsewhere |
| --- | --- | --- |
| key refused, not allowed | ProviderNotConfigured | yes |
| no credit, spending limit | CreditExhausted | yes |
| rate limit | RateLimited, with the time to wait | yes |
| too much to do | VendorOverloaded, with a time to wait | yes |
| its own fault, or too slow | BackendFailed | yes |
| context too long | ContextTooLong | no |
| content refused | ContentRefused | no |
| model gone or unknown | ModelUnknown | no |
| too large | InputTooLarge | no |
| a parameter | OptionInvalid, InvalidRequestError | no |

The first rule that fits decides. Vendors tell the same things by other statuses, so their words go before them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


class Trouble(Enum):
    """Why a call is not fulfilled."""

    CREDIT = "credit"
    CONTEXT = "context"
    CONTENT = "content"
    MODEL = "model"
    OVERLOAD = "overload"
    RATE = "rate"
    KEY = "key"
    FORBIDDEN = "forbidden"
    SIZE = "size"
    FAILURE = "failure"
    ODD = "odd"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a vendor says of a call that it does not fulfil.

    Attributes:
        status: the HTTP status; of an error inside a stream the one that it stands for.
        words: its error's code, type and the like, in lower case.
        message: its sentence.
        param: the parameter that it names.
        retry_after: seconds that it asks to wait; None where it does not say.
        may_retry: whether it says that trying again may help; None where it does not say.
        request_id: its name for the request.
    """

    status: int
    words: frozenset[str] = frozenset()
    message: str = ""
    param: str = ""
    retry_after: float | None = None
    may_retry: bool | None = None
    request_id: str = ""

    @property
    def trouble(self) -> Trouble:
        """Why the call is not fulfilled."""
        return next((rule.trouble for rule in _RULES if rule.fits(self)), Trouble.REQUEST)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What tells a kind of trouble: one of these words, one of these statuses, or this sentence with one of those."""

    trouble: Trouble
    words: frozenset[str] = frozenset()
    statuses: Container[int] = ()
    said: re.Pattern[str] | None = None
    said_with: Container[int] = ()

    def fits(self, refusal: Refusal) -> bool:
        if self.words & refusal.words or refusal.status in self.statuses:
            return True
        return self.said is not None and refusal.status in self.said_with and bool(self.said.search(refusal.message))


_RULES = (
    _Rule(
        Trouble.CREDIT,
        frozenset(("insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_error"))
        | {"project_spend_limit_exceeded", "enforced_spend_limit_reached", "payment_required", "credit_limit"}
        | {"quota_exceeded"},
        (402,),
        re.compile(r"credit balance is too low|spend(ing)? limit|usage limits?\b.*\breached", re.IGNORECASE),
        (400, 403, 429),
    ),
    _Rule(
        Trouble.CONTEXT,
        frozenset(("context_length_exceeded", "token_limit_exceeded")),
        (),
        re.compile(
            r"maximum context length|prompt is too long|context (length|window|size)|max_new_tokens.*must be <="
            r"|exceeds? the (available )?context|prompt \+ max_tokens",
            re.IGNORECASE,
        ),
        (400, 403, 413, 422, 500),
    ),
    _Rule(
        Trouble.CONTENT,
        frozenset(("content_policy_violation", "content_filter", "moderation_blocked", "refusal"))
        | {"content_against_policy"},
    ),
    _Rule(
        Trouble.MODEL,
        frozenset(("model_not_found", "model_not_available")),
        (),
        re.compile(r"not a valid model ID|invalid model ID|model .{1,200} does not exist", re.IGNORECASE),
        (400,),
    ),
    _Rule(
        Trouble.OVERLOAD,
        frozenset(("overloaded_error", "provider_overloaded", "server_is_overloaded", "service_unavailable_error"))
        | {"system_busy"},
        (503, 529),
    ),
    _Rule(Trouble.RATE, frozenset(("rate_limit_exceeded", "rate_limit_error", "slow_down")), (429,)),
    _Rule(Trouble.KEY, statuses=(401,)),
    _Rule(Trouble.FORBIDDEN, statuses=(403,)),
    _Rule(Trouble.MODEL, statuses=(404,)),
    _Rule(Trouble.SIZE, statuses=(413,)),
    _Rule(Trouble.FAILURE, statuses=(408, 409, *range(500, 600))),
    _Rule(Trouble.ODD, statuses=range(300, 400)),
)
