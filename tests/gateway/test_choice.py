from __future__ import annotations

from dataclasses import replace

import pytest

from automarket.errors import (
    CapabilityUnknown,
    DockerMissing,
    InputUnsuitable,
    InvalidRequestError,
    ModelUnknown,
    ProviderUnavailable,
    ProviderUnknown,
    ProviderUnusable,
    TargetMissing,
)
from gateway.relay.balance import Balance
from gateway.relay.choice import AllBusy, choose
from gateway.relay.metadata import target_from_metadata
from gateway.relay.offers import Offers
from gateway.relay.table import FAILED, Instance, Load, Model, Provider, Slot, Table
from gateway.relay.target import Target, fit_slots

TEXT, SOUND, VIDEO = Slot(("text",)), Slot(("audio", "speech", "video")), Slot(("video",))
STT = Model("en", ("en", "org/en", "english"), ("speech-to-text", "audio-to-text"), (SOUND,), ("text",))
TTS = Model("rms", ("rms",), ("text-to-speech", "text-to-audio"), (TEXT,), ("audio", "speech"))
NAMES = {"speech-to-text": "speech-to-text", "transcription": "speech-to-text", "text-to-speech": "text-to-speech"}
NAMES |= {"text-to-video": "text-to-video", "audio-to-text": "audio-to-text"}


def provider(name, *models, instances=1, **fields):
    running = tuple(Instance(f"{name}-{n}", f"unix:/{name}-{n}") for n in range(1, instances + 1))
    return Provider(name, (name, f"{name}-alias"), models=models, instances=running, **fields)


def table(*providers, settled=True):
    return Table(providers=providers, control="unix:/c", capabilities=NAMES, settled=settled, retry_after=2.5)


def busy(one, *loads, places=4):
    loaded = [replace(i, load=Load(*load), max_concurrent=places) for i, load in zip(one.instances, loads, strict=True)]
    return replace(one, instances=tuple(loaded))


def seen(*instance_ids):
    """Give a balance with a call under way at each instance."""
    balance = Balance()
    for instance_id in instance_ids:
        balance.begin(instance_id)
    return balance


ALL = table(provider("listen", STT), provider("speak", TTS))


@pytest.mark.parametrize(
    "target",
    [
        Target(capability="speech-to-text"),
        Target(capability="transcription"),
        Target(capability="Audio to text"),
        Target(capability="CAPABILITY_SPEECH_TO_TEXT"),
        Target(model="en"),
        Target(model="org/en"),
        Target(model="english"),
        Target(provider="listen"),
        Target(provider="listen-alias", model="english", capability="audio-to-text"),
        Target(output_role="text"),
        Target(input_roles=("video",), output_role="text"),
        Target(provider="listen", instance_id="listen-1"),
    ],
)
def test_every_name_finds_the_model(target):
    route = choose(ALL, target)
    assert (route.provider_id, route.model_id, route.instance_id) == ("listen", "en", "listen-1")
    assert route.address == "unix:/listen-1"


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (Target(), TargetMissing, "names no"),
        (Target(input_roles=("video",)), TargetMissing, "names no"),
        (Target(model="none"), ModelUnknown, "'none'"),
        (Target(model="rms", provider="listen"), ModelUnknown, "at provider 'listen'"),
        (Target(provider="none"), ProviderUnknown, "'none'"),
        (Target(provider="listen", instance_id="none"), ProviderUnknown, "'none'"),
        (Target(capability="text-to-smell"), CapabilityUnknown, "no capability is called"),
        (Target(capability="text-to-video"), CapabilityUnknown, "nobody here can do text-to-video"),
        (Target(capability="text-to-speech", model="en"), CapabilityUnknown, "model 'en' cannot do text-to-speech"),
        (Target(capability="text-to-speech", provider="listen"), CapabilityUnknown, "provider 'listen' cannot do"),
        (Target(capability="speech-to-text", input_roles=("text",)), InputUnsuitable, "takes text"),
        (Target(provider="listen", input_roles=("audio", "audio")), InputUnsuitable, "takes audio and audio"),
        (Target(model="en", output_role="video"), InvalidRequestError, "makes video"),
        (Target(output_role="video"), InvalidRequestError, "makes video"),
    ],
)
def test_what_cannot_be_had_is_said_by_its_name(target, error, words):
    with pytest.raises(error) as caught:
        choose(ALL, target)
    assert words in caught.value.message
    assert type(caught.value) is error


