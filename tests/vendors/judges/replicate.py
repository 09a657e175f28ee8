"""What Replicate's SDK makes of a stand-in."""

from __future__ import annotations

import io
import json
import os
import sys

import replicate

client = replicate.Client(api_token=os.environ["JUDGE_KEY"], base_url=sys.argv[1])
client.poll_interval = 0.02
DONE = ("succeeded", "failed", "canceled")


def main() -> None:
    asked = json.load(sys.stdin)
    json.dump({" ".join([work, *map(str, args)]): tried(work, args) for work, *args in asked}, sys.stdout)


def tried(work, args):
    said = {}
    try:
        WORKS[work](said, *args)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is asked for
        said |= {"error": type(error).__name__, "status": getattr(error, "status", None), "said": str(error)}
    return said


def run(said, model, given) -> None:
    """Make a prediction of a model's latest version and wait for its end, noting its states."""
    latest = client.models.get(model).latest_version
    one = client.predictions.create(version=latest, input=json.loads(given))
    said["states"] = [one.status]
    while one.status not in DONE:
        one.reload()
        if one.status != said["states"][-1]:
            said["states"].append(one.status)
    told(said, one)


def told(said, one) -> None:
    said |= {"output": one.output, "error_said": one.error, "logs": one.logs, "metrics": one.metrics, "id": one.id}
    said |= {"removed": one.dict().get("data_removed")}


def official(said, model, given) -> None:
    """Make a prediction of an official model."""
    one = client.models.predictions.create(model=model, input=json.loads(given))
    one.wait()
    told(said, one)


def stream(said, model) -> None:
    """Take what a model says as it says it."""
    said["pieces"] = []
    latest = client.models.get(model).latest_version
    one = client.predictions.create(version=latest, input={"prompt": "tell"})
    for event in one.stream():
        if event.event.value == "output":
            said["pieces"].append(event.data)
        said["last"] = [event.event.value, event.data]


def cancel(said, model) -> None:
    """Cancel a prediction at once."""
    latest = client.models.get(model).latest_version
    one = client.predictions.create(version=latest, input={"prompt": "x"})
    one.cancel()
    one.wait()
    said |= {"state": one.status, "output": one.output}


def schema(said, model) -> None:
    """Read a model's schema."""
    shown = client.models.get(model).latest_version.openapi_schema["components"]["schemas"]["Input"]
    said["order"] = sorted(shown["properties"], key=lambda name: shown["properties"][name]["x-order"])


def files(said) -> None:
    """Upload a file, look at it, and remove it."""
    made = client.files.create(io.BytesIO(b"not much"), filename="a.txt", content_type="text/plain", metadata={"n": 1})
    again = client.files.get(made.id)
    said |= {"name": again.name, "type": again.content_type, "size": again.size, "metadata": again.metadata}
    said |= {"sha256": again.checksums["sha256"], "url": again.urls["get"], "before": len(client.files.list())}
    client.files.delete(made.id)
    said["after"] = len(client.files.list())


def listed(said) -> None:
    """Go through all pages of predictions."""
    page, ids = client.predictions.list(), []
    while True:
        ids += [one.id for one in page.results]
        if page.next is None:
            break
        page = client.predictions.list(page.next)
    said |= {"count": len(ids), "distinct": len(set(ids))}


def many(said, count) -> None:
    """Make predictions."""
    latest = client.models.get("acme/slow").latest_version
    said["ids"] = [client.predictions.create(version=latest, input={"prompt": "x"}).id for _ in range(count)]


WORKS = {one.__name__: one for one in (run, official, stream, cancel, schema, files, listed, many)}

if __name__ == "__main__":
    main()
