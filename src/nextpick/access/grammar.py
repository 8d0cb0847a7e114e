"""The grammar of policy documents: JSON in, a Policy out, or what is wrong with it.

Sources: IAM User Guide, "Grammar of the IAM JSON policy language", "IAM and AWS STS quotas".
"""

import functools
import json
import re
from typing import Any, NoReturn

from nextpick.access.conditions import Condition, is_operator
from nextpick.access.patterns import Words
from nextpick.access.policy import Kind, Policy, Statement

DEFAULT_LIMIT = 20 * 1024

_VERSIONS = ("2012-10-17", "2008-10-17")
_TOP = ("Version", "Id", "Statement")
_NEGATABLE = ("Principal", "Action", "Resource")
_ELEMENTS = ("Sid", "Effect", *_NEGATABLE, *(f"Not{name}" for name in _NEGATABLE), "Condition")
_PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|arn:[^:]+:[^:]+:.+", re.DOTALL)
_AWS = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:.+|A[A-Z]{3}[A-Z0-9]{17}")
_SID = re.compile(r"[A-Za-z0-9]*")


class Malformed(Exception):
    """A document is no policy; the text says what is wrong."""


@functools.lru_cache(maxsize=1024)
def parse_policy(text: str, *, name: str, kind: Kind, limit: int = DEFAULT_LIMIT) -> Policy:
    """Return the policy in a document; ``limit`` is the most characters it may have, white space aside.

    Raises Malformed.
    """
    if len(re.sub(r"\s", "", text)) > limit:
        raise Malformed(f"The policy has more than {limit} characters.")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise Malformed(f"This policy contains invalid Json: {error}.") from None
    except RecursionError:
        raise Malformed("This policy contains invalid Json: it is nested too deeply.") from None
    if not isinstance(document, dict):
        raise Malformed("A policy must be a JSON object.")
    _only(document, _TOP, "The policy")
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise Malformed(f"The Version {document['Version']!r} is none of {', '.join(_VERSIONS)}.")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise Malformed("A policy must have a Statement: an object, or a list of some.")
    if document.get("Version") != _VERSIONS[0]:  # which knows no variables: there they are their own text
        statements = json.loads(json.dumps(statements).replace("${", "${$}{"))
    read = tuple(_statement(one, index, kind) for index, one in enumerate(statements))
    sids = [one.sid for one in read if one.sid]
    if len(set(sids)) < len(sids):
        twice = next(sid for sid in sids if sids.count(sid) > 1)
        raise Malformed(f"Statement IDs (SID) in a single policy must be unique: {twice!r} is there twice.")
    return Policy(name, kind, text, read)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise Malformed(f"The element {name!r} is given twice.")
    return dict(pairs)


def _only(given: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise Malformed(f"{where} has the unknown element {name!r}; there are {', '.join(allowed)}.")


def _statement(given: Any, index: int, kind: Kind) -> Statement:
    def wrong(text: str) -> NoReturn:
        raise Malformed(f"Statement {index + 1} {text}")

    if not isinstance(given, dict):
        wrong("is no object.")
    _only(given, _ELEMENTS, f"Statement {index + 1}")
    sid = given.get("Sid", "")
    if not isinstance(sid, str) or (kind != "resource" and not _SID.fullmatch(sid)):
        wrong(f"has the Sid {sid!r}, which must be letters and digits.")
    if given.get("Effect") not in ("Allow", "Deny"):
        wrong(f"has the Effect {given.get('Effect')!r}; it must be Allow or Deny.")
    actions, not_actions = _either(given, "Action", wrong)
    for action in actions + not_actions:
        if not _ACTION.fullmatch(action):
            wrong(f"has the action {action!r}; actions are named service:Action, with * and ? in it.")
    resources: Words = ()
    not_resources: Words = ()
    if kind == "trust":
        if "Resource" in given or "NotResource" in given:
            wrong("has a Resource; a trust policy is about its own role.")
    else:
        resources, not_resources = _either(given, "Resource", wrong)
        for resource in resources + not_resources:
            if not _RESOURCE.fullmatch(resource):
                wrong(f"has the resource {resource!r}, which is neither an ARN nor *.")
    principals, not_principals = (
        _principals(given.get(name), name, wrong) for name in ("Principal", "NotPrincipal")
    )
    if kind == "identity" and (principals or not_principals):
        wrong("has a principal; the policy of a user or role is for that user or role.")
    if kind != "identity" and bool(principals) == bool(not_principals):
        wrong("must have either Principal or NotPrincipal.")
    return Statement(
        sid,
        index,
        given["Effect"] == "Allow",
        actions,
        not_actions,
        resources,
        not_resources,
        principals,
        not_principals,
        _conditions(given.get("Condition", {}), wrong),
    )


def _either(given: dict[str, Any], name: str, wrong: Any) -> tuple[Words, Words]:
    """Return the texts of an element and of its negation, of which exactly one must be there."""
    if (name in given) == (f"Not{name}" in given):
        wrong(f"must have either {name} or Not{name}.")
    answer = tuple(_texts(given[one], one, wrong) if one in given else () for one in (name, f"Not{name}"))
    return answer[0], answer[1]


def _texts(value: Any, name: str, wrong: Any) -> Words:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) for one in values):
        wrong(f"has in {name} {json.dumps(value)[:100]}; it must be a text or a list of some.")
    return tuple(values)


def _principals(value: Any, name: str, wrong: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if value == "*":
        return (("*", "*"),)
    if not isinstance(value, dict) or not value:
        wrong(f'has the {name} {json.dumps(value)[:100]}; it must be "*" or an object by type.')
    found = []
    for kind, texts in value.items():
        if kind not in _PRINCIPALS:
            wrong(f"has the {name} type {kind!r}; there are {', '.join(_PRINCIPALS)}.")
        for text in _texts(texts, name, wrong):
            if kind == "AWS" and not _AWS.fullmatch(text):
                wrong(f"has the {name} {text!r}, which is no ARN of a user or role, no account and not *.")
            found.append((kind, text))
    return tuple(found)


def _conditions(value: Any, wrong: Any) -> tuple[Condition, ...]:
    if not isinstance(value, dict):
        wrong("has a Condition that is no object.")
    found = []
    for operator, keys in value.items():
        if not is_operator(operator):
            wrong(f"has the condition operator {operator!r}, which IAM does not know.")
        if not isinstance(keys, dict) or not keys:
            wrong(f"has for {operator} no object of condition keys.")
        for key, wanted in keys.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            if not all(isinstance(one, str | int | float | bool) for one in values):
                wrong(f"has for {operator} {key} a value that is no text, number or boolean.")
            texts = tuple(one if isinstance(one, str) else json.dumps(one) for one in values)
            found.append(Condition(operator, key, texts))
    return tuple(found)
