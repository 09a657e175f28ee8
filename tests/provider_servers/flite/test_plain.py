# ruff: noqa: RUF001 - signs that look alike are what is tested
"""Making text readable for an English voice."""

from __future__ import annotations

import pytest

from provider_servers.flite.plain import to_ascii


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("“Café” – naïve…", '"Cafe", naive...'),
        ("it’s €5", "it's  euros 5"),
        ("你好", ""),
    ],
)
def test_an_english_voice_gets_ascii(text, plain):
    assert to_ascii(text) == plain
