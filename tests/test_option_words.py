"""What an option takes, in words."""

from __future__ import annotations

import pytest

from automarket.option_words import takes


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1.0, "maximum": 14142.0}, "a whole number of 1 to 14,142"),
        ({"type": "number", "minimum": 0.01}, "a number of at least 0.01"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 30}, "a number of more than 0 and at most 30"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "a number of more than 0 and less than 1"),
        ({"type": "string", "maxLength": 500}, "text of at most 500 characters"),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "text of 1 to 9 characters"),
        ({"type": "string", "enum": ["png", "jpeg"]}, "one of 'png', 'jpeg'"),
        ({"enum": [30.0, 2.5]}, "one of 30, 2.5"),
        ({"const": "a"}, "'a'"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "array"}, "a list"),
        ({"anyOf": [{"const": 0}, {"type": "number", "minimum": 5}, {}]}, "0 or a number of at least 5"),
        ({"type": "object", "properties": {"container": {"enum": ["wav"]}}}, "container: 'wav'"),
        ({"type": ["integer", "null"], "minimum": 1}, "a whole number of at least 1"),
        ({}, "a value"),
    ],
)
def test_a_schema_is_said_in_words(schema, words):
    assert takes(schema) == words
