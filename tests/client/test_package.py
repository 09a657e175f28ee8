"""What the package exports, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import automarket

EXPORTS = """
Asset AssetClient AssetLoader Audio AudioFormat AudioToAudioModel AutoMarketError AvatarModel BudgetStatus CastSpec
Comparison CostEstimate JobInfo JobState Jobs UsageBy UsageReport
CompositionResult Conversation FaceSwapModel Fallback FinishReason Image ImageFormat ImageToImageModel
ImageToTextModel ImageToVideoModel ImageUpscaleModel LipSyncModel MediaInfo MediaPart Mesh Message Model Overlay
ProviderHandle ReasoningPart Report ResponseFormat Role ServiceState ServiceStatus Speech SpeechToTextModel
StoredAsset Text TextPart TextStream TextToAudioModel TextToImageModel TextToMusicModel TextToSoundModel
TextToSpeechModel TextToTextModel TextToTextOptions TextToVideoModel TokenUsage Tool ToolCall ToolChoice ToolResult
TransformStream Video VideoCompositionModel VideoToAudioModel VideoToImageModel VideoToVideoModel VideoUpscaleModel
Voice VoiceCloningModel __version__ connect errors events sync
"""


def test_the_exports_are_these_and_all_of_them_are_there():
    assert set(automarket.__all__) == set(EXPORTS.split())
    for name in automarket.__all__:
        assert getattr(automarket, name) is not None
        assert name in dir(automarket)


def test_a_name_that_is_not_exported_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = automarket.nonsense


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, automarket; print([m for m in ('grpc', 'google.protobuf', 'httpx', 'rich') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"


def test_using_the_client_imports_neither_the_command_line_nor_the_mesh():
    program = (
        "import sys, automarket; automarket.connect, automarket.AssetLoader, automarket.sync.connect\n"
        "heavy = ('httpx', 'rich', 'typer', 'pydantic', 'jsonschema', 'opentelemetry.sdk', 'gateway', 'asset_store')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"
