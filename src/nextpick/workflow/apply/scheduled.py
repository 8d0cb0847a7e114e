"""What a schedule of a configuration does: import, train, run a batch job."""

import threading
from datetime import UTC, datetime

from nextpick.workflow.apply.execute import execute
from nextpick.workflow.apply.plan import Part, plan, scheduled_steps, steps
from nextpick.workflow.apply.world import Failed, World
from nextpick.workflow.config.model import read
from nextpick.workflow.config.place import Place
from nextpick.workflow.firing import Doing, Firing, Refused


def perform(doing: Doing, firing: Firing) -> None:
    """Do one part of a configuration; what was begun since the firing is not begun again. Raises Refused."""
    action, context = firing.action, doing.context
    config = read(action["config"])
    place = Place(action["bucket"], action["prefix"])
    world = World(context.client, context.clock, place, action["role"], threading.Event())
    since = datetime.fromtimestamp(firing.at, UTC)
    part = Part(action["part"], since, action.get("solution", ""), action.get("number", 0))
    source = {name: action[name] for name in ("config", "bucket", "prefix", "role")}
    try:
        if part.what == "all":
            made = steps(world, config, doing.database, source)
        else:
            made = scheduled_steps(world, config, part)
        execute(plan(made), lambda step, state, more: None)
    except Failed as error:
        raise Refused(str(error)) from None