def test_what_an_unsuitable_input_would_have_to_be_is_said():
    with pytest.raises(InputUnsuitable) as caught:
        choose(ALL, Target(capability="speech-to-text", input_roles=("text",)))
    assert "audio/speech/video" in caught.value.hint


@pytest.mark.parametrize(
    "target",
    [Target(model="none"), Target(provider="none"), Target(capability="none"), Target(capability="text-to-video")],
)
def test_an_unknown_name_is_worth_asking_for_again_while_providers_register(target):
    with pytest.raises(ProviderUnavailable) as caught:
        choose(replace(ALL, settled=False), target)
    assert caught.value.retry_after == 2.5


def test_the_least_busy_instance_takes_the_call():
    stt = provider("listen", STT, instances=3)
    assert choose(table(busy(stt, (2, 0), (1, 0), (1, 3))), Target(model="en")).instance_id == "listen-2"
    # Its own calls count before the instance has reported them.
    own = seen(*["listen-2"] * 3)
    assert choose(table(busy(stt, (2, 0), (1, 0), (1, 3))), Target(model="en"), own).instance_id == "listen-1"
    # A full one comes last, however many places it has.
    full = table(busy(provider("big", STT), (8, 0), places=8), busy(provider("small", STT), (1, 0), places=2))
    assert choose(full, Target(model="en")).provider_id == "small"


def test_calls_go_to_all_providers_of_a_capability():
    one, two = provider("one", STT), provider("two", replace(STT, id="other", names=("other",)))
    calls = seen("one-1")
    assert choose(table(one, two), Target(capability="transcription"), calls).provider_id == "two"
    assert choose(table(one, two), Target(model="en"), calls).provider_id == "one"


def test_who_can_do_what_is_asked_for_comes_before_who_can_do_a_kind_of_it():
    names = {"video-to-video": "video-to-video", "video-composition": "video-composition"}
    compose = Model("compose", ("compose",), tuple(reversed(names)), (VIDEO,), ("video",), own=("video-composition",))
    restyle = Model("restyle", ("restyle",), ("video-to-video",), (VIDEO,), ("video",), own=("video-to-video",))
    here, away = provider("here", compose), provider("away", restyle, local=False)
    both = replace(table(here, away), capabilities=names)
    assert choose(both, Target(capability="video-to-video")).model_id == "restyle"
    assert choose(both, Target(capability="video-composition")).model_id == "compose"
    assert choose(both, Target(output_role="video")).model_id == "compose", "what runs here, where nothing is named"
    kind_alone = replace(both, providers=(here,))
    assert choose(kind_alone, Target(capability="video-to-video")).model_id == "compose"
    one = provider("one", compose, restyle)
    assert choose(replace(both, providers=(one,)), Target(capability="video-to-video")).model_id == "restyle"


def test_who_answers_sooner_takes_the_call_among_equals():
    two = table(provider("listen", STT, instances=2))
    balance = Balance()
    for name, seconds in (("listen-1", 0.5), ("listen-2", 0.05)):
        balance.begin(name)
        balance.end(name, now=0.0, seconds=seconds, failed=False)
    assert {choose(two, Target(model="en"), balance, now=0.0).instance_id for _ in range(5)} == {"listen-2"}
    balance.begin("listen-2")
    assert choose(two, Target(model="en"), balance, now=0.0).instance_id == "listen-1", "calls come before latency"
    balance.end("listen-2", now=50.0, seconds=0.05, failed=False)
    assert choose(two, Target(model="en"), balance, now=50.0).instance_id == "listen-1", "slow once is not for ever"


def test_equals_take_turns():
    all_equal = table(provider("one", STT, instances=2), provider("two", STT), provider("three", STT))
    balance, taken = Balance(), []
    for number in range(8):
        route = choose(all_equal, Target(model="en"), balance, now=float(number))
        taken.append(route.instance_id)
        balance.begin(route.instance_id)
        balance.end(route.instance_id, now=float(number), seconds=0.02, failed=False)
    assert set(taken[:4]) == {"one-1", "one-2", "two-1", "three-1"}
    assert taken[4:] == taken[:4]


