"""TagResource, UntagResource and ListTagsForResource.

Source: developer guide, "Tagging Amazon Personalize resources".
"""

from nextpick.api.context import Answer, Context, Request, operation, tags_of
from nextpick.errors import InvalidInput, ResourceNotFound, TooManyTagKeys, TooManyTags
from nextpick.names import parse_arn
from nextpick.resources import lifecycle
from nextpick.resources.kinds import KINDS, SOLUTION, SOLUTION_VERSION
from nextpick.store.records import Resource, Transaction

MOST_TAGS = 50


@operation("TagResource")
def tag_resource(ctx: Context, request: Request) -> Answer:
    """Give a resource tags beside those it has; one with a key that it has replaces that tag's value."""
    added = tags_of(request)
    with ctx.records.write() as tx:
        resource = _taggable(ctx, tx, request["resourceArn"])
        tags = {**resource.internal.get("tags", {}), **added}
        if len(tags) > MOST_TAGS:
            raise TooManyTags(f"{resource.arn} would have {len(tags)} tags; it may have {MOST_TAGS}.")
        _save(tx, resource, tags)


@operation("UntagResource")
def untag_resource(ctx: Context, request: Request) -> Answer:
    """Take tags away by their keys; a key that the resource does not have is passed over."""
    keys = set(request["tagKeys"])
    if len(keys) > MOST_TAGS:
        raise TooManyTagKeys
    with ctx.records.write() as tx:
        resource = _taggable(ctx, tx, request["resourceArn"])
        tags = resource.internal.get("tags", {})
        _save(tx, resource, {key: value for key, value in tags.items() if key not in keys})


@operation("ListTagsForResource")
def list_tags_for_resource(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        tags = _taggable(ctx, tx, request["resourceArn"]).internal.get("tags", {})
    return {"tags": [{"tagKey": key, "tagValue": value} for key, value in tags.items()]}


def _taggable(ctx: Context, tx: Transaction, arn: str) -> Resource:
    """Return a live resource of the caller that can have tags; raises InvalidInput, ResourceNotFound."""
    parts = parse_arn(arn)
    kind = KINDS.get(parts.kind) if parts and parts.service == "personalize" else None
    if parts and kind is SOLUTION and "/" in parts.path:
        kind = SOLUTION_VERSION
    if kind is None:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    if not kind.is_taggable:
        raise InvalidInput(f"{arn} is a {kind.words}, which cannot have tags.")
    return lifecycle.get(tx, kind, arn, **ctx.owner)


def _save(tx: Transaction, resource: Resource, tags: dict[str, str]) -> None:
    if tags != resource.internal.get("tags", {}):
        resource.internal = {**resource.internal, "tags": tags}
        tx.save(resource)
