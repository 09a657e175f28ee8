"""Checking what a provider server says of itself, so that a mistake is found at its door and names its field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf import json_format
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import RegistrationInvalid
from automarket.media.wire import roles_from_proto
from gateway.control.names import capability_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.struct_pb2 import Struct

    from automarket.v1 import model_pb2, registry_service_pb2

MAX_MODELS = 10_000
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MODEL_NAME = re.compile(r"[!-~]{1,255}")


class Faults(dict[str, str]):
    """What is wrong with which field; the first fault of a field stays."""

    def add(self, field: str, fault: str) -> None:
        """Note a fault."""
        self.setdefault(field, fault)


def check(registration: registry_service_pb2.Registration) -> None:
    """Check a registration by itself.

    Raises:
        RegistrationInvalid: naming every field that is wrong.
    """
    faults = Faults()
    if not 1 <= len(registration.instance_id) <= 63:
        faults.add("registration.instance_id", "1 to 63 characters")
    if not registration.endpoints:
        faults.add("registration.endpoints", "at least one")
    for number, endpoint in enumerate(registration.endpoints):
        if not endpoint.address or not endpoint.scope:
            faults.add(f"registration.endpoints[{number}]", "scope and address are required")
    _check_provider(registration.provider, faults)
    _check_models(registration.models, registration.provider.id, "registration.models", faults)
    _raise_faults(faults, registration.provider.id)


def check_update(models: Iterable[model_pb2.Model], provider_id: str) -> None:
    """Check the models of an update.

    Raises:
        RegistrationInvalid: naming every field that is wrong.
    """
    faults = Faults()
    _check_models(models, provider_id, "update.models.models", faults)
    _raise_faults(faults, provider_id)


def _raise_faults(faults: Faults, provider_id: str) -> None:
    if faults:
        field, fault = next(iter(faults.items()))
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        message = f"provider {provider_id[:80]!r} describes itself wrongly: {field}: {fault}{more}"
        raise RegistrationInvalid(message, fields=faults, metadata={"provider": provider_id})


def _check_provider(provider: model_pb2.Provider, faults: Faults) -> None:
    for field, name in (("id", provider.id), *((f"aliases[{n}]", alias) for n, alias in enumerate(provider.aliases))):
        if not _NAME.fullmatch(name):
            faults.add(f"registration.provider.{field}", '1 to 63 characters of a-z, 0-9 and "-"')
    names = [provider.id, *provider.aliases]
    for number, alias in enumerate(provider.aliases):
        if alias in names[: number + 1]:
            faults.add(f"registration.provider.aliases[{number}]", f"{alias!r} is given twice")
    if not provider.kind:
        faults.add("registration.provider.kind", "required")
    _check_schema(provider.settings_schema, "registration.provider.settings_schema", faults)


def _check_models(models: Iterable[model_pb2.Model], provider_id: str, field: str, faults: Faults) -> None:
    listed = list(models)
    if not 1 <= len(listed) <= MAX_MODELS:
        faults.add(field, f"1 to {MAX_MODELS:,} models")
    owners: dict[str, int] = {}
    for number, model in enumerate(listed):
        here = f"{field}[{number}]"
        if not _MODEL_NAME.fullmatch(model.id):  # it travels as call metadata
            faults.add(f"{here}.id", "1 to 255 printable ASCII characters without spaces")
        if model.provider_id not in ("", provider_id):
            faults.add(f"{here}.provider_id", f"differs from the provider's id {provider_id!r}")
        for name in {model.id, *model.aliases}:
            if owners.setdefault(name, number) != number:
                faults.add(f"{here}.aliases" if name != model.id else f"{here}.id", f"{name!r} names two models")
        _check_slots(model, here, faults)
        _check_capabilities(model, here, faults)
        _check_schema(model.options_schema, f"{here}.options_schema", faults)


def _check_slots(model: model_pb2.Model, here: str, faults: Faults) -> None:
    if not model.outputs:
        faults.add(f"{here}.outputs", "at least one")
    for kind, things in (("inputs", model.inputs), ("outputs", model.outputs)):
        names: set[str] = set()
        for number, thing in enumerate(things):
            if not thing.name or thing.name in names:
                faults.add(f"{here}.{kind}[{number}].name", "required, and unique within the model")
            names.add(thing.name)
    for number, slot in enumerate(model.inputs):
        if Role.from_number(slot.role) is None:
            faults.add(f"{here}.inputs[{number}].role", "required")


def _check_capabilities(model: model_pb2.Model, here: str, faults: Faults) -> None:
    if not model.capabilities:
        faults.add(f"{here}.capabilities", "at least one")
    for number, reference in enumerate(model.capabilities):
        known = capabilities.by_number(reference.capability)
        if known is not None and reference.name and capabilities.canonical_name(reference.name) != known.name:
            fault = f"{known.name} by number, {reference.name[:63]} by name"
            faults.add(f"{here}.capabilities[{number}]", fault)
    takes = _kinds(slot.role for slot in model.inputs)
    makes = _kinds(output.role for output in model.outputs)
    for number, name in enumerate(capability_names(model)):
        known = capabilities.find(name) if name else None
        if not _NAME.fullmatch(name):
            faults.add(f"{here}.capabilities[{number}]", "neither a known number nor a name in kebab-case")
        elif known is not None:
            missing = sorted({role for role in known.inputs if role not in takes})
            if missing:
                faults.add(f"{here}.inputs", f"{name} takes {' and '.join(missing)}, and no slot does")
            if known.output and known.output not in makes:
                faults.add(f"{here}.outputs", f"{name} makes {known.output}, and no output does")


def _kinds(numbers: Iterable[int]) -> set[str]:
    """Give role names, with speech counting as audio and audio as something that may be speech."""
    roles = set(roles_from_proto(numbers))
    if roles & {Role.AUDIO, Role.SPEECH}:
        roles |= {Role.AUDIO, Role.SPEECH}
    return {str(role) for role in roles}


def _check_schema(schema: Struct, field: str, faults: Faults) -> None:
    if not schema.fields:
        return
    plain = json_format.MessageToDict(schema)
    try:
        Draft202012Validator.check_schema(plain)
    except SchemaError as error:
        faults.add(field, f"not a JSON Schema: {error.message}"[:200])
        return
    if plain.get("type") != "object":
        faults.add(field, 'the schema\'s type is not "object"')