def failing(*instance_ids):
    """Give a balance that has ejected instances."""
    balance = Balance()
    for instance_id in instance_ids:
        for _ in range(5):
            balance.begin(instance_id)
            balance.end(instance_id, now=0.0, seconds=None, failed=True)
    return balance


def test_who_keeps_failing_is_passed_over_while_others_are_left():
    three = table(provider("listen", STT, instances=3))
    balance = failing("listen-1")
    balance.begin("listen-2")
    balance.begin("listen-3")
    en = Target(model="en")
    assert choose(three, en, balance, now=0.5).instance_id != "listen-1"
    tried = frozenset({"listen-2", "listen-3"})
    assert choose(three, en, balance, tried, 0.5).instance_id == "listen-1", "rather that one than none"
    assert choose(three, replace(en, provider="listen", instance_id="listen-1"), balance, now=0.5)
    assert choose(three, en, balance, now=1.0).instance_id == "listen-1", "its time is over"
    balance.begin("listen-1")
    balance.end("listen-1", now=1.0, seconds=None, failed=True)
    assert choose(three, en, balance, now=2.5).instance_id != "listen-1"


def test_half_of_a_provider_is_never_passed_over():
    two = table(provider("listen", STT, instances=2))
    assert choose(two, Target(model="en"), failing("listen-1", "listen-2"), now=0.5).instance_id == "listen-2"
    alone = table(provider("listen", STT))
    assert choose(alone, Target(model="en"), failing("listen-1"), now=0.5).instance_id == "listen-1"


def bounded(name, *models, places=1, line=1, instances=1, **fields):
    one = provider(name, *models, instances=instances, **fields)
    return replace(one, instances=tuple(replace(i, max_concurrent=places, max_queued=line) for i in one.instances))


def test_calls_wait_here_when_every_instance_has_as_many_as_it_takes():
    both = table(bounded("one", STT, instances=2), bounded("two", STT, local=False))
    en = Target(model="en")
    assert choose(both, en).limit == 2
    assert choose(table(provider("listen", STT)), en, seen(*["listen-1"] * 999)).limit == 0
    balance = seen("one-1", "one-1", "one-2")
    assert choose(both, en, balance).instance_id == "one-2"
    balance.begin("one-2")
    assert choose(both, en, balance).provider_id == "two"
    balance.begin("two-1")
    balance.begin("two-1")
    with pytest.raises(AllBusy) as caught:
        choose(both, en, balance)
    assert caught.value.provider_ids == ("one", "two")
    with pytest.raises(AllBusy) as caught:
        choose(both, Target(provider="one", instance_id="one-2"), balance)
    assert caught.value.provider_ids == ("one",)
    balance.end("one-1", now=0.0, seconds=0.1, failed=False)
    assert choose(both, en, balance).instance_id == "one-1"


def test_a_place_that_may_become_free_is_better_than_an_instance_that_fails():
    both = table(bounded("listen", STT, instances=2))
    balance = failing("listen-1")
    balance.begin("listen-2")
    balance.begin("listen-2")
    with pytest.raises(AllBusy):
        choose(both, Target(model="en"), balance, now=0.5)


def test_a_model_that_rests_comes_after_every_other_and_before_nobody():
    paid = [provider(name, STT, local=False) for name in ("one", "two")]
    both, balance = table(*paid, provider("speak", TTS)), Balance()
    balance.rest("one", "en", 5.0)
    balance.begin("two-1")
    assert choose(both, Target(model="en"), balance, now=1.0).provider_id == "two"
    assert choose(both, Target(model="en"), balance, now=6.0).provider_id == "one"
    balance.rest("one", "en", 5.0)
    balance.rest("two", "en", 5.0)
    target = Target(model="en", fallbacks=(("rms", ""),))
    assert choose(both, target, balance, now=1.0).model_id == "rms", "a fallback does not rest"
    assert choose(both, Target(model="en"), balance, now=1.0).provider_id == "one"
    assert choose(both, Target(model="en", provider="two"), balance, now=1.0).provider_id == "two"
    assert balance.resting(5.0) == frozenset()


def test_what_has_refused_a_call_is_not_asked_again_and_another_model_there_is():
    vendor = provider("vendor", STT, replace(STT, id="large", names=("large",)), instances=2, local=False)
    target = Target(model="en", fallbacks=(("large", "vendor"),))
    refused = frozenset({("vendor", "en")})
    assert choose(table(vendor), target, refused=refused).model_id == "large"
    with pytest.raises(ProviderUnavailable):
        choose(table(vendor), Target(model="en"), refused=refused)


