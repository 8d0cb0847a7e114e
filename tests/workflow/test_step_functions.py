"""Step Functions through boto3: state machines, executions, histories."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from states_world import machine
from workshop import Workshop

ROLE = "arn:aws:iam::000000000000:role/any"
WAITS = machine(W={"Type": "Wait", "Seconds": 60}, P={"Type": "Pass", "Result": 1})
INVOKE = "arn:aws:states:::lambda:invoke"


def code(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"]


def test_a_state_machine_is_made_found_changed_and_deleted(shop: Workshop) -> None:
    states = shop.states
    assert states.list_state_machines()["stateMachines"] == []
    arn = shop.make(WAITS, "one")
    assert arn == "arn:aws:states:us-east-1:000000000000:stateMachine:one"
    assert shop.make(WAITS, "one") == arn  # again the same
    text = json.dumps(machine(P={"Type": "Pass"}))
    assert (
        code(states.create_state_machine, name="one", definition=text, roleArn=ROLE)
        == "StateMachineAlreadyExists"
    )
    found = states.describe_state_machine(stateMachineArn=arn)
    assert (found["status"], found["type"], json.loads(found["definition"])) == ("ACTIVE", "STANDARD", WAITS)
    states.update_state_machine(stateMachineArn=arn, definition=text)
    assert states.describe_state_machine(stateMachineArn=arn)["definition"] == text
    assert code(states.update_state_machine, stateMachineArn=arn) == "MissingRequiredParameter"
    for name in ("three", "two"):
        shop.make(WAITS, name)
    first = states.list_state_machines(maxResults=2)
    assert [one["name"] for one in first["stateMachines"]] == ["one", "three"]
    rest = states.list_state_machines(maxResults=2, nextToken=first["nextToken"])
    assert ([one["name"] for one in rest["stateMachines"]], "nextToken" in rest) == (["two"], False)
    states.delete_state_machine(stateMachineArn=arn)
    assert code(states.describe_state_machine, stateMachineArn=arn) == "StateMachineDoesNotExist"
    assert code(states.describe_state_machine, stateMachineArn="arn:aws:x") == "InvalidArn"


def test_what_cannot_run_is_refused_by_name(shop: Workshop) -> None:
    bad = {"A": "arn:aws:states:::dynamodb:putItem", "B": "arn:aws:states:::aws-sdk:personalize:makeSolution"}
    states = {name: {"Type": "Task", "Resource": resource} for name, resource in bad.items()}
    with pytest.raises(ClientError) as caught:
        shop.make(machine(**states))
    assert caught.value.response["Error"]["Code"] == "InvalidDefinition"
    told = caught.value.response["Error"]["Message"]
    assert "A.Resource: 'arn:aws:states:::dynamodb:putItem' is not spoken" in told
    assert "B.Resource: personalize has no operation makeSolution" in told
    text = json.dumps(WAITS)
    assert code(shop.states.create_state_machine, name="a b", definition=text, roleArn=ROLE) == "InvalidName"
    assert code(shop.states.create_state_machine, name="a", definition=text) == "ValidationException"
    assert code(shop.states.send_task_success, taskToken="t", output="{}") == "NotImplementedException"


def test_an_execution_is_started_once_under_its_name(shop: Workshop) -> None:
    arn, states = shop.make(WAITS), shop.states
    first = states.start_execution(stateMachineArn=arn, name="n", input='{"a": 1}')
    again = states.start_execution(stateMachineArn=arn, name="n", input='{"a":1}')
    assert (
        first["executionArn"] == again["executionArn"] == f"{arn.replace(':stateMachine:', ':execution:')}:n"
    )
    other = {"stateMachineArn": arn, "name": "n", "input": "{}"}
    assert code(states.start_execution, **other) == "ExecutionAlreadyExists"
    assert code(states.start_execution, stateMachineArn=arn, input="{") == "InvalidExecutionInput"
    ended = shop.finish(first["executionArn"])
    assert (ended["status"], ended["output"], ended["input"]) == ("SUCCEEDED", "1", '{"a": 1}')
    times = {event["type"]: event["timestamp"] for event in shop.history(first["executionArn"])}
    assert (times["WaitStateExited"] - times["WaitStateEntered"]).total_seconds() == 60
    assert code(states.start_execution, **{**other, "input": '{"a": 1}'}) == "ExecutionAlreadyExists"
    assert (
        code(states.describe_execution, executionArn=first["executionArn"] + "x") == "ExecutionDoesNotExist"
    )


def test_executions_are_listed_newest_first_and_stopped(shop: Workshop) -> None:
    arn, states = shop.make(WAITS), shop.states
    names = ["a", "b", "c"]
    arns = [states.start_execution(stateMachineArn=arn, name=name)["executionArn"] for name in names]
    states.stop_execution(executionArn=arns[1], error="Enough", cause="said so")
    stopped = states.describe_execution(executionArn=arns[1])
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Enough", "said so")
    assert shop.history(arns[1])[-1]["executionAbortedEventDetails"] == {
        "error": "Enough",
        "cause": "said so",
    }
    shop.finish(arns[0])
    shop.finish(arns[2])
    listed = [one["name"] for one in states.list_executions(stateMachineArn=arn)["executions"]]
    assert listed == ["c", "b", "a"]
    aborted = states.list_executions(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert [one["name"] for one in aborted] == ["b"]
    page = states.list_executions(stateMachineArn=arn, maxResults=2)
    rest = states.list_executions(stateMachineArn=arn, maxResults=2, nextToken=page["nextToken"])
    assert [one["name"] for one in rest["executions"]] == ["a"]
    assert code(states.list_executions, stateMachineArn=arn, nextToken="no") == "InvalidToken"


def test_a_history_is_told_in_pages_backwards_and_without_data(shop: Workshop) -> None:
    ended = shop.run(shop.make(WAITS), {"a": 1})
    arn = ended["executionArn"]
    pages = shop.states.get_execution_history(executionArn=arn, maxResults=2)
    assert [event["id"] for event in pages["events"]] == [1, 2]
    backwards = shop.states.get_execution_history(executionArn=arn, reverseOrder=True)["events"]
    assert backwards[0]["type"] == "ExecutionSucceeded"
    bare = shop.states.get_execution_history(executionArn=arn, includeExecutionData=False)["events"]
    assert bare[1]["stateEnteredEventDetails"] == {"name": "W"}
    assert shop.history(arn)[1]["stateEnteredEventDetails"] == {"name": "W", "input": '{"a": 1}'}


def test_functions_are_tasks_in_both_forms(shop: Workshop) -> None:
    def divide(event: Any) -> Any:
        return {"half": 10 / event["by"]}

    shop.functions.known["divide"] = divide
    plain = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:divide"}
    ended = shop.run(shop.make(machine(F=plain)), {"by": 2})
    assert json.loads(ended["output"]) == {"half": 5}
    types = [event["type"] for event in shop.history(ended["executionArn"])]
    assert types[2:5] == ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"]
    catch = [{"ErrorEquals": ["ZeroDivisionError"], "ResultPath": "$.error", "Next": "Caught"}]
    invoke = {"Type": "Task", "Resource": INVOKE, "Catch": catch, "OutputPath": "$.Payload.half"}
    invoke["Parameters"] = {"FunctionName": plain["Resource"], "Payload.$": "$"}
    arn = shop.make(machine(F={**invoke, "Next": "Caught"}, Caught={"Type": "Succeed"}))
    assert json.loads(shop.run(arn, {"by": 4})["output"]) == 2.5
    caught = json.loads(shop.run(arn, {"by": 0})["output"])
    assert caught["error"]["Error"] == "ZeroDivisionError"
    assert json.loads(caught["error"]["Cause"])["errorMessage"] == "division by zero"
    missing = {**invoke, "Parameters": {"FunctionName": "none"}, "Catch": [], "End": True}
    ended = shop.run(shop.make(machine(F=missing)))
    assert ended["error"] == "Lambda.ResourceNotFoundException"


def test_a_message_is_published_by_a_task(shop: Workshop) -> None:
    topic = shop.api.library.client("sns").create_topic(Name="movies")["TopicArn"]
    parameters = {"TopicArn": topic, "Message.$": "$.said", "Subject": "Done"}
    publish = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": parameters}
    ended = shop.run(shop.make(machine(P=publish)), {"said": {"rows": 2}})
    assert set(json.loads(ended["output"])) == {"MessageId"}
    gone = {**publish, "Parameters": {**parameters, "TopicArn": topic + "x"}}
    assert shop.run(shop.make(machine(P=gone), "gone"), {"said": "a"})["error"] == "Sns.NotFoundException"


def test_objects_are_written_and_read_by_tasks(shop: Workshop) -> None:
    shop.s3.create_bucket(Bucket="data")
    sdk = "arn:aws:states:::aws-sdk:s3:"
    put = {"Bucket": "data", "Key.$": "$.key", "Body": {"kept": True}}
    states = machine(
        Put={"Type": "Task", "Resource": f"{sdk}putObject", "Parameters": put, "ResultPath": None},
        Get={
            "Type": "Task",
            "Resource": f"{sdk}getObject",
            "Parameters": {"Bucket": "data", "Key.$": "$.key"},
            "ResultSelector": {"body.$": "States.StringToJson($.Body)", "size.$": "$.ContentLength"},
        },
        None_={
            "Type": "Task",
            "Resource": f"{sdk}getObject",
            "Parameters": {"Bucket": "data", "Key": "none"},
            "Catch": [{"ErrorEquals": ["S3.NoSuchKeyException"], "ResultPath": None, "Next": "End"}],
            "Next": "End",
        },
        End={"Type": "Succeed"},
    )
    ended = shop.run(shop.make(states), {"key": "a/b.json"})
    assert json.loads(ended["output"]) == {"body": {"kept": True}, "size": 14}


def test_tasks_act_as_the_role_of_the_machine_when_iam_knows_it(shop: Workshop) -> None:
    iam = shop.api.library.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="limited", AssumeRolePolicyDocument=document)
    resource = "arn:aws:states:::aws-sdk:personalize:listRecipes"
    machine_arn = shop.make(machine(L={"Type": "Task", "Resource": resource}), role="limited")
    denied = shop.run(machine_arn)
    assert denied["error"] == "Personalize.AccessDeniedException"
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "personalize:*", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="limited", PolicyName="p", PolicyDocument=json.dumps(policy))
    assert json.loads(shop.run(machine_arn)["output"])["Recipes"][0]["Name"]


def test_who_may_not_start_is_refused(shop: Workshop) -> None:
    arn = shop.make(WAITS)
    library = shop.api.library
    iam = library.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    from nextpick.wire import inprocess

    states = inprocess.client(
        library.engine.asgi,
        library._loop,
        "stepfunctions",
        region="us-east-1",
        access_key=key["AccessKeyId"],
        secret=key["SecretAccessKey"],
    )
    assert code(states.start_execution, stateMachineArn=arn) == "AccessDeniedException"
    allowed = {"Effect": "Allow", "Action": ["states:*", "iam:PassRole"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    assert states.start_execution(stateMachineArn=arn)["executionArn"]
    mine = {"name": "mine", "definition": json.dumps(WAITS), "roleArn": ROLE}
    assert code(states.create_state_machine, **mine) == "ValidationException"  # a role that IAM does not know
