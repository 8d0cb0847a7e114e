"""What a job may read and write: as its role, and as the Personalize service that works for it.

The role's trust policy must let the service take it, its policies must allow what is read, and the bucket policy
must allow it to the service as well. What was never set up is not asked, unless the rules are strict: a role that
IAM does not know, and a bucket whose policy says nothing of the service.
Source: Amazon Personalize Developer Guide, "Giving Amazon Personalize access to Amazon S3 resources".
"""

from nextpick.access import directory, guard
from nextpick.access.bucket_policy import bucket_policy
from nextpick.access.guard import SERVICE, Context, Guard, Verdict
from nextpick.access.policy import Policy, Principal
from nextpick.store.buckets import Buckets
from nextpick.store.records import Records, Resource

_DENIED = "Insufficient privileges for accessing data in Amazon S3."


class Refused(Exception):
    """The job may not read it; the text says who is missing what."""


class JobAccess:
    """Judges what the job of one resource reads and writes. ``buckets`` is None where objects are in another S3
    service."""

    def __init__(self, records: Records, buckets: Buckets | None, judge: Guard, resource: Resource) -> None:
        """Take the role from the resource. Raises Refused when the service may not take it."""
        self._buckets, self._guard, self._resource = buckets, judge, resource
        self.role = resource.body.get("roleArn", "")
        self._context: Context = {
            "aws:SourceAccount": resource.account,
            "aws:SourceArn": resource.arn,
            "aws:SecureTransport": "true",
        }
        with records.read() as tx:
            role = directory.by_arn(tx, "role", self.role)
            self._identity = directory.identity(tx, self.role) if role else None
        if role is None:
            if judge.strict:
                verdict = Verdict("implicitDeny", f"there is no role {self.role}")
                self._note(SERVICE, "sts:AssumeRole", self.role, verdict)
                raise Refused(f"{_DENIED} The role {self.role} does not exist.")
            verdict = Verdict("allowed", "IAM does not know the role, and the rules are not strict")
            self._note(SERVICE, "sts:AssumeRole", self.role, verdict)
            return
        verdict = guard.judge_trust(role, Principal("", "", SERVICE), self._context)
        self._note(SERVICE, "sts:AssumeRole", self.role, verdict)
        if not verdict.is_allowed:
            raise Refused(f"{_DENIED} Amazon Personalize cannot assume {self.role}: {verdict.reason}.")

    def require(self, action: str, bucket: str, key: str = "", prefix: str | None = None) -> None:
        """Raise Refused unless role and service may do ``action`` on a bucket or an object in it."""
        arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        context = {**self._context, **({"s3:prefix": prefix} if prefix is not None else {})}
        policy = bucket_policy(self._buckets, bucket) if self._buckets else None
        if self._identity is not None:
            owner = self._owner(bucket)
            verdict = guard.judge(self._identity, action, arn, context, policy, owner)
            self._settle(self.role, action, arn, verdict)
        if self._buckets is not None:
            verdict = guard.judge_service(policy, action, arn, context)
            if verdict.outcome == "implicitDeny" and not self._asks(policy):
                verdict = Verdict(
                    "allowed", "the bucket has no policy for the service, and the rules are not strict"
                )
            self._settle(SERVICE, action, arn, verdict)

    def _asks(self, policy: Policy | None) -> bool:
        return self._guard.strict or (policy is not None and guard.names_service(policy))

    def _owner(self, bucket: str) -> str | None:
        found = self._buckets.find(bucket) if self._buckets else None
        return found.account if found else None

    def _settle(self, who: str, action: str, arn: str, verdict: Verdict) -> None:
        self._note(who, action, arn, verdict)
        if not verdict.is_allowed:
            raise Refused(f"{_DENIED} {who} may not perform {action} on {arn}: {verdict.reason}.")

    def _note(self, who: str, action: str, arn: str, verdict: Verdict) -> None:
        self._guard.note(self._resource.arn, who, action, arn, verdict)
