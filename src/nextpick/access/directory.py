"""Who there is: users, roles, customer managed policies, access keys and role sessions, as documents.

A document holds the members that IAM answers (``Arn``, ``CreateDate`` in seconds since 1970, …) and, in lower case,
what only nextpick reads: of users and roles ``attached`` (ARNs of managed policies) and ``inline`` (text by name), of
policies ``versions``, of roles ``trust``. Source: IAM User Guide, "IAM identifiers".
"""

import secrets
import string
from typing import Any, Literal, NamedTuple

from nextpick.access import managed
from nextpick.access.grammar import parse_policy
from nextpick.access.policy import Policy, Principal
from nextpick.names import Key, resource_name
from nextpick.store import documents
from nextpick.store.records import Transaction

Kind = Literal["user", "role", "policy"]
Entity = dict[str, Any]

_ALPHABET = string.ascii_uppercase + "234567"
_KEYS, _SESSIONS = "iam-access-key", "iam-session"


class Identity(NamedTuple):
    """A principal as it is judged: its identity policies, and what else must allow whatever they allow."""

    principal: Principal
    policies: tuple[Policy, ...]
    boundaries: tuple[tuple[Policy, ...], ...]
    context: dict[str, str | tuple[str, ...]]


def unique_id(prefix: str, length: int = 21) -> str:
    """Return a new identifier: AIDA… for users, AROA… roles, ANPA… policies, AKIA… and ASIA… keys (of 20)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length - len(prefix)))


def new_secret() -> str:
    """Return the secret of a new access key, 40 characters."""
    return secrets.token_urlsafe(30)


def get(tx: Transaction, kind: Kind, account: str, name: str) -> Entity | None:
    """Return a user, role or policy by its name."""
    return documents.get(tx, f"iam-{kind}", f"{account}/{name}")


def put(tx: Transaction, kind: Kind, account: str, entity: Entity) -> None:
    """Write a user, role or policy."""
    documents.put(tx, f"iam-{kind}", f"{account}/{resource_name(entity['Arn'])}", entity)


def delete(tx: Transaction, kind: Kind, account: str, name: str) -> None:
    """Delete a user, role or policy."""
    documents.delete(tx, f"iam-{kind}", f"{account}/{name}")


def find(tx: Transaction, kind: Kind, account: str) -> list[Entity]:
    """Return all users, roles or policies of an account, by name."""
    return [body for _, body in documents.find(tx, f"iam-{kind}", f"{account}/")]


def by_arn(tx: Transaction, kind: Kind, arn: str) -> Entity | None:
    """Return the user, role or policy of an ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "iam" or not parts[5].startswith(f"{kind}/"):
        return None
    entity = get(tx, kind, parts[4], resource_name(arn))
    return entity if entity is not None and entity["Arn"] == arn else None


def put_key(tx: Transaction, key: dict[str, Any]) -> None:
    """Write an access key: ``AccessKeyId``, ``SecretAccessKey``, ``Status``, ``UserName``, ``account``, ``user``."""
    documents.put(tx, _KEYS, key["AccessKeyId"], key)


def delete_key(tx: Transaction, access_key: str) -> None:
    """Delete an access key."""
    documents.delete(tx, _KEYS, access_key)


def keys_of(tx: Transaction, user_arn: str) -> list[dict[str, Any]]:
    """Return a user's access keys, oldest first."""
    keys = [key for _, key in documents.find(tx, _KEYS) if key["user"] == user_arn]
    return sorted(keys, key=lambda key: key["CreateDate"])


def put_session(tx: Transaction, session: dict[str, Any], now: float) -> None:
    """Write a role session, and forget those that have ended."""
    for access_key, old in documents.find(tx, _SESSIONS):
        if old["expires_at"] <= now:
            documents.delete(tx, _SESSIONS, access_key)
    documents.put(tx, _SESSIONS, session["access_key"], session)


def session_of(tx: Transaction, access_key: str) -> dict[str, Any] | None:
    """Return the role session of a temporary key."""
    return documents.get(tx, _SESSIONS, access_key)


def find_key(tx: Transaction, access_key: str) -> Key | None:
    """Return the key pair of a user or of a role session; None for one that is inactive."""
    if access_key.startswith("ASIA"):
        session = session_of(tx, access_key)
        if session is None or by_arn(tx, "role", session["role"]) is None:
            return None
        return Key(
            access_key,
            session["secret"],
            session["account"],
            session["arn"],
            session["token"],
            session["expires_at"],
        )
    key = documents.get(tx, _KEYS, access_key)
    if key is None or key["Status"] != "Active":
        return None
    return Key(access_key, key["SecretAccessKey"], key["account"], key["user"])


def policy_text(tx: Transaction, arn: str) -> str | None:
    """Return the document in force of a managed policy, AWS's or a customer's."""
    if arn in managed.MANAGED:
        return managed.MANAGED[arn].document
    policy = by_arn(tx, "policy", arn)
    if policy is None:
        return None
    return next(v["Document"] for v in policy["versions"] if v["VersionId"] == policy["DefaultVersionId"])


def policies_of(tx: Transaction, entity: Entity) -> list[Policy]:
    """Return the policies attached to a user or role, and its inline ones."""
    name = resource_name(entity["Arn"])
    kind = "role" if ":role/" in entity["Arn"] else "user"
    texts = [(arn, policy_text(tx, arn)) for arn in entity["attached"]]
    texts += [(f"inline policy {inline} of {kind} {name}", text) for inline, text in entity["inline"].items()]
    return [parse_policy(text, name=label, kind="identity") for label, text in texts if text is not None]


def trust_of(role: Entity) -> Policy:
    """Return a role's trust policy."""
    name = f"trust policy of role {resource_name(role['Arn'])}"
    return parse_policy(role["trust"], name=name, kind="trust")


def identity(tx: Transaction, arn: str, access_key: str = "") -> Identity | None:
    """Return the identity of a user, of a role itself, or of the session of a temporary key."""
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    session = session_of(tx, access_key) if access_key.startswith("ASIA") else None
    role = by_arn(tx, "role", session["role"] if session else arn)
    entity = role or by_arn(tx, "user", arn)
    if entity is None:
        return None
    boundaries: list[tuple[Policy, ...]] = []
    boundary = entity.get("boundary")
    if boundary is not None:
        text = policy_text(tx, boundary)
        label = f"permissions boundary {boundary}"
        boundaries.append((parse_policy(text, name=label, kind="identity"),) if text else ())
    if session is not None and session["policies"]:
        texts = [
            (name, policy_text(tx, name) if text is None else text) for name, text in session["policies"]
        ]
        boundaries.append(tuple(parse_policy(t, name=n, kind="identity") for n, t in texts if t is not None))
    context: dict[str, str | tuple[str, ...]] = {
        "aws:PrincipalArn": role["Arn"] if role else arn,
        "aws:PrincipalAccount": account,
        "aws:PrincipalType": "AssumedRole" if role else "User",
        "aws:userid": f"{role['RoleId']}:{resource_name(arn)}" if role else entity["UserId"],
    }
    if role is None:
        context["aws:username"] = entity["UserName"]
    for tag in entity.get("Tags", []):
        context[f"aws:PrincipalTag/{tag['Key']}"] = tag["Value"]
    principal = Principal(arn, account, role=role["Arn"] if role else "")
    return Identity(principal, tuple(policies_of(tx, entity)), tuple(boundaries), context)
