"""Models that make pictures, sound and video: typed inputs, options and results, through the real gateway and store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from google.protobuf import json_format

import automarket
from automarket import Audio, Image, ImageFormat, Speech, Text, Video, sync
from automarket.client import events as e
from automarket.client import results
from automarket.client.results import Output
from automarket.errors import InputIncomplete, InternalFault, InvalidRequestError, OptionInvalid, OptionUnknown
from tests.client import toy
from tests.client.toy import GENERATORS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Method of the provider's handle; inputs; options as a caller writes them; options as they travel; class of the result.
CASES = [
    (
        "text_to_image",
        ["a red kite"],
        {"aspect_ratio": "16:9", "count": 2, "steps": 28, "guidance_scale": 3.5, "seed": 2**60, "format": "png"},
        {"aspect_ratio": "16:9", "count": 2, "steps": 28, "guidance_scale": 3.5, "seed": str(2**60),
         "format": {"container": "png"}},
        Image,
    ),
    (
        "image_to_image",
        ["picture", "picture"],
        {"prompt": "in oil", "strength": 0.0, "background": "opaque"},
        {"prompt": "in oil", "strength": 0.0, "background": "opaque"},
        Image,
    ),
    (
        "image_upscale",
        ["picture"],
        {"scale": 2, "face_restore": False, "format": ImageFormat("webp")},
        {"scale": 2.0, "face_restore": False, "format": {"container": "webp"}},
        Image,
    ),
    ("image_to_text", ["picture"], {"prompt": "what is it?"}, {"prompt": "what is it?"}, Text),
    (
        "text_to_video",
        ["a kite rises"],
        {"duration": 5, "resolution": "720p", "motion_strength": 0.0, "camera_motion": "pan", "fps": 24},
        {"duration": "5s", "resolution": "720p", "motion_strength": 0.0, "camera_motion": "pan", "fps": 24.0},
        Video,
    ),
    (
        "image_to_video",
        ["picture"],
        {"prompt": "it rises", "fps": 30, "video_length": 2.5, "teacache": True, "aspect_ratio": "9:16"},
        {"prompt": "it rises", "fps": 30.0, "video_length": "2.500s", "teacache": True, "aspect_ratio": "9:16"},
        Video,
    ),
    ("video_to_video", ["video"], {"strength": 0.5}, {"strength": 0.5}, Video),
    ("video_upscale", ["video"], {"resolution": "2160p"}, {"resolution": "2160p"}, Video),
    ("face_swap", ["video", "picture"], {"detection_threshold": 0.5}, {"detection_threshold": 0.5}, Video),
    ("lip_sync", ["video", "speech"], {"sync_mode": "loop"}, {"sync_mode": "loop"}, Video),
    (
        "avatar_generation",
        ["hello"],
        {"avatar": "anna", "num_frames": 60},
        {"avatar": "anna", "num_frames": 60},
        Video,
    ),
    ("text_to_audio", ["rain"], {"duration": 3, "loop": True}, {"duration": "3s", "loop": True}, Audio),
    ("text_to_music", ["a waltz"], {"lyrics": "la la", "format": "mp3"},
     {"lyrics": "la la", "format": {"container": "mp3"}}, Audio),
    ("text_to_sound", ["a bang"], {"prompt_influence": 0.0}, {"prompt_influence": 0.0}, Audio),
    ("voice_cloning", ["hello", "speech"], {"speed": 1.5}, {"speed": 1.5}, Speech),
]  # fmt: skip
IDS = [case[0] for case in CASES]
FAMILY = {"text_to_music": "text_to_audio", "text_to_sound": "text_to_audio", "voice_cloning": "text_to_speech"}


@pytest.fixture(autouse=True)
def generating(monkeypatch):
    """Have the toy make media, too."""
    monkeypatch.setattr(toy, "MODELS", [*toy.MODELS, *GENERATORS])


@pytest.fixture
async def mesh(place) -> AsyncIterator[automarket.Mesh]:
    async with automarket.connect(place.address) as mesh:
        yield mesh


@pytest.fixture
def files(place, media):
    """Give what inputs are named by, and have the toy make media of the right kind."""
    made = {
        "image": ("image/png", media.picture_png().read_bytes()),
        "video": ("video/mp4", media.silent_mp4().read_bytes()),
        "audio": ("audio/wav", media.tone_wav().read_bytes()),
    }
    made["speech"] = made["audio"]
    for one in GENERATORS:
        place.toy.models.results[one.id] = [made[one.outputs[0].name]] if one.outputs[0].name in made else []
    place.toy.models.results["text-to-image"] *= 2
    return {"picture": media.picture_png(), "video": media.talk_mp4(), "speech": media.speech_wav()}


@pytest.mark.parametrize(("method", "inputs", "options", "travels", "kind"), CASES, ids=IDS)
async def test_a_family_has_typed_inputs_options_and_results(
    place, mesh, files, method, inputs, options, travels, kind
):
    model = await getattr(mesh.provider("toy"), method)()
    result = await model.transform(*(files.get(word, word) for word in inputs), **options)
    (call,) = place.calls
    family = FAMILY.get(method, method)
    sent = json_format.MessageToDict(getattr(call.header, family), preserving_proto_field_name=True)
    assert sent == travels
    assert not options.keys() & set(call.header.model_options.fields)
    assert len(call.header.inputs) == len(inputs)
    made = result if isinstance(result, list) else [result]
    assert isinstance(result, list) == (method in ("text_to_image", "image_to_image"))
    assert [type(one) for one in made] == [kind] * (2 if method == "text_to_image" else 1)


async def test_a_result_says_what_is_known_of_it(place, mesh, files):
    model = await mesh.provider("toy").video_to_video()
    video = await model.transform(files["video"])
    about = video.metadata
    assert (about.provider, about.model, about.request_id) == (
        "toy",
        "video-to-video",
        place.calls[0].header.request_id,
    )
    assert (about.duration, about.resolution, about.frame_rate) == (2.5, (640, 360), 25.0)
    assert about.resolution.height == 360
    assert (about.seed, about.flagged, about.safety_flags) == (7, False, ("mild",))
    assert (about.revised_prompt, about.vendor_request_id) == ("a very red kite", "req-1")
    assert (about.cost, about.currency, about.usage) == (0.25, "USD", {"call": 1.0})
    assert about.composition["base_video_info"] == {"duration": 2.0, "resolution": {"width": 320, "height": 180}}


async def test_a_picture_has_no_length_and_a_sound_no_size(mesh, files):
    pictures = await mesh.transform("a red kite", capability="text-to-image")
    assert [one.metadata.resolution for one in pictures] == [(640, 360)] * 2
    assert (pictures[0].metadata.duration, pictures[0].metadata.frame_rate) == (None, None)
    sound = await mesh.transform("rain", capability="text-to-sound")
    assert (sound.metadata.duration, sound.metadata.resolution) == (2.5, None)


def test_media_that_was_loaded_has_nothing_to_say_of_its_making(media):
    about = automarket.AssetLoader.load(media.picture_png()).metadata
    assert (about.provider, about.seed, about.cost, about.safety_flags) == ("", None, None, ())


async def test_the_vendors_line_and_its_log_are_told_on_the_way(mesh, files):
    stream = (await mesh.provider("toy").text_to_image()).stream("a red kite")
    told = [event async for event in stream if isinstance(event, e.Progress)]
    assert [one.queue_position for one in told] == [None, 2, 0, None]
    assert told[3].log_lines == ("loading weights", "step 1/4")
    finished = stream.report.outputs[0]
    assert finished.generated == e.Generated(7, False, ("mild",), "a very red kite", "req-1")


async def test_what_excludes_each_other_is_refused_before_anything_is_sent(place, mesh, files):
    model = await mesh.provider("toy").image_to_video()
    with pytest.raises(OptionInvalid, match="num_frames: 60 excludes video_length, which is 2"):
        await model.transform(files["picture"], num_frames=60, video_length=2)
    painter = await mesh.provider("toy").text_to_image()
    with pytest.raises(OptionInvalid, match="width: 512 goes with height only"):
        await painter.transform("a red kite", width=512)
    with pytest.raises(OptionUnknown, match="did you mean count"):
        await painter.transform("a red kite", num_images=2)
    assert place.calls == []
    assert [asset async for asset in mesh.assets.list()] == []


async def test_a_second_face_and_a_missing_one_are_refused(place, mesh, files):
    model = await mesh.provider("toy").face_swap()
    with pytest.raises(InvalidRequestError, match="takes one input, not a list"):
        await model.transform(files["video"], [files["picture"]] * 2)
    with pytest.raises(InputIncomplete, match="'face'"):
        await (await mesh.model("face-swap")).transform(files["video"])
    assert place.calls == []


async def test_an_avatar_speaks_text_or_sound(place, mesh, files):
    model = await mesh.provider("toy").avatar_generation()
    await model.transform(speech=files["speech"], prompt="a smile")
    assert [one.slot for one in place.calls[0].header.inputs] == ["speech"]
    assert place.calls[0].header.avatar_generation.prompt == "a smile"


async def test_an_end_image_is_an_input(place, mesh, files):
    model = await mesh.provider("toy").image_to_video()
    await model.transform(files["picture"], end_image=files["picture"])
    assert [one.slot for one in place.calls[0].header.inputs] == ["image", "end_image"]


async def test_a_script_without_async_makes_the_same(place, files):
    def script() -> None:
        with sync.connect(place.address) as mesh:
            kites = mesh.provider("toy").text_to_image().transform("a red kite", count=2)
            assert [one.metadata.seed for one in kites] == [7, 7]
            lips = mesh.provider("toy").lip_sync()
            assert isinstance(lips, sync.LipSyncModel)
            assert lips.transform(files["video"], files["speech"]).metadata.frame_rate == 25

    await asyncio.to_thread(script)


def test_no_picture_at_all_is_no_success():
    with pytest.raises(InternalFault, match="made text where image was due"):
        results.images([Output("text", Text.from_string("sorry"), None)])


def test_every_kind_of_model_has_a_twin_without_async():
    kinds = {name for name in automarket.__all__ if name.endswith("Model") and name != "Model"}
    assert kinds <= set(sync.__all__)
    assert {one.capabilities[0].name.replace("-", "_") for one in GENERATORS} <= set(dir(sync.ProviderHandle))
