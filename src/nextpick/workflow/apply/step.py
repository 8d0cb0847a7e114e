"""One thing that a configuration declares: how it stands, and what would make it so."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nextpick.workflow.apply.world import Failed, Resource, World

KEEP = "keep"


class Decision(NamedTuple):
    """What is to be done about a step: "keep", "create", "update", "import", "train", "run", "wait", …, and why."""

    verb: str
    reason: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is to be done."""
        return self.verb != KEEP


Will = dict[str, Decision]
"""What is to be done about the steps before, by their keys."""


class Step(NamedTuple):
    """A step. ``look`` decides, ``act`` does it and waits for it; both look at reality, so they may be repeated."""

    key: str
    title: str
    needs: tuple[str, ...]
    look: Callable[[Will], Decision]
    act: Callable[[Decision], None]


class Mismatch(Failed):
    """A resource of the name is there, with another definition that cannot be changed."""


def compare(title: str, found: Resource, wanted: dict[str, Any]) -> None:
    """Raise Mismatch unless a resource is as it is declared, member by member."""
    differ = [
        f"expected {key} to be {value!r} but got {found.get(key)!r}"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    if differ:
        raise Mismatch(f"{title}: {'; '.join(differ)}")


def missing_tags(world: World, arn: str, wanted: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the declared tags that a resource has not, or has with another value."""
    if not wanted:
        return []
    told = world.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    has = {tag["tagKey"]: tag["tagValue"] for tag in told}
    return [tag for tag in wanted if has.get(tag["tagKey"]) != tag["tagValue"]]


def tag(world: World, arn: str, wanted: list[dict[str, str]]) -> None:
    """Give a resource the declared tags that it lacks."""
    lacking = missing_tags(world, arn, wanted)
    if lacking:
        world.personalize.tag_resource(resourceArn=arn, tags=lacking)
