"""Condition operators, by the tables of the IAM User Guide."""

import pytest

from nextpick.access.conditions import Condition, holds
from nextpick.access.grammar import parse_policy
from nextpick.access.managed import MANAGED

JOB = "arn:aws:personalize:us-east-1:123456789012:dataset-import-job/j"


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "answer"),
    [
        ("StringEquals", ("a",), "a", True),
        ("StringEquals", ("a",), "A", False),
        ("StringEquals", ("a", "b"), "b", True),
        ("StringEquals", ("a*",), "ab", False),
        ("StringNotEquals", ("a",), "b", True),
        ("StringNotEquals", ("a", "b"), "b", False),
        ("StringEqualsIgnoreCase", ("ABC",), "abc", True),
        ("StringNotEqualsIgnoreCase", ("ABC",), "abc", False),
        ("StringLike", ("a?c*",), "abcde", True),
        ("StringLike", ("A*",), "abc", False),
        ("StringNotLike", ("a*",), "abc", False),
        ("stringequals", ("a",), "a", True),
        ("NumericEquals", ("5",), "5.0", True),
        ("NumericNotEquals", ("5",), "5", False),
        ("NumericLessThan", ("5",), "4", True),
        ("NumericLessThanEquals", ("5",), "5", True),
        ("NumericGreaterThan", ("5",), "5", False),
        ("NumericGreaterThanEquals", ("5",), "x", False),
        ("DateGreaterThan", ("2026-01-01T00:00:00Z",), "2026-11-24T08:00:00Z", True),
        ("DateLessThan", ("1767225600",), "2026-11-24T08:00:00Z", False),
        ("DateEquals", ("2026-01-01T01:00:00+01:00",), "2026-01-01T00:00:00Z", True),
        ("Bool", ("true",), "True", True),
        ("Bool", ("false",), "true", False),
        ("BinaryEquals", ("QQ==",), "QQ==", True),
        ("IpAddress", ("10.0.0.0/8",), "10.1.2.3", True),
        ("IpAddress", ("10.0.0.1",), "10.0.0.1", True),
        ("IpAddress", ("2001:db8::/32",), "2001:db8::1", True),
        ("IpAddress", ("10.0.0.0/8",), "2001:db8::1", False),
        ("NotIpAddress", ("10.0.0.0/8",), "192.168.0.1", True),
        ("ArnLike", ("arn:aws:personalize:*:123456789012:*",), JOB, True),
        ("ArnLike", ("arn:aws:personalize:*",), JOB, True),
        ("ArnLike", ("arn:aws:personalize:*:*/j",), JOB, False),
        ("ArnEquals", ("arn:aws:s3:::shop",), "arn:aws:s3:::shop", True),
        ("ArnNotLike", ("arn:aws:s3:::shop*",), "arn:aws:s3:::shop", False),
        ("ArnNotEquals", ("arn:aws:s3:::shop",), "arn:aws:s3:::other", True),
    ],
)  # fmt: skip
def test_operators_compare_as_they_are_called(
    operator: str, wanted: tuple[str, ...], found: str, answer: bool
) -> None:
    assert holds(Condition(operator, "aws:Key", wanted), {"aws:key": (found,)}) is answer


@pytest.mark.parametrize(
    ("operator", "answer"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringEqualsIfExists", True),
        ("StringNotLikeIfExists", True),
        ("NotIpAddress", True),
        ("Bool", False),
        ("BoolIfExists", True),
        ("NumericLessThan", False),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringEqualsIfExists", True),
        ("ForAnyValue:StringNotEquals", False),
    ],
)
def test_a_missing_key_fails_what_wants_it_and_passes_what_does_not(operator: str, answer: bool) -> None:
    assert holds(Condition(operator, "k", ("1",)), {}) is answer


@pytest.mark.parametrize(
    ("operator", "found", "answer"),
    [
        ("ForAllValues:StringEquals", ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a", "c"), False),
        ("ForAnyValue:StringEquals", ("a", "c"), True),
        ("ForAnyValue:StringEquals", ("c", "d"), False),
        ("ForAllValues:StringNotEquals", ("c", "d"), True),
        ("ForAllValues:StringNotEquals", ("a", "d"), False),
        ("ForAnyValue:StringNotEquals", ("a", "d"), True),
        ("ForAnyValue:StringNotEquals", ("a", "b"), False),
    ],
)
def test_keys_with_many_values_are_for_all_or_for_any(
    operator: str, found: tuple[str, ...], answer: bool
) -> None:
    assert holds(Condition(operator, "k", ("a", "b")), {"k": found}) is answer


def test_null_asks_whether_a_key_is_missing() -> None:
    assert holds(Condition("Null", "k", ("true",)), {})
    assert not holds(Condition("Null", "k", ("true",)), {"k": ("x",)})
    assert holds(Condition("Null", "k", ("false",)), {"k": ("x",)})


def test_variables_are_taken_from_the_request() -> None:
    condition = Condition("StringLike", "s3:prefix", ("home/${aws:username}/*",))
    assert holds(condition, {"s3:prefix": ("home/ana/x",), "aws:username": ("ana",)})
    assert not holds(condition, {"s3:prefix": ("home/ana/x",), "aws:username": ("ben",)})
    assert not holds(condition, {"s3:prefix": ("home/ana/x",)})


@pytest.mark.parametrize("arn", sorted(MANAGED))
def test_aws_managed_policies_are_policies(arn: str) -> None:
    assert parse_policy(MANAGED[arn].document, name=arn, kind="identity", limit=6144).statements
    assert MANAGED[arn].description