def test_fallbacks_come_before_waiting_and_waiting_before_an_error():
    both = table(bounded("listen", STT), bounded("speak", TTS))
    balance = seen("listen-1", "listen-1")
    target = Target(model="en", fallbacks=(("none", ""), ("rms", "")))
    assert choose(both, target, balance).model_id == "rms"
    balance.begin("speak-1")
    balance.begin("speak-1")
    with pytest.raises(AllBusy) as caught:
        choose(both, target, balance)
    assert caught.value.provider_ids == ("listen",)
    with pytest.raises(AllBusy):
        choose(both, Target(model="none", fallbacks=(("rms", ""),)), balance)


def test_a_route_says_whether_the_call_may_be_repeated():
    safe, paid = replace(STT, replay_safe=True), replace(TTS, deduplicates=True)
    both = table(provider("listen", safe), provider("speak", paid))
    routes = [choose(both, Target(provider=name)) for name in ("listen", "speak")]
    assert [(route.replay_safe, route.deduplicates) for route in routes] == [(True, False), (False, True)]


def test_what_is_remembered_of_a_table_does_not_outlive_its_names():
    before = table(provider("listen", STT))
    loaded = before.with_load({"listen-1": Load(9, 9)})
    en = Target(model="en")
    assert choose(before, en) == choose(loaded, en)
    moved = replace(loaded.providers[0], instances=(Instance("listen-2", "unix:/moved"),))
    assert choose(replace(loaded, providers=(moved,)), en).address == "unix:/moved"
    renamed = replace(moved, models=(replace(STT, names=("de",)),))
    with pytest.raises(ModelUnknown):
        choose(replace(loaded, providers=(renamed,)), en)
    broken = replace(moved, available=False, reason="no key")
    with pytest.raises(ProviderUnusable, match="no key"):
        choose(replace(loaded, providers=(broken,)), en)
    assert choose(before, en).instance_id == "listen-1"


def test_any_number_of_made_up_targets_is_forgotten_again():
    offers = Offers()
    for number in range(1000):
        assert offers.find(ALL, Target(capability=" " * number + "speech-to-text"))
    assert len(offers._offers) <= 256
    assert len(offers._candidates) <= 256


def test_the_first_model_of_a_provider_is_its_default():
    second = replace(STT, id="aa", names=("aa",))
    assert choose(table(provider("listen", STT, second)), Target(capability="speech-to-text")).model_id == "en"


def test_what_runs_here_comes_before_a_vendor_and_alone_when_asked():
    vendor = provider("avendor", STT, local=False)
    here = busy(provider("here", STT), (9, 0), places=1)
    assert choose(table(vendor, here), Target(model="en")).provider_id == "here"
    assert choose(table(vendor), Target(model="en")).provider_id == "avendor"
    with pytest.raises(InvalidRequestError, match="local"):
        choose(table(vendor), Target(model="en", local_only=True))


def test_who_cannot_take_calls_is_passed_over():
    absent = provider("absent", STT, instances=0)
    broken = provider("broken", STT, available=False, reason="no key", hint="set KEY")
    without = provider("without", replace(STT, available=False, reason="not loaded"))
    leaving = replace(provider("leaving", STT), instances=(Instance("leaving-1", "unix:/l", draining=True),))
    others = (absent, broken, without, leaving)
    assert choose(table(*others, provider("good", STT)), Target(model="en")).provider_id == "good"
    tried = frozenset({"good-1"})
    with pytest.raises(ProviderUnavailable) as caught:
        choose(table(*others, provider("good", STT)), Target(model="en"), avoid=tried)
    assert caught.value.retry_after
    with pytest.raises(ProviderUnavailable, match="no instance of provider absent, leaving is running"):
        choose(table(*others), Target(model="en"))
    with pytest.raises(ProviderUnavailable, match="no instance"):
        choose(table(*others), Target(provider="absent"))


