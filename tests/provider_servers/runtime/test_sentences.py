# ruff: noqa: RUF001 - signs that look alike are what is tested
"""Cutting text into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_servers.runtime.sentences import LONGEST_PIECE, split


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met J. R. at 3 p.m. It was late.", ["Dr. Smith met J. R. at 3 p.m. It was late."]),
        ("It costs 5.40 dollars. Cheap.", ["It costs 5.40 dollars.", "Cheap."]),
        ('He said "go." Then he went.', ['He said "go."', "Then he went."]),
        ("A title\n\nThe text\ngoes on.", ["A title", "The text goes on."]),
        ("e.g. this... and that.", ["e.g. this... and that."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("... --- !!!", []),
        ("", []),
    ],
)
def test_text_is_cut_into_sentences(text, pieces):
    assert split(text) == pieces


def test_a_sentence_that_is_too_long_is_cut_at_a_pause():
    clause = "word " * 20 + "end, "
    pieces = split(clause * 10)
    assert all(piece.endswith("end,") for piece in pieces)
    assert len(pieces) > 1


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab ,.!?\n-é你"), max_size=2000))
def test_no_letter_is_lost_and_no_piece_is_too_long(text):
    pieces = split(text)
    assert all(0 < len(piece) <= LONGEST_PIECE for piece in pieces)
    assert [c for c in "".join(pieces) if c.isalnum()] == [c for c in text if c.isalnum()]


@pytest.mark.parametrize("longest", [10, 60])
def test_how_long_a_piece_may_be_can_be_chosen(longest):
    pieces = split("Some words, and more words than fit into one piece of that length.", longest)
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert len(pieces) > 1
