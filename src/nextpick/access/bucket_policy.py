"""Bucket policies, as the guard reads them."""

from nextpick.access.grammar import parse_policy
from nextpick.access.policy import Policy
from nextpick.store.buckets import Buckets, NoSuchBucket

LIMIT = 20 * 1024


def label(bucket: str) -> str:
    """Return what messages call a bucket's policy."""
    return f"bucket policy of {bucket}"


def bucket_policy(buckets: Buckets, bucket: str) -> Policy | None:
    """Return a bucket's policy, or None where it or the bucket is missing."""
    try:
        text = buckets.document(bucket, "policy")
    except NoSuchBucket:
        return None
    return parse_policy(text, name=label(bucket), kind="resource", limit=LIMIT) if text else None