def test_what_cannot_run_as_things_are_says_what_mends_it():
    broken = provider("broken", STT, available=False, reason="no key", hint="set KEY")
    docker = {"reason": "Docker is not installed", "hint": "apt install docker.io", "error_reason": "DOCKER_MISSING"}
    boxed = provider("boxed", replace(STT, names=("box",)), instances=0, available=False, **docker)
    without = provider("without", replace(STT, names=("odd",), available=False, reason="not loaded"))
    bare = provider("bare", instances=0, available=False, reason="not installed")
    all_lack = table(broken, boxed, without, bare)
    with pytest.raises(ProviderUnusable) as caught:
        choose(all_lack, Target(provider="broken"))
    assert caught.value.message == "broken cannot take work: no key"
    assert caught.value.hint == "set KEY"
    assert caught.value.metadata["provider"] == "broken"
    for target in (Target(provider="boxed"), Target(model="box"), Target(capability="stt", provider="boxed")):
        with pytest.raises(DockerMissing, match="Docker is not installed") as caught:
            choose(replace(all_lack, capabilities=NAMES | {"stt": "speech-to-text"}), target)
        assert caught.value.hint == "apt install docker.io"
    with pytest.raises(ProviderUnusable, match="not loaded"):
        choose(all_lack, Target(provider="without"))
    with pytest.raises(ProviderUnusable, match="bare cannot take work: not installed"):
        choose(all_lack, Target(provider="bare"))
    with pytest.raises(ProviderUnusable) as caught:  # the capability is known, and nobody can run as things are
        choose(all_lack, Target(capability="speech-to-text"))
    assert "broken cannot take work: no key; boxed cannot" in caught.value.message
    assert caught.value.hint == "set KEY; or apt install docker.io"
    with_speech = table(broken, boxed, provider("speak", TTS))
    assert choose(with_speech, Target(provider="boxed", fallbacks=(("", "speak"),))).provider_id == "speak"


@pytest.mark.parametrize("named", ["UPLOAD_BUSY", "MODEL_UNKNOWN", "NONSENSE"])
def test_a_reason_that_is_no_precondition_is_not_taken(named):
    odd = provider("odd", STT, instances=0, available=False, reason="so it says", error_reason=named)
    with pytest.raises(ProviderUnusable, match="so it says"):
        choose(table(odd), Target(model="en"))


def stands(one, *standby):
    return replace(one, instances=tuple(replace(i, standby=s) for i, s in zip(one.instances, standby, strict=True)))


def test_whose_backend_runs_comes_before_whose_backend_has_to_be_started():
    idle, ready = stands(provider("idle", STT), 2), busy(provider("ready", STT), (3, 4), places=2)
    assert choose(table(idle, ready), Target(capability="speech-to-text")).provider_id == "ready"
    assert choose(table(idle, ready), Target(model="en")).provider_id == "ready"
    assert choose(table(idle, ready), Target(provider="idle")).provider_id == "idle", "who is named is taken"
    assert choose(table(idle, ready), Target(model="en"), avoid=frozenset({"ready-1"})).provider_id == "idle"
    starting = seen("starts-1")
    both = table(stands(provider("stopped", STT), 2), stands(provider("starts", STT), 1))
    assert choose(both, Target(model="en"), starting).provider_id == "starts", "nobody starts a second one"
    mixed = table(stands(provider("many", STT, instances=3), 2, 0, 2))
    assert choose(mixed, Target(provider="many"), seen("many-2")).instance_id == "many-2"


def test_a_full_instance_gives_way_to_one_that_has_to_be_started():
    full = busy(provider("full", STT), (2, 0), places=2)
    both = table(full, stands(provider("idle", STT), 2))
    assert choose(both, Target(model="en"), seen("full-1", "full-1")).provider_id == "idle"


def test_a_backend_that_has_failed_comes_after_vendors_and_is_tried_all_the_same():
    failed, idle = stands(provider("failed", STT), FAILED), stands(provider("idle", STT), 4)
    vendor = provider("vendor", STT, local=False)
    order = table(failed, vendor, idle)
    assert choose(order, Target(model="en")).provider_id == "idle"
    assert choose(table(failed, vendor), Target(model="en")).provider_id == "vendor"
    assert choose(table(failed, vendor), Target(model="en", local_only=True)).provider_id == "failed"
    assert choose(order, Target(provider="failed")).provider_id == "failed"


