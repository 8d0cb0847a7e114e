import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.errors import Serialization
from nextpick.wire.body import decode, encode

SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text()
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(JSON)
def test_json_is_read_as_the_standard_library_reads_it(value):
    assert decode(json.dumps(value).encode()) == value


def without_literals(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    if isinstance(value, list):
        return [without_literals(inner) for inner in value]
    if isinstance(value, dict):
        return {name: without_literals(inner) for name, inner in value.items()}
    return value


ODD = st.sampled_from([float("nan"), float("inf"), -float("inf"), "NaN", '"NaN', "\\", "-Infinity", 1, None])


@given(
    st.recursive(
        ODD,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["NaN", 'a"'],
                ),
                inner,
            )
        ),
    )
)
def test_literals_of_javascript_are_null(value):
    body = json.dumps(value).encode()
    assert decode(body) == without_literals(value)


def test_an_empty_body_is_an_empty_object():
    assert decode(b"") == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"NaN,",
        b"{'a': 1}",
        b'{"a": NaNa}',
        b'{"a": "NaN}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": NaN, "b": ' + b"[" * 100_000,
        b'"' + b"\\" * 100_001 + b" NaN",
        b"{}{}",
    ],
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(Serialization):
        decode(body)


def test_a_reason_names_the_trouble():
    with pytest.raises(Serialization, match="nested too deeply"):
        decode(b"[" * 100_000)
    with pytest.raises(Serialization, match="not UTF-8"):
        decode(b'{"a": "\xff"}')
    with pytest.raises(Serialization, match="byte 1"):
        decode(b"{x")


def test_timestamps_are_seconds_with_three_decimals():
    answer = {
        "datasetGroup": {
            "name": "g",
            "creationDateTime": 1542392161.262499,
            "lastUpdatedDateTime": datetime(2018, 11, 16, 18, 16, 1, 262499, tzinfo=UTC),
            "failureReason": None,
        }
    }
    assert encode("personalize", "DescribeDatasetGroup", answer) == (
        b'{"datasetGroup":{"name":"g","creationDateTime":1542392161.262,"lastUpdatedDateTime":1542392161.262}}'
    )


def test_only_timestamps_are_rounded_and_unknown_members_kept():
    answer = {
        "solutionVersionArn": "a",
        "metrics": {"coverage": 0.123456},
        "more": {"x": None, "y": (1.23456,)},
    }
    assert json.loads(encode("personalize", "GetSolutionMetrics", answer)) == {
        "solutionVersionArn": "a",
        "metrics": {"coverage": 0.123456},
        "more": {"y": [1.23456]},
    }


def test_timestamps_in_lists_are_rounded():
    answer = {"jobs": [{"jobId": "j", "createdAt": 1.23456, "progress": 0.33333}]}
    assert encode("nextpick", "ListJobs", answer) == (
        b'{"jobs":[{"jobId":"j","createdAt":1.235,"progress":0.33333}]}'
    )
