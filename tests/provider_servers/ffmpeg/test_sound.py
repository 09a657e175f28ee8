"""Sound out of videos, and sound of another form."""

from __future__ import annotations

import pytest

from automarket.errors import InputUnsuitable, MediaInvalid, OptionInvalid
from automarket.media.probe import probe
from provider_servers.ffmpeg import FfmpegProvider
from tests.provider_servers.calls import calling, only_field
from tests.support.require import require


@pytest.fixture
async def call():
    require("ffmpeg")
    async with calling(FfmpegProvider()) as caller:
        yield caller


async def test_a_video_gives_its_sound_as_it_is_in_wav(call, media, short_dir):
    answer = await call("video-to-audio", media.talk_mp4())
    info = await probe(answer.save(0, short_dir / "sound"))
    speech = await probe(media.speech_wav())
    assert (info.format, info.audio.sample_rate, info.audio.channels) == ("wav", 44100, 2)
    assert info.duration == pytest.approx(speech.duration, abs=0.2)
    assert answer.finished[0].media_info.audio.codec == "pcm_s16le"


@pytest.mark.parametrize("container", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac"])
@pytest.mark.parametrize("capability", ["video-to-audio", "audio-to-audio"])
async def test_sound_comes_in_the_form_that_is_asked_for(call, media, short_dir, capability, container):
    source = media.talk_mp4() if capability == "video-to-audio" else media.speech_wav()
    form = {"container": container, "sample_rate_hertz": 24000, "channels": 1}
    answer = await call(capability, source, format=form)
    info = await probe(answer.save(0, short_dir / "sound"))
    assert info.format == container
    assert (info.audio.sample_rate, info.audio.channels) == (48000 if container == "opus" else 24000, 1)
    speech = (await probe(media.speech_wav())).duration
    assert info.duration == pytest.approx(speech, abs=0.6 if container == "aac" else 0.2)  # ADTS says no length
    assert answer.finished[0].media_info.format == container


async def test_bare_samples_are_described_though_no_program_can_read_them(call, media):
    answer = await call("audio-to-audio", media.tone_wav(), format={"container": "s16le", "sample_rate_hertz": 8000})
    info = answer.finished[0].media_info
    assert (info.format, info.audio.sample_rate_hertz, info.audio.channels) == ("s16le", 8000, 1)
    assert len(answer.outputs[0]) == 16000
    assert info.duration.ToTimedelta().total_seconds() == 1


async def test_sound_keeps_its_container_when_none_is_asked_for(call, media, short_dir):
    mp3 = media.ffmpeg("tone.mp3", "-i", str(media.tone_wav()))
    answer = await call("audio-to-audio", mp3, duration=0.5)
    info = await probe(answer.save(0, short_dir / "sound"))
    assert info.format == "mp3"
    assert info.duration == pytest.approx(0.5, abs=0.1)


async def test_sound_that_is_right_already_is_not_encoded_again(call, media):
    answer = await call("audio-to-audio", media.tone_wav(), format={"container": "wav", "sample_rate_hertz": 44100})
    assert answer.outputs[0] == media.tone_wav().read_bytes()


@pytest.mark.parametrize(("start", "duration", "seconds"), [(1.5, 2.0, 2.0), (2.0, None, None), (5.0, 100.0, None)])
async def test_a_cut_is_as_long_as_it_should_be(call, media, short_dir, start, duration, seconds):
    whole = (await probe(media.speech_wav())).duration
    answer = await call("audio-to-audio", media.speech_wav(), start=start, duration=duration)
    info = await probe(answer.save(0, short_dir / "sound"))
    assert info.duration == pytest.approx(seconds or whole - start, abs=0.01)


async def test_a_cut_takes_the_right_piece(call, media):
    whole = await call("audio-to-audio", media.speech_wav(), format={"container": "s16le"})
    cut = await call("audio-to-audio", media.speech_wav(), format={"container": "s16le"}, start=1.0, duration=1.0)
    assert cut.outputs[0] == whole.outputs[0][32000:64000]


async def test_wav_that_was_sent_while_it_was_made_is_read_to_its_end(call, media, short_dir):
    data = media.speech_wav().read_bytes()
    live = short_dir / "live.wav"
    live.write_bytes(data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:])
    answer = await call("audio-to-audio", live, format={"container": "s16le"})
    assert answer.outputs[0] == data[44:]


@pytest.mark.parametrize("name", ["wav", "mp3"])
async def test_a_cut_after_the_end_is_refused(call, media, name):
    source = media.tone_wav() if name == "wav" else media.ffmpeg("tone.mp3", "-i", str(media.tone_wav()))
    with pytest.raises(OptionInvalid) as caught:
        await call("audio-to-audio", source, start=100.0)
    assert only_field(caught.value) == "header.audio_conversion.start"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"start": -1.0}, "start"),
        ({"duration": 0.0}, "duration"),
        ({"format": {"container": "exe"}}, "format.container"),
        ({"format": {"container": "mp3", "channels": 6}}, "format.channels"),
    ],
)
async def test_an_option_out_of_range_is_named(call, media, options, field):
    with pytest.raises(OptionInvalid) as caught:
        await call("audio-to-audio", media.tone_wav(), **options)
    assert only_field(caught.value) == f"header.audio_conversion.{field}"


async def test_a_video_without_sound_says_so(call, media):
    with pytest.raises(InputUnsuitable, match="no sound"):
        await call("video-to-audio", media.silent_mp4())


async def test_a_video_that_is_cut_off_is_refused(call, media, short_dir):
    cut = short_dir / "cut.mp4"
    data = media.talk_faststart_mp4().read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(MediaInvalid):
        await call("video-to-audio", cut)