def test_how_a_backend_is_may_change_with_the_table():
    offers = Offers()
    one, two = provider("one", STT), provider("two", STT)
    target = Target(model="en")
    assert [len(pool) for pool in offers.find(table(one, two), target)] == [2]
    pools = offers.find(table(stands(one, 1), two), target)
    assert [[candidate.instance_id for candidate in pool] for pool in pools] == [["two-1"], ["one-1"]]
    assert [len(pool) for pool in offers.find(table(one, two), target)] == [2]


def test_fallbacks_follow_in_order_and_the_first_error_stays():
    target = Target(model="gone", fallbacks=(("gone", "speak"), ("rms", ""), ("en", "")))
    assert choose(ALL, target).model_id == "rms"
    assert choose(ALL, replace(target, model="en")).model_id == "en"
    with pytest.raises(ModelUnknown, match="'gone'"):
        choose(ALL, Target(model="gone", fallbacks=(("away", ""), ("", "nobody"))))
    # A fallback leaves the instance behind and keeps what else was asked for.
    elsewhere = Target(model="en", provider="speak", instance_id="speak-1", fallbacks=(("", "listen"),))
    assert choose(ALL, elsewhere).provider_id == "listen"
    with pytest.raises(CapabilityUnknown):
        choose(ALL, Target(capability="text-to-video", fallbacks=(("en", ""),)))


OVERLAYS = Slot(("image", "video"), repeated=True)


@pytest.mark.parametrize(
    ("slots", "roles", "fits"),
    [
        ((SOUND,), ("video",), True),
        ((SOUND,), (), True),
        ((SOUND,), ("text",), False),
        ((TEXT, SOUND), ("text", "speech"), True),
        ((TEXT, SOUND), ("speech",), True),
        ((TEXT, SOUND), ("speech", "text"), False),
        ((VIDEO, OVERLAYS), ("video", "image", "video", "image"), True),
        ((VIDEO, OVERLAYS), ("video",) * 300, True),
        ((VIDEO, OVERLAYS, TEXT), ("video", "image", "text"), True),
        ((VIDEO, OVERLAYS), ("video", "text"), False),
        ((), ("text",), False),
    ],
)
def test_inputs_fill_slots_in_order(slots, roles, fits):
    assert fit_slots(slots, roles) == fits


def test_metadata_name_a_target_as_the_contract_writes_it():
    target = target_from_metadata(
        [
            ("automarket-capability", "speech-to-text"),
            ("automarket-model", "org/en"),
            ("automarket-provider", "listen"),
            ("automarket-instance", "listen-1"),
            ("automarket-roles", "video,audio>text"),
            ("automarket-prefer", "local-only,en@listen,@speak,a@b@speak"),
            ("other", "x"),
            ("automarket-model-bin", b"\x00"),
        ]
    )
    assert target == Target(
        capability="speech-to-text",
        model="org/en",
        provider="listen",
        instance_id="listen-1",
        input_roles=("video", "audio"),
        output_role="text",
        local_only=True,
        fallbacks=(("en", "listen"), ("", "speak"), ("a@b", "speak")),
    )
    assert target_from_metadata([("automarket-roles", ">text")]) == Target(output_role="text")
    assert target_from_metadata([("automarket-prefer", "local-only"), ("my-key", "x")]) is None


FINDER = table(provider("listen", STT), provider("finder", TTS, finds_models=True, local=False))


@pytest.mark.parametrize("capability", ["", "text-to-image"])
def test_a_provider_that_finds_models_is_asked_for_one_that_nobody_lists(capability):
    route = choose(FINDER, Target(model="acme/paint", provider="finder-alias", capability=capability))
    assert (route.provider_id, route.model_id, route.instance_id) == ("finder", "acme/paint", "finder-1")
    assert not route.replay_safe


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (Target(model="acme/paint"), ModelUnknown),
        (Target(model="acme/paint", provider="listen"), ModelUnknown),
        (Target(model="acme/paint", provider="finder", local_only=True), ModelUnknown),
        (Target(model="rms", provider="finder", capability="speech-to-text"), CapabilityUnknown),
    ],
)
def test_others_are_not_asked_for_models_that_nobody_lists(target, error):
    with pytest.raises(error):
        choose(FINDER, target)


def test_a_provider_that_finds_models_and_does_not_run_is_not_there():
    away = table(provider("finder", finds_models=True, local=False, instances=0), settled=True)
    with pytest.raises(ProviderUnavailable):
        choose(away, Target(model="acme/paint", provider="finder"))
