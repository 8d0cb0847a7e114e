"""Operations on buckets."""

import json
import re
from typing import Any

from nextpick.access.bucket_policy import LIMIT, label
from nextpick.access.grammar import Malformed, parse_policy
from nextpick.neighbours.s3.context import HANDLERS, Context, Reply, Request
from nextpick.neighbours.s3.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidArgument,
    InvalidBucketName,
    MalformedPolicy,
    NoSuchBucketPolicy,
)
from nextpick.store.buckets import Bucket, BucketExists
from nextpick.store.buckets import BucketNotEmpty as NotEmpty
from nextpick.wire.xmltext import DECLARATION, text_of

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DEFAULT_REGION = "us-east-1"

_NAME = re.compile(r"(?!xn--)(?!.*\.\.)(?![0-9.]+\Z)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EVENTS = re.compile(r"s3:[A-Za-z]+(:[A-Za-z*]+)*")


def owner_of(ctx: Context, bucket: Bucket | None = None) -> dict[str, str]:
    """Return the owner of a bucket and what is in it, as answers name it."""
    account = (bucket.account if bucket else None) or ctx.call.account
    return {"ID": account, "DisplayName": account}


def region_of(ctx: Context, bucket: Bucket) -> str:
    """Return a bucket's region; one made by hand is in the region of the settings."""
    return bucket.region or ctx.services.settings.region


@HANDLERS.operation("ListBuckets")
def list_buckets(ctx: Context, request: Request) -> Reply:
    prefix, after = request.get("Prefix", ""), request.get("ContinuationToken", "")
    region, size = request.get("BucketRegion"), request.get("MaxBuckets", 10_000)
    mine = [
        bucket
        for bucket in ctx.buckets.list()
        if bucket.account in (None, ctx.call.account)
        and bucket.name.startswith(prefix)
        and bucket.name > after
        and region in (None, region_of(ctx, bucket))
    ]
    members: dict[str, Any] = {
        "Buckets": [
            {"Name": b.name, "CreationDate": b.created_at, "BucketRegion": region_of(ctx, b)}
            for b in mine[:size]
        ],
        "Owner": owner_of(ctx),
        "Prefix": request.get("Prefix"),
    }
    if len(mine) > size:
        members["ContinuationToken"] = mine[size - 1].name
    return Reply(members)


@HANDLERS.operation("CreateBucket")
def create_bucket(ctx: Context, request: Request) -> Reply:
    name = request["Bucket"]
    if not _NAME.fullmatch(name):
        raise InvalidBucketName(
            f"The bucket name {name[:100]} must be 3 to 63 lower-case letters, digits, dots and hyphens.",
            BucketName=name,
        )
    location = request.get("CreateBucketConfiguration", {}).get("LocationConstraint")
    region = {"EU": "eu-west-1", "": None}.get(location or "", location) or ctx.call.region or DEFAULT_REGION
    found = ctx.buckets.find(name)
    if found is None:
        try:
            ctx.buckets.create(name, account=ctx.call.account, region=region, now=ctx.now())
            return Reply({"Location": f"/{name}"})
        except BucketExists as error:  # another request made it in the meantime
            found = error.args[0]
    if found.account not in (None, ctx.call.account):
        raise BucketAlreadyExists(BucketName=name)
    if ctx.call.region not in ("", DEFAULT_REGION):
        raise BucketAlreadyOwnedByYou(BucketName=name)
    return Reply({"Location": f"/{name}"})  # in us-east-1 a second creation succeeds


@HANDLERS.operation("HeadBucket")
def head_bucket(ctx: Context, request: Request) -> Reply:
    return Reply({"BucketRegion": region_of(ctx, ctx.bucket(request["Bucket"])), "AccessPointAlias": False})


@HANDLERS.operation("DeleteBucket")
def delete_bucket(ctx: Context, request: Request) -> Reply:
    ctx.bucket(request["Bucket"])
    try:
        ctx.buckets.delete(request["Bucket"])
        ctx.services.events.configured(request["Bucket"], {})
    except NotEmpty:
        raise BucketNotEmpty(BucketName=request["Bucket"]) from None
    return Reply({})


@HANDLERS.operation("GetBucketLocation")
def get_bucket_location(ctx: Context, request: Request) -> Reply:
    region = region_of(ctx, ctx.bucket(request["Bucket"]))
    inner = "" if region == DEFAULT_REGION else text_of(region)
    text = f'<LocationConstraint xmlns="{NAMESPACE}">{inner}</LocationConstraint>'
    return Reply({}, body=(DECLARATION + text).encode())


@HANDLERS.operation("GetBucketAcl")
def get_bucket_acl(ctx: Context, request: Request) -> Reply:
    return acl(ctx, ctx.bucket(request["Bucket"]))


def acl(ctx: Context, bucket: Bucket) -> Reply:
    """Return the one list there is: the owner may do everything, the rest is for policies."""
    owner = owner_of(ctx, bucket)
    return Reply(
        {
            "Owner": owner,
            "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
        }
    )


@HANDLERS.operation("GetBucketVersioning")
def get_bucket_versioning(ctx: Context, request: Request) -> Reply:
    ctx.bucket(request["Bucket"])
    return Reply({})  # never turned on


@HANDLERS.operation("PutBucketPolicy")
def put_bucket_policy(ctx: Context, request: Request) -> Reply:
    name, text = ctx.bucket(request["Bucket"]).name, request.get("Policy", "")
    try:
        policy = parse_policy(text, name=label(name), kind="resource", limit=LIMIT)
    except Malformed as error:
        raise MalformedPolicy(str(error)) from None
    arn = f"arn:aws:s3:::{name}"
    for statement in policy.statements:
        for resource in (*statement.resources, *statement.not_resources):
            if resource != arn and not resource.startswith((f"{arn}/", f"{arn}*")):
                raise MalformedPolicy(f"Policy has invalid resource: {resource} is not of the bucket, {arn}.")
    ctx.buckets.set_document(name, "policy", text)
    return Reply({}, status=204)


@HANDLERS.operation("GetBucketPolicy")
def get_bucket_policy(ctx: Context, request: Request) -> Reply:
    name = ctx.bucket(request["Bucket"]).name
    text = ctx.buckets.document(name, "policy")
    if text is None:
        raise NoSuchBucketPolicy(BucketName=name)
    return Reply({"Policy": text})


@HANDLERS.operation("DeleteBucketPolicy")
def delete_bucket_policy(ctx: Context, request: Request) -> Reply:
    ctx.buckets.set_document(ctx.bucket(request["Bucket"]).name, "policy", None)
    return Reply({})


@HANDLERS.operation("PutBucketNotificationConfiguration")
def put_bucket_notification(ctx: Context, request: Request) -> Reply:
    name, config = ctx.bucket(request["Bucket"]).name, request.get("NotificationConfiguration", {})
    targets = {
        "LambdaFunctionConfigurations": "LambdaFunctionArn",
        "QueueConfigurations": "QueueArn",
        "TopicConfigurations": "TopicArn",
    }
    for kind, target in targets.items():
        for number, one in enumerate(config.get(kind, [])):
            if not one.get(target, "").startswith("arn:"):
                raise InvalidArgument(f"The {target} of a notification is not an ARN.", ArgumentName=target)
            unknown = [event for event in one.get("Events", []) if not _EVENTS.fullmatch(event)]
            if unknown or not one.get("Events"):
                raise InvalidArgument(
                    f"The event {unknown[0]} is not supported for notifications"
                    if unknown
                    else "A notification names no event.",
                    ArgumentName="Event",
                )
            one.setdefault("Id", f"nextpick-{kind[0].lower()}{number}")
    ctx.buckets.set_document(
        name, "notification", json.dumps(config) if any(map(config.get, config)) else None
    )
    ctx.services.events.configured(name, config)
    return Reply({})


@HANDLERS.operation("GetBucketNotificationConfiguration")
def get_bucket_notification(ctx: Context, request: Request) -> Reply:
    text = ctx.buckets.document(ctx.bucket(request["Bucket"]).name, "notification")
    return Reply(json.loads(text) if text else {})
