"""Small providers that do what a test tells them, and how to serve them."""

from __future__ import annotations

from typing import ClassVar

from provider_servers.runtime import AudioFormat, Kind, Model, Output, Provider, Role, ServiceState, ServiceStatus, Slot

TEXT = Model(
    id="echo",
    capabilities=("text-to-text",),
    inputs=(Slot("text", Role.TEXT),),
    outputs=(Output("text", Role.TEXT),),
    options={"times": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1}},
)
SOUND = Model(
    id="sound",
    capabilities=("audio-to-audio",),
    inputs=(Slot("audio", Role.AUDIO, audio=AudioFormat("wav", 16_000, 1)),),
    outputs=(Output("audio", Role.AUDIO, ("audio/wav",)),),
)


class Toy(Provider):
    """Runs the function that it is given."""

    id = "toy"
    name = "Toy"
    description = "For tests."
    aliases = ("plaything",)
    version = "7"
    max_concurrent_calls = 2
    max_queued_calls = 2
    settings_schema: ClassVar = {
        "api_key": {"type": "string", "minLength": 8, "writeOnly": True},
        "rounds": {"type": "integer", "minimum": 1},
    }

    def __init__(self, work=None, model=TEXT):
        self.work = work
        self.model = model
        self.settings = {}
        self.opened = 0

    def models(self):
        return (self.model,)

    def transform(self, call):
        return self.work(call)

    async def open(self):
        self.opened += 1

    async def close(self):
        self.opened -= 1

    def configure(self, settings):
        self.settings |= settings

    async def start_service(self):
        yield ServiceStatus(ServiceState.PULLING, running=False, healthy=False, fraction=0.43, message="pulling 43 %")
        yield ServiceStatus()

    async def stop_service(self):
        return ServiceStatus(ServiceState.STOPPED, running=False, healthy=False)


class Remote(Toy):
    """A vendor whose backend does not come up."""

    id = "remote"
    kind = Kind.REMOTE
    aliases = ()

    async def start_service(self):
        yield ServiceStatus(ServiceState.FAILED, running=False, healthy=False, error="no disk", hint="buy one")
