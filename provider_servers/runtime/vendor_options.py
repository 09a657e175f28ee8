"""Options of a family in a vendor's terms: made from the vendor's own schema, so that a new model costs no code.

Of each field of the vendor's input it is known which option of the family it is (`num_inference_steps` is `steps`), and
how the values are said ("landscape_16_9" is the aspect ratio 16:9; the duration "5" is 5 seconds). A field that is no
option of the family stays an option of the model, under the vendor's name. Ranges, choices and defaults are those of
the vendor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.errors import OptionInvalid
from automarket.option_words import takes
from provider_servers.runtime.family_options import family_schemas
from provider_servers.runtime.vendor_fields import FIELDS, MODES, Said, plain, read_field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a model's table: an option, the vendor's field for it, what it takes, and its default if any."""

    option: str
    field: str
    takes: str
    default: Any = None


class VendorOptions:
    """Options of one model of a vendor: `schemas` for `Model.options`, and `to_vendor` for its calls.

    Args:
        family: by its name in the contract, or a capability's; without one all fields stay the model's own.
        fields: JSON Schema properties of the vendor's input, without those that are inputs: media, the text.
        names: options of the family whose field is not known by its name: `{"steps": "sampling_effort"}`.
        frame_rate: pictures a second of what a model makes that has no field for it; None where that is not known.
        hidden: fields that nobody may set.
    """

    def __init__(
        self,
        family: str,
        fields: Mapping[str, Any],
        *,
        names: Mapping[str, str] | None = None,
        frame_rate: float | None = None,
        hidden: Collection[str] = (),
    ) -> None:
        self._family = family.replace("-", "_")
        self._fields = {name: plain(rule) for name, rule in fields.items() if name not in hidden}
        self._frame_rate = frame_rate
        self._usual: dict[str, Any] = family_schemas(self._family) if family else {}
        self._said: dict[str, Said] = {}
        for option in self._usual:
            self._adopt(option, (names or {}).get(option))
        self._add_size()
        self._length = next((name for name in ("video_length", "duration") if name in self._usual), "")
        self._length_is_derived = self._add_length()
        self._own = {self._own_name(name): name for name in self._fields if name not in self._used}

    @property
    def _used(self) -> set[str]:
        modes = {"upscale_mode"} if self._has_modes else set[str]()
        return {said.field for said in self._said.values()} | modes

    @property
    def _has_modes(self) -> bool:
        said = {"resolution", "scale"} <= self._said.keys()
        return said and set(MODES.values()) <= set(self._fields.get("upscale_mode", {}).get("enum", ()))

    def _adopt(self, option: str, name: str | None) -> None:
        """Find the field that an option is, and how its values are said."""
        for field in (name,) if name else FIELDS.get(option, (option,)):
            taken = field in {said.field for said in self._said.values()}
            if field in self._fields and not taken:
                said = read_field(option, field, self._fields[field], self._usual[option])
                if said is not None:
                    self._said[option] = said
                    return

    def _add_size(self) -> None:
        """Offer width and height where the vendor has one field for both."""
        ratio = self._said.get("aspect_ratio")
        if "width" not in self._usual or "width" in self._said or ratio is None:
            return
        for side, rule in ratio.sides.items():
            schema = {**self._usual[side], **rule}
            self._said[side] = Said(ratio.field, schema, lambda value: value)

    def _add_length(self) -> bool:
        """Offer seconds where the vendor counts pictures."""
        length = self._length
        if not length or length in self._said or "num_frames" not in self._fields:
            return False
        fps = self._fps_rule()
        if fps is None:
            return False
        if "fps" in self._usual and "fps" not in self._said and self._frame_rate:
            fixed = {**self._usual["fps"], "enum": [self._frame_rate]}
            fixed.pop("exclusiveMinimum", None)
            self._said["fps"] = Said("", fixed, lambda value: value)
        frames = self._fields["num_frames"]
        bounds = {
            "minimum": _ratio(frames.get("minimum"), fps.get("maximum")),
            "maximum": _ratio(frames.get("maximum"), fps.get("minimum")),
        }
        schema = {**self._usual[length], **{name: bound for name, bound in bounds.items() if bound is not None}}
        self._said[length] = Said("num_frames", schema, lambda value: value)
        return True

    def _fps_rule(self) -> Mapping[str, Any] | None:
        if "fps" in self._said and self._said["fps"].field:
            return self._said["fps"].schema
        return {"minimum": self._frame_rate, "maximum": self._frame_rate} if self._frame_rate else None

    def _own_name(self, field: str) -> str:
        """Give the name of a field that is no option of the family; one that means another thing there is renamed."""
        return f"vendor_{field}" if field in self._usual else field

    @property
    def schemas(self) -> dict[str, Any]:
        """JSON Schemas of the options, for `Model.options`: the family's first, then those of the model alone."""
        own = {name: self._fields[field] for name, field in self._own.items()}
        return {option: dict(said.schema) for option, said in self._said.items()} | own

    def fields(self) -> dict[str, str]:
        """Give the vendor's field of each option that has one."""
        return {option: said.field for option, said in self._said.items() if said.field} | self._own

    def rows(self) -> Iterator[Row]:
        """Give the table of the family's options: which of the vendor's fields each is, its range and its default."""
        for option, said in self._said.items():
            field = "num_frames / fps" if option == self._length and self._length_is_derived else said.field
            yield Row(option, field, takes(said.schema), said.schema.get("default"))

    def to_vendor(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the vendor's input of a call's options, defaults included. What is no option here is left out.

        Raises:
            OptionInvalid: options that fit each by itself make no input of the vendor's together; the field is named.
        """
        made = {field: options[name] for name, field in self._own.items() if name in options}
        for option, said in self._said.items():
            if option in options and said.field and option not in ("width", "height", self._length):
                made[said.field] = said.say(options[option])
        self._put_size(options, made)
        self._put_length(options, made)
        mode = next((mode for option, mode in MODES.items() if option in options), "")
        if mode and self._has_modes:
            made["upscale_mode"] = mode
        return made

    def _put_size(self, options: Mapping[str, Any], made: dict[str, Any]) -> None:
        if "width" not in self._said or "width" not in options:
            return
        ratio = self._said.get("aspect_ratio")
        if ratio is None or self._said["width"].field != ratio.field:
            made |= {self._said[side].field: options[side] for side in ("width", "height")}
            if ratio is not None:
                made.pop(ratio.field, None)
            return
        width, height = options["width"], options["height"]
        if ratio.sizes and (width, height) not in ratio.sizes:
            sizes = ", ".join(f"{wide}x{high}" for wide, high in ratio.sizes)
            raise self._invalid("width", f"{width}x{height} (width x height) is not one of {sizes}")
        made[ratio.field] = ratio.sizes.get((width, height)) or {"width": width, "height": height}

    def _put_length(self, options: Mapping[str, Any], made: dict[str, Any]) -> None:
        """Say how long it plays: as it is, or as a number of pictures, frames = fps x length."""
        if self._length not in options or self._length not in self._said:
            return
        said, seconds = self._said[self._length], options[self._length]
        if not self._length_is_derived:
            made[said.field] = said.say(seconds)
            return
        fps = options.get("fps") or self._frame_rate or self._said["fps"].schema.get("default")
        if fps is None:
            raise self._invalid(self._length, f"{seconds} s are a number of pictures only together with fps: give both")
        frames, rule = round(fps * seconds), self._fields["num_frames"]
        if not rule.get("minimum", 1) <= frames <= rule.get("maximum", frames):
            fault = f"{seconds} s at {fps} pictures a second are {frames} pictures, not {takes(rule)}"
            raise self._invalid(self._length, fault)
        made["num_frames"] = frames

    def _invalid(self, option: str, fault: str) -> OptionInvalid:
        field = f"{self._family}.{option}"
        return OptionInvalid(f"option {field}: {fault}", fields={f"header.{field}": fault})


def _ratio(above: float | None, below: float | None) -> float | None:
    return round(above / below, 3) if above is not None and below else None
