"""Random sequences of operations against a simple model of the rules: what exists, what holds what, what is refused."""

import json
from itertools import count
from typing import Any

from botocore.exceptions import ClientError
from estate import NOWHERE, recipe
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from films import EVENTS_SCHEMA, ITEMS_SCHEMA
from worlds import Api, open_api

NAMES = st.sampled_from(["a", "b", "c"])
SCHEMAS = {"Interactions": EVENTS_SCHEMA, "Items": ITEMS_SCHEMA}
_API: list[Api] = []
_REGIONS = count()


class Account(RuleBasedStateMachine):
    """The model: ARNs by kind, each with the ARNs it stands on. What others stand on cannot be deleted."""

    groups, schemas, datasets = Bundle("groups"), Bundle("schemas"), Bundle("datasets")
    trackers, solutions, filters = Bundle("trackers"), Bundle("solutions"), Bundle("filters")

    @initialize()
    def start(self) -> None:
        """Each run has a region of its own, so that it begins with nothing."""
        self.region = f"test-{next(_REGIONS)}"
        client = _API[0].library.client("personalize", region=self.region, parameter_validation=False)
        self.call: Any = client
        self.stands_on: dict[str, set[str]] = {}

    def make(self, arn: str, *below: str) -> str:
        self.stands_on[arn] = set(below)
        return arn

    def attempt(self, operation: str, error: str | None, **request: Any) -> dict[str, Any] | None:
        """Call an operation and see that it ends as the model says; return its answer, None where it is refused."""
        told = answer = None
        try:
            answer = getattr(self.call, operation)(**request)
        except ClientError as raised:
            told = raised.response["Error"]["Code"].removesuffix("Exception")
        assert told == error, (operation, request)
        return answer

    def arn(self, path: str) -> str:
        return NOWHERE.replace("us-east-1", self.region) + path

    def taken(self, path: str) -> str | None:
        return "ResourceAlreadyExists" if self.arn(path) in self.stands_on else None

    def delete(self, operation: str, member: str, arn: str, holds: bool) -> None:
        error = None if arn in self.stands_on else "ResourceNotFound"
        if error is None and holds and any(arn in below for below in self.stands_on.values()):
            error = "ResourceInUse"
        if self.attempt(operation, error, **{member: arn}) is not None:
            del self.stands_on[arn]

    @rule(target=schemas, name=NAMES, of=st.sampled_from(list(SCHEMAS)))
    def create_schema(self, name: str, of: str) -> Any:
        error = self.taken(f"schema/{name}-{of}")
        answer = self.attempt("create_schema", error, name=f"{name}-{of}", schema=json.dumps(SCHEMAS[of]))
        return multiple() if answer is None else self.make(answer["schemaArn"])

    @rule(target=groups, name=NAMES)
    def create_group(self, name: str) -> Any:
        answer = self.attempt("create_dataset_group", self.taken(f"dataset-group/{name}"), name=name)
        return multiple() if answer is None else self.make(answer["datasetGroupArn"])

    @rule(target=datasets, group=groups, schema=schemas)
    def create_dataset(self, group: str, schema: str) -> Any:
        of = schema.rpartition("-")[2]
        error = "ResourceNotFound" if not {group, schema} <= set(self.stands_on) else None
        name = group.rpartition("/")[2]
        error = error or self.taken(f"dataset/{name}/{of.upper()}")
        answer = self.attempt(
            "create_dataset", error, name=f"d-{of}", datasetGroupArn=group, schemaArn=schema, datasetType=of
        )
        return multiple() if answer is None else self.make(answer["datasetArn"], group, schema)

    @rule(target=trackers, group=groups, name=NAMES)
    def create_tracker(self, group: str, name: str) -> Any:
        error = "ResourceNotFound" if group not in self.stands_on else None
        held = any(group in below and ":event-tracker/" in arn for arn, below in self.stands_on.items())
        error = error or self.taken(f"event-tracker/{name}") or ("ResourceAlreadyExists" if held else None)
        answer = self.attempt("create_event_tracker", error, name=name, datasetGroupArn=group)
        return multiple() if answer is None else self.make(answer["eventTrackerArn"], group)

    @rule(target=solutions, group=groups, name=NAMES)
    def create_solution(self, group: str, name: str) -> Any:
        error = "ResourceNotFound" if group not in self.stands_on else self.taken(f"solution/{name}")
        answer = self.attempt(
            "create_solution", error, name=name, datasetGroupArn=group, recipeArn=recipe("aws-sims"),
            performAutoTraining=False,
        )  # fmt: skip
        return multiple() if answer is None else self.make(answer["solutionArn"], group)

    @rule(target=filters, group=groups, name=NAMES)
    def create_filter(self, group: str, name: str) -> Any:
        """A filter needs the dataset that it speaks of."""
        error = "ResourceNotFound" if group not in self.stands_on else self.taken(f"filter/{name}")
        has = self.arn(f"dataset/{group.rpartition('/')[2]}/ITEMS") in self.stands_on
        error = error or (None if has else "InvalidInput")
        text = 'INCLUDE ItemID WHERE Items.GENRE IN ("x")'
        answer = self.attempt("create_filter", error, name=name, datasetGroupArn=group, filterExpression=text)
        if answer is None:
            return multiple()
        _API[0].settle(lambda: self.call.describe_filter(filterArn=answer["filterArn"]))
        return self.make(answer["filterArn"], group)

    @rule(solution=solutions)
    def train_without_data(self, solution: str) -> None:
        """Without an Interactions dataset there is nothing to train on."""
        if solution not in self.stands_on:
            self.attempt("create_solution_version", "ResourceNotFound", solutionArn=solution)
            return
        (group,) = self.stands_on[solution]
        if self.arn(f"dataset/{group.rpartition('/')[2]}/INTERACTIONS") not in self.stands_on:
            self.attempt("create_solution_version", "InvalidInput", solutionArn=solution)

    @rule(arn=consumes(schemas))
    def delete_schema(self, arn: str) -> None:
        self.delete("delete_schema", "schemaArn", arn, holds=True)

    @rule(arn=groups)
    def delete_group(self, arn: str) -> None:
        self.delete("delete_dataset_group", "datasetGroupArn", arn, holds=True)

    @rule(arn=datasets)
    def delete_dataset(self, arn: str) -> None:
        self.delete("delete_dataset", "datasetArn", arn, holds=False)

    @rule(arn=trackers)
    def delete_tracker(self, arn: str) -> None:
        self.delete("delete_event_tracker", "eventTrackerArn", arn, holds=False)

    @rule(arn=solutions)
    def delete_solution(self, arn: str) -> None:
        self.delete("delete_solution", "solutionArn", arn, holds=False)

    @rule(arn=filters)
    def delete_filter(self, arn: str) -> None:
        self.delete("delete_filter", "filterArn", arn, holds=False)

    @invariant()
    def lists_are_what_exists(self) -> None:
        if not hasattr(self, "call"):
            return
        listed = {
            found[member]
            for operation, key, member in (
                ("list_schemas", "schemas", "schemaArn"),
                ("list_dataset_groups", "datasetGroups", "datasetGroupArn"),
                ("list_datasets", "datasets", "datasetArn"),
                ("list_event_trackers", "eventTrackers", "eventTrackerArn"),
                ("list_solutions", "solutions", "solutionArn"),
                ("list_filters", "Filters", "filterArn"),
            )
            for found in getattr(self.call, operation)()[key]
            if not found.get("status", "").startswith("DELETE")
        }
        assert listed == set(self.stands_on)


def test_random_operations_keep_the_rules(tmp_path_factory: Any) -> None:
    api = open_api(tmp_path_factory.mktemp("stateful"), count_quotas=False)
    _API[:] = [api]
    try:
        quick = settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        )
        run_state_machine_as_test(Account, settings=quick)
    finally:
        api.library.close()
