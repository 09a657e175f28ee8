"""What vendors share whose work takes minutes: a request is submitted, followed, and its result fetched.

An author writes a `RemoteJob`: how one call is submitted, how its state is asked for (or streamed), how its result
reads, how it is cancelled and how a submit whose answer was lost is looked up. The provider is a `RemoteProvider`: it
has one `Desk`, one place for `uploads`, and gives the job of a call:

    async def job(self, call, api):
        return MyJob(call, api, self.uploads)

`follow` does the rest, in this order:

1. `prepare`: inputs go up (`Uploads`: a data URI when small, the vendor's upload otherwise, once per content while the
   URL lives), options become the vendor's input (`Mapping.write` of a model made by `model_from_schema`). Whatever is
   wrong with the request is said here: nothing is spent yet.
2. A checkpoint SUBMITTING, stored by the caller that wants to come back.
3. `submit`, exactly once. It is made again only where the vendor cannot have taken it: the connection was not made, or
   the vendor said so (429). A lost answer is looked up (`lookup`); what is not found ends with OutcomeUnknown.
4. A checkpoint SUBMITTED with the ticket: JSON, whatever finds the work again.
5. `watch` (the vendor's stream of states) or `status`, by polls that back off (`Waits`): queue position, new log
   lines, progress.
6. `result`; None where the vendor says "still in progress".
7. Outputs are downloaded at once into the call's folder: streamed, size-checked, resumed by Range. A URL that has
   expired is asked for once more.
8. `usage`, then the media: their lineage says what they cost.

A call that goes on (`call.resume`) begins with its checkpoint; one that is to be cancelled calls `cancel`. A caller
that is lost and does not come back (`call.keeps` is false) has its work cancelled at the vendor.

What a method raises: `Unanswered` where a request has no answer (`VendorApi` does), AutoMarketErrors for what the
vendor says (`VendorApi.refused`). UnavailableError and RateLimited while polling are waited out; what
`result` raises is the end of the work, unless it is `Unanswered`, RateLimited or VendorOverloaded.
"""

from provider_servers.runtime.remote.claimed import Claimed
from provider_servers.runtime.remote.desk import Desk
from provider_servers.runtime.remote.downloads import Downloads
from provider_servers.runtime.remote.flow import follow
from provider_servers.runtime.remote.job import Cancel, Made, Phase, RemoteJob, Result, Status, Ticket
from provider_servers.runtime.remote.provider import RemoteProvider
from provider_servers.runtime.remote.states import Stage, State
from provider_servers.runtime.remote.uploads import Uploaded, Uploads
from provider_servers.runtime.remote.vendor_api import Answer, Unanswered, VendorApi
from provider_servers.runtime.remote.waits import Waits

__all__ = [
    "Answer",
    "Cancel",
    "Claimed",
    "Desk",
    "Downloads",
    "Made",
    "Phase",
    "RemoteJob",
    "RemoteProvider",
    "Result",
    "Stage",
    "State",
    "Status",
    "Ticket",
    "Unanswered",
    "Uploaded",
    "Uploads",
    "VendorApi",
    "Waits",
    "follow",
]
