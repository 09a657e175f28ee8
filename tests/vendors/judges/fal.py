"""What fal.ai's SDK makes of a stand-in."""

from __future__ import annotations

import json
import os
import sys
import time

from fal_client import client as sdk

URL = sys.argv[1]
# The SDK knows one host for each, by https; the stand-in is all of them.
sdk.QUEUE_URL_FORMAT, sdk.REST_URL, sdk.CDN_URL = f"{URL}/", URL, URL
sdk.MULTIPART_THRESHOLD, sdk.MULTIPART_CHUNK_SIZE = 100_000, 40_000
client = sdk.SyncClient(key=os.environ["JUDGE_KEY"])


def main() -> None:
    asked = json.load(sys.stdin)
    json.dump({" ".join([work, *map(str, args)]): tried(work, args) for work, *args in asked}, sys.stdout)


def tried(work, args):
    said = {}
    try:
        WORKS[work](said, *args)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is asked for
        said |= {"error": type(error).__name__, "said": str(error), "status": getattr(error, "status_code", None)}
        said["type"] = getattr(error, "error_type", None)
    return said


def run(said, endpoint, given) -> None:
    """Submit work and follow it to its result, noting its states."""
    one = client.submit(endpoint, json.loads(given))
    said |= {"id": one.request_id, "states": [], "positions": [], "logs": []}
    for status in one.iter_events(with_logs=True, interval=0.02):
        name = type(status).__name__
        if [name] != said["states"][-1:]:
            said["states"].append(name)
        if name == "Queued":
            said["positions"].append(status.position)
        else:
            said["logs"] = [line["message"] for line in status.logs]
        if name == "Completed":
            said |= {"metrics": status.metrics, "fault": status.error, "fault_type": status.error_type}
    said["result"] = one.get(interval=0.02)


def cancel(said, endpoint, given, after) -> None:
    """Submit work and cancel it after so many seconds."""
    one = client.submit(endpoint, json.loads(given))
    time.sleep(after)
    one.cancel()
    said["cancelled"] = True
    list(one.iter_events(interval=0.02))
    said["result"] = one.get(interval=0.02)


def unknown(said, endpoint) -> None:
    """Ask for work that nobody submitted."""
    client.status(endpoint, "0f4c1d2e-0000-4000-8000-000000000001")


def upload(said, repository, size) -> None:
    """Upload bytes, and have a model read them."""
    url = client.upload(b"x" * size, "image/png", "x.png", repository=repository, fallback_repository=[])
    said["url"] = url
    one = client.submit("fal-ai/esrgan", {"image_url": url})
    said["result"] = one.get(interval=0.02)


WORKS = {"run": run, "cancel": cancel, "unknown": unknown, "upload": upload}

if __name__ == "__main__":
    main()
