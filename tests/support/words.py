"""Comparing transcripts."""

from __future__ import annotations

import re


def word_error_rate(reference: str, heard: str) -> float:
    """Give the share of words that are wrong: insertions, deletions and replacements over the reference's words."""
    wanted, got = (re.findall(r"[a-z']+", text.lower()) for text in (reference, heard))
    row = list(range(len(got) + 1))
    for number, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(got, 1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], best
    return row[-1] / max(len(wanted), 1)
