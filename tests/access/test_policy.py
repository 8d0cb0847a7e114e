"""What policies decide, and what their documents may be."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.access.grammar import Malformed, parse_policy
from nextpick.access.patterns import arn_matches, matches
from nextpick.access.policy import Ask, Decision, Kind, Policy, Principal, decide

ANA = Principal("arn:aws:iam::123456789012:user/ana", "123456789012")
SESSION = Principal(
    "arn:aws:sts::123456789012:assumed-role/R/s", "123456789012", role="arn:aws:iam::123456789012:role/R"
)
SERVICE = Principal("", "", "personalize.amazonaws.com")
FILE = "arn:aws:s3:::shop/a.csv"


def policy(*statements: dict[str, Any], kind: Kind = "identity", version: str = "2012-10-17") -> Policy:
    return parse_policy(json.dumps({"Version": version, "Statement": list(statements)}), name="p", kind=kind)


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def ask(
    *statements: dict[str, Any],
    action: str = "s3:GetObject",
    resource: str = FILE,
    who: Principal = ANA,
    kind: Kind = "identity",
    version: str = "2012-10-17",
    **context: str,
) -> Decision:
    keys = {name.replace("_", ":", 1): value for name, value in context.items()}
    return decide([policy(*statements, kind=kind, version=version)], Ask(who, action, resource, keys))


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert ask(allow("s3:PutObject")).outcome == "implicitDeny"
    assert decide([], Ask(ANA, "s3:GetObject", FILE, {})).outcome == "implicitDeny"


def test_a_deny_wins_wherever_it_stands() -> None:
    for statements in ((allow(), deny("s3:Get*", Sid="No")), (deny("s3:Get*", Sid="No"), allow())):
        decision = ask(*statements)
        assert decision.outcome == "explicitDeny"
        assert decision.statement is not None
        assert decision.statement.sid == "No"
    assert ask(allow(), deny("s3:Put*")).is_allowed


@pytest.mark.parametrize(
    ("pattern", "action", "fits"),
    [
        ("*", "s3:GetObject", True),
        ("s3:*", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get", "s3:GetObject", False),
        ("s3:GetObjectAcl", "s3:GetObject", False),
        ("personalize:*", "s3:GetObject", False),
    ],
)
def test_actions_match_by_wildcards_in_either_case(pattern: str, action: str, fits: bool) -> None:
    assert ask(allow(pattern), action=action).is_allowed is fits


@pytest.mark.parametrize(
    ("pattern", "resource", "fits"),
    [
        ("*", "*", True),
        ("*", FILE, True),
        ("arn:aws:s3:::shop", FILE, False),
        ("arn:aws:s3:::shop/*", FILE, True),
        ("arn:aws:s3:::shop/*", "arn:aws:s3:::shop/a/b:c", True),
        ("arn:aws:s3:::shop*", "arn:aws:s3:::shopping/x", True),
        ("arn:aws:s3:::Shop/*", FILE, False),
        ("arn:aws:s3:::shop/*", "*", False),
        (
            "arn:aws:personalize:*:123456789012:campaign/*",
            "arn:aws:personalize:us-east-1:123456789012:campaign/c",
            True,
        ),
        ("arn:aws:personalize:*:campaign/c", "arn:aws:personalize:us-east-1:123456789012:campaign/c", False),
    ],
)
def test_resources_match_segment_by_segment(pattern: str, resource: str, fits: bool) -> None:
    assert arn_matches(pattern, resource) is fits


def test_everything_but_is_everything_else() -> None:
    assert ask({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}).is_allowed
    assert not ask({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}).is_allowed
    assert not ask({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::shop/*"}).is_allowed
    assert ask({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::other/*"}).is_allowed


@pytest.mark.parametrize(
    ("principal", "who", "fits", "direct"),
    [
        ("*", ANA, True, True),
        ({"AWS": "*"}, SESSION, True, True),
        ("*", SERVICE, True, True),
        ({"AWS": ANA.arn}, ANA, True, True),
        ({"AWS": "123456789012"}, ANA, True, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, SESSION, True, False),
        ({"AWS": "arn:aws:iam::123456789012:role/R"}, SESSION, True, True),
        ({"AWS": SESSION.arn}, SESSION, True, True),
        ({"AWS": "arn:aws:iam::123456789012:user/ben"}, ANA, False, False),
        ({"AWS": "arn:aws:iam::999999999999:root"}, ANA, False, False),
        ({"Service": "personalize.amazonaws.com"}, SERVICE, True, True),
        ({"Service": ["lambda.amazonaws.com", "personalize.amazonaws.com"]}, SERVICE, True, True),
        ({"Service": "lambda.amazonaws.com"}, SERVICE, False, False),
        ({"Service": "personalize.us-gov-west-1.amazonaws.com"}, SERVICE, True, True),
        ({"Service": "personalize.example.amazonaws.com"}, SERVICE, False, False),
        ({"AWS": "123456789012"}, SERVICE, False, False),
    ],
)
def test_principals_are_named_by_arn_account_role_or_service(
    principal: Any, who: Principal, fits: bool, direct: bool
) -> None:
    decision = ask(allow(Principal=principal), who=who, kind="resource")
    assert (decision.is_allowed, decision.is_direct) == (fits, direct)


def test_everybody_but_is_everybody_else() -> None:
    statement = deny(NotPrincipal={"AWS": [ANA.arn, "arn:aws:iam::123456789012:root"]})
    assert ask(statement, kind="resource").outcome == "implicitDeny"
    assert ask(statement, who=SERVICE, kind="resource").outcome == "explicitDeny"


def test_variables_take_the_value_of_the_request_and_nothing_as_a_wildcard() -> None:
    home = allow(resource="arn:aws:s3:::shop/${aws:username}/*")
    mine = "arn:aws:s3:::shop/ana/x"
    assert ask(home, resource=mine, aws_username="ana").is_allowed
    assert not ask(home, resource=mine, aws_username="ben").is_allowed
    assert not ask(home, resource=mine, aws_username="*").is_allowed
    assert not ask(home, resource=mine).is_allowed
    assert ask(allow(resource="arn:aws:s3:::shop/${aws:username, 'ana'}/*"), resource=mine).is_allowed
    assert not ask(allow(resource="arn:aws:s3:::shop/${*}"), resource=mine).is_allowed
    assert ask(allow(resource="arn:aws:s3:::shop/${*}"), resource="arn:aws:s3:::shop/*").is_allowed
    old = ask(home, resource="arn:aws:s3:::shop/${aws:username}/x", version="2008-10-17", aws_username="ana")
    assert old.is_allowed  # the first version of the language knows no variables


def test_what_almost_allowed_it_is_told_the_nearest_first() -> None:
    decision = ask(
        allow(resource="arn:aws:s3:::other/*", Sid="Other"),
        allow(Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}}, Sid="Account"),
        allow("s3:PutObject", Sid="Put"),
        aws_SourceAccount="123456789012",
    )
    assert decision.near == (
        'statement "Account" of p: condition StringEquals aws:SourceAccount is "999999999999", '
        'the request has "123456789012"',
        f'statement "Other" of p: it is about arn:aws:s3:::other/*, not about {FILE}',
    )


@given(st.text("ab*?", max_size=9), st.text("ab", max_size=9))
def test_wildcards_match_as_the_definition_says(pattern: str, text: str) -> None:
    def slowly(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return slowly(p[1:], t) or (bool(t) and slowly(p, t[1:]))
        return bool(t) and p[0] in ("?", t[0]) and slowly(p[1:], t[1:])

    assert matches(pattern, text) is slowly(pattern, text)


def test_many_stars_take_no_time() -> None:
    assert not matches("*a" * 2000 + "b", "a" * 20_000)


@given(st.permutations([allow("s3:*"), deny("s3:Put*"), allow("s3:Get*", FILE), deny("iam:*")]))
def test_the_order_of_statements_does_not_matter(statements: list[dict[str, Any]]) -> None:
    assert ask(*statements).is_allowed
    assert ask(*statements, action="s3:PutObject").outcome == "explicitDeny"


GOOD = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def with_statement(**changes: Any) -> str:
    statement = {k: v for k, v in {**GOOD["Statement"][0], **changes}.items() if v is not None}  # type: ignore[dict-item]
    return json.dumps({**GOOD, "Statement": [statement]})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "invalid Json"),
        ("{", "invalid Json"),
        ("[]", "must be a JSON object"),
        ('{"Version": "2012-10-17"}', "must have a Statement"),
        ('{"Version": "2012-10-17", "Statement": []}', "must have a Statement"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "'Version' is given twice"),
        (json.dumps({**GOOD, "Version": "2020-01-01"}), "'2020-01-01'"),
        (json.dumps({**GOOD, "Owner": "me"}), "unknown element 'Owner'"),
        (with_statement(Effect="allow"), "Effect 'allow'"),
        (with_statement(Effect=None), "Effect None"),
        (with_statement(Action=None), "either Action or NotAction"),
        (with_statement(NotAction="s3:*"), "either Action or NotAction"),
        (with_statement(Action="GetObject"), "action 'GetObject'"),
        (with_statement(Action=[]), "must be a text or a list"),
        (with_statement(Resource=None), "either Resource or NotResource"),
        (with_statement(Resource="shop/*"), "resource 'shop/*'"),
        (with_statement(Resource=[1]), "must be a text or a list"),
        (with_statement(Principal="*"), "has a principal"),
        (with_statement(Sid="not allowed"), "'not allowed'"),
        (with_statement(Condition={"StringSame": {"a": "b"}}), "'StringSame'"),
        (with_statement(Condition={"StringEquals": "x"}), "no object of condition keys"),
        (with_statement(Condition={"NullIfExists": {"a": "true"}}), "'NullIfExists'"),
        (with_statement(Condition={"Bool": {"a": {}}}), "no text, number or boolean"),
        (json.dumps({**GOOD, "Statement": [{**GOOD["Statement"][0], "Sid": "A"}] * 2}), "'A' is there twice"),  # type: ignore[dict-item]
        ("[" * 100_000, "nested too deeply"),
        (with_statement(Action="s3:" + "a" * 30_000), "more than"),
    ],
)  # fmt: skip
def test_a_document_that_is_no_policy_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_policy(text, name="p", kind="identity", limit=20_480 if "[[[" not in text else 200_000)
    assert why in str(caught.value)


def test_policies_of_resources_and_roles_name_their_principals() -> None:
    for kind in ("resource", "trust"):
        with pytest.raises(Malformed, match="either Principal or NotPrincipal"):
            parse_policy(with_statement(Resource=None if kind == "trust" else "*"), name="p", kind=kind)  # type: ignore[arg-type]
    with pytest.raises(Malformed, match="about its own role"):
        parse_policy(with_statement(Principal="*"), name="p", kind="trust")
    for principal, why in (
        ("me", "'Principal'|Principal"),
        ({"Person": "x"}, "'Person'"),
        ({"AWS": "ana"}, "'ana'"),
    ):
        with pytest.raises(Malformed, match=why):
            parse_policy(with_statement(Principal=principal), name="p", kind="resource")


def test_a_single_statement_and_texts_for_lists_are_as_good() -> None:
    document: Mapping[str, Any] = {"Statement": {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": ["*"]}}
    assert decide(
        [parse_policy(json.dumps(document), name="p", kind="identity")], Ask(ANA, "s3:GetObject", FILE, {})
    ).is_allowed
