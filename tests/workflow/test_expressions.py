"""Paths, intrinsic functions and comparisons, by tables of what the specification and the guide say."""

from typing import Any

import pytest

from nextpick.workflow.asl import choices, intrinsics, paths
from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.asl.templates import View

DATA: dict[str, Any] = {
    "store": {
        "book": [{"t": "a", "price": 8}, {"t": "b", "price": 12, "isbn": "1"}, {"t": "c", "price": 22}]
    },
    "a b": {"x.y": 1},
    "n": None,
    "list": [0, 1, 2, 3, 4],
}
VIEW = View(DATA, {"Execution": {"Id": "arn"}}, "seed")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", DATA),
        ("$.store.book[0].t", "a"),
        ("$['store']['book'][-1]['t']", "c"),
        ("$['a b']['x.y']", 1),
        ("$.n", None),
        ("$.store.book[*].t", ["a", "b", "c"]),
        ("$.store.book[0,2].t", ["a", "c"]),
        ("$.list[1:3]", [1, 2]),
        ("$.list[-2:]", [3, 4]),
        ("$..price", [8, 12, 22]),
        ("$..book[0].t", ["a"]),
        ("$.store.*[1].t", ["b"]),
        ("$.store.book[?(@.price < 20 && @.isbn)].t", ["b"]),
        ("$.store.book[?(@.t == 'c')]", [{"t": "c", "price": 22}]),
        ("$.list[?(@ > 2)]", [3, 4]),
        ("$.store.none[*]", []),
    ],
)
def test_a_path_selects(path: str, found: Any) -> None:
    assert paths.parse(path).find(DATA) == found


@pytest.mark.parametrize(
    "path", ["store", "$.", "$[", "$.a[b]", "$.a['b", "$.a[?(b)]", "$.a[1:2:3:4]", "$ .a"]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(paths.PathError):
        paths.parse(path)


def test_a_result_is_put_without_touching_the_data() -> None:
    put = paths.parse("$.store.made.here").put(DATA, 1)
    assert put["store"]["made"] == {"here": 1}
    assert "made" not in DATA["store"]
    assert paths.parse("$.list[1]").put(DATA, "x")["list"] == [0, "x", 2, 3, 4]
    with pytest.raises(paths.PathError):
        paths.parse("$.list.x").put(DATA, 1)


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (r"States.Format('{} is {}, \{{}\} it\'s', 'x', 1, $.n)", "x is 1, {null} it's"),
        ("States.StringToJson('[1, 2]')", [1, 2]),
        ("States.JsonToString($.store.book[0])", '{"t":"a","price":8}'),
        ("States.Array(1, 'two', $.n, true)", [1, "two", None, True]),
        ("States.ArrayPartition($.list, 2)", [[0, 1], [2, 3], [4]]),
        ("States.ArrayContains($.list, 3)", True),
        ("States.ArrayContains($.list, '3')", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayGetItem($.list, 2)", 2),
        ("States.ArrayLength($.list)", 5),
        ("States.ArrayUnique(States.Array(1, 1, true, '1', 1))", [1, True, "1"]),
        ("States.Base64Encode('Data to encode')", "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Decode('RGVjb2RlZCBkYXRh')", "Decoded data"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        (
            'States.JsonMerge(States.StringToJson(\'{"a":1,"b":1}\'), States.StringToJson(\'{"b":2}\'), false)',
            {"a": 1, "b": 2},
        ),
        ("States.MathAdd(111, -1)", 110),
        ("States.StringSplit('1,2+3', ',+')", ["1", "2", "3"]),
        ("States.Format('{}', $$.Execution.Id)", "arn"),
    ],
)
def test_a_function_gives(call: str, given: Any) -> None:
    assert VIEW.value(call, "") == given


def test_what_is_random_is_the_same_at_the_same_place() -> None:
    first, again, other = (VIEW.value("States.UUID()", at) for at in ("a", "a", "b"))
    assert first == again != other
    assert len(first) == 36
    drawn = [VIEW.value("States.MathRandom(1, 5)", str(at)) for at in range(50)]
    assert set(drawn) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "call",
    [
        "States.ArrayGetItem($.list, 9)",
        "States.StringToJson('{')",
        "States.Format('{}')",
        "States.ArrayLength('x')",
        "States.Hash('x', 'CRC')",
        "States.ArrayRange(1, 5000, 1)",
        "States.Base64Decode('*')",
        "States.MathAdd('a', 1)",
    ],
)
def test_a_function_that_fails_says_so(call: str) -> None:
    with pytest.raises(StateFailed) as caught:
        VIEW.value(call, "")
    assert caught.value.error == "States.IntrinsicFailure"


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('a'",
        "States.Format('a)",
        "States.Format('a') x",
        "States.None()",
        "States.Array(1 2)",
        "States.Array(x)",
    ],
)
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        intrinsics.parse(text)


@pytest.mark.parametrize(
    ("value", "rule", "holds"),
    [
        ("b", {"StringLessThan": "c"}, True),
        ("b", {"StringGreaterThanEquals": "c"}, False),
        ("log-1.txt", {"StringMatches": "log-*.txt"}, True),
        ("a*b", {"StringMatches": r"a\*b"}, True),
        ("axb", {"StringMatches": r"a\*b"}, False),
        (5, {"NumericLessThanEquals": 5}, True),
        ("5", {"NumericEquals": 5}, False),
        (True, {"NumericEquals": 1}, False),
        (True, {"BooleanEquals": True}, True),
        ("2024-01-01T00:00:00Z", {"TimestampLessThan": "2024-01-01T01:00:00+00:30"}, True),
        ("2024-01-01T00:00:00Z", {"IsTimestamp": True}, True),
        ("2024-01-01", {"IsTimestamp": True}, False),
        (None, {"IsNull": True}, True),
        (1, {"IsNumeric": True}, True),
        ("x", {"IsString": False}, False),
        (1, {"IsBoolean": False}, True),
        ("x", {"StringEqualsPath": "$.other"}, True),
        (1, {"IsPresent": True}, True),
    ],
)
def test_a_comparison_holds_or_not(value: Any, rule: dict[str, Any], holds: bool) -> None:
    view = View({"v": value, "other": "x"}, {}, "")
    assert choices.holds({"Variable": "$.v", **rule}, view) is holds


def test_what_is_not_there_is_not_present_and_fails_elsewhere() -> None:
    view = View({}, {}, "")
    assert choices.holds({"Variable": "$.a.b", "IsPresent": False}, view)
    with pytest.raises(StateFailed):
        choices.holds({"Variable": "$.a.b", "StringEquals": "x"}, view)
