"""JSON of any making is a value, or a refusal in a line."""

import math

import pytest

from spaces.plain_json import MAX_DEPTH, JsonError, parse_json
from spaces.records import LARGEST, Config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[" * 10**6, "nested more than 100 deep"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested more than 100 deep"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested more than 100 deep"),
        ("9" * 101, "a number of 101 digits, 9999999999"),
        ("9" * 10_000, "a number of 10,000 digits"),
        ("[1e999]", "1e999 is no finite number"),
        ("[-Infinity]", "-Infinity is no finite number"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' stands twice in one object"),
        (b"\xff\x00\xfe", "decode"),
    ],
)
def test_what_is_refused_is_refused_in_a_line(text: str | bytes, said: str) -> None:
    with pytest.raises(JsonError) as refused:
        parse_json(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 250 and "\n" not in str(refused.value)


def test_what_is_json_is_read_also_with_a_byte_order_mark() -> None:
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, "\xc3\xa9"]}') == {"a": [1, 2.5, None, "é"]}


def test_what_python_wrote_of_numbers_that_are_not_finite_can_be_asked_for() -> None:
    assert math.isnan(parse_json('{"a": [NaN]}', finite=False)["a"][0])


class Number(Config):
    value: int


@pytest.mark.parametrize("value", [10**30, 10**99, 10**400, LARGEST + 1])
def test_a_number_that_no_table_holds_is_refused_whatever_its_size(value: int) -> None:
    from spaces.errors import UserError

    with pytest.raises(UserError, match="value should be at most 9223372036854775807") as refused:
        Number.parse({"value": value}, "here")
    assert len(str(refused.value)) < 500


def test_a_refusal_of_many_fields_names_a_few_and_counts_the_rest() -> None:
    from spaces.errors import UserError

    with pytest.raises(UserError, match="and 95 more") as refused:
        Number.parse({str(n): "x" * 10_000 for n in range(99)}, "here")
    assert len(str(refused.value)) < 2_000
