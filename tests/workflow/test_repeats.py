"""A call whose answer was lost: found again, made again, or told to be unknown."""

from pathlib import Path
from typing import Any

import pytest
from states_world import machine
from workshop import Workshop

from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.tasks import calls, functions
from nextpick.workflow.tasks.integration import Ask
from worlds import Shop


def ask(shop: Workshop, since: float = 0.0, **parameters: Any) -> Ask:
    return Ask(parameters, "token", shop.clock.now() + since, True, "")


def call(shop: Workshop, service: str, action: str, asked: Ask) -> Any:
    return calls.call(lambda name, role: shop.api.library.client(name), service, action, asked)


def test_what_was_made_since_is_found_and_what_was_there_before_is_in_the_way(shop: Workshop) -> None:
    made = call(shop, "personalize", "createDatasetGroup", ask(shop, Name="g"))
    assert call(shop, "personalize", "createDatasetGroup", ask(shop, Name="g")) == made
    with pytest.raises(StateFailed) as caught:  # written down long after that group was made
        call(shop, "personalize", "createDatasetGroup", ask(shop, 86_400, Name="g"))
    assert caught.value.error == "Personalize.ResourceAlreadyExistsException"


def test_a_tracker_is_found_by_name_within_its_group(shop: Workshop) -> None:
    given = {"Name": "t", "DatasetGroupArn": Shop(shop.api).group}
    first = call(shop, "personalize", "createEventTracker", ask(shop, **given))
    again = call(shop, "personalize", "createEventTracker", ask(shop, **given))
    assert again["EventTrackerArn"] == first["EventTrackerArn"]


def test_what_is_gone_was_deleted(shop: Workshop) -> None:
    group = call(shop, "personalize", "createDatasetGroup", ask(shop, Name="g"))["DatasetGroupArn"]
    for _ in range(2):
        assert call(shop, "personalize", "deleteDatasetGroup", ask(shop, DatasetGroupArn=group)) == {}


def test_an_execution_is_started_once(shop: Workshop) -> None:
    arn = shop.make(machine(P={"Type": "Pass"}))
    first = call(shop, "sfn", "startExecution", ask(shop, StateMachineArn=arn))
    shop.finish(first["ExecutionArn"])
    assert (
        call(shop, "sfn", "startExecution", ask(shop, StateMachineArn=arn))["ExecutionArn"]
        == first["ExecutionArn"]
    )
    assert len(shop.states.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_what_adds_each_time_is_not_done_again(shop: Workshop, tmp_path: Path) -> None:
    event = {"eventType": "click", "sentAt": 1, "itemId": "i"}
    given = {"trackingId": "t", "sessionId": "s", "eventList": [event]}
    with pytest.raises(StateFailed) as caught:
        call(shop, "personalizeevents", "putEvents", ask(shop, **given))
    assert caught.value.error == "PersonalizeEvents.Unknown"
    shop.functions.known["f"] = lambda event: None
    with pytest.raises(StateFailed) as caught:
        functions.invoke(shop.functions, tmp_path, ask(shop, FunctionName="f"))
    assert caught.value.error == "Lambda.Unknown"
    assert shop.functions.called == []
