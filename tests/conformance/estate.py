"""One account with something of every kind in it, and a good request for each of the operations."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from films import EVENTS_SCHEMA, ITEMS_SCHEMA, World
from worlds import ROLE

SERVICES = ("personalize", "personalize-runtime", "personalize-events")
ECOMMERCE_SCHEMA = {
    **EVENTS_SCHEMA,
    "fields": [{"name": n, "type": "string"} for n in ("USER_ID", "ITEM_ID", "EVENT_TYPE")]
    + [{"name": "TIMESTAMP", "type": "long"}],
}
ACTIONS_SCHEMA = {
    "type": "record",
    "name": "Actions",
    "fields": [{"name": "ACTION_ID", "type": "string"}, {"name": "VALUE", "type": ["null", "long"]}],
    "version": "1.0",
}
ACTION_EVENTS_SCHEMA = {
    "type": "record",
    "name": "ActionInteractions",
    "fields": [{"name": n, "type": "string"} for n in ("USER_ID", "ACTION_ID", "EVENT_TYPE")]
    + [{"name": "TIMESTAMP", "type": "long"}],
    "version": "1.0",
}
NOWHERE = "arn:aws:personalize:us-east-1:000000000000:"


def recipe(name: str) -> str:
    return f"arn:aws:personalize:::recipe/{name}"


class Estate(World):
    """The films, with actions beside them, something trained of each type, and a shop with a recommender."""

    def __init__(self, api: Any) -> None:
        super().__init__(api)
        self._names = count()
        self.personalize, self.clients = (
            api.personalize,
            {
                "personalize": api.personalize,
                "personalize-runtime": api.runtime,
                "personalize-events": api.events,
            },
        )
        self.solution_arn = f"{NOWHERE}solution/s"
        self.filter_arn = self.filter("comedy", 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
        self.updatable = self.filter("updatable", 'EXCLUDE ItemID WHERE Items.GENRE IN ("drama")')
        self.actions = self.add(
            "Actions", ACTIONS_SCHEMA, ["ACTION_ID,VALUE", *(f"a{n},1" for n in range(5))]
        )
        events = [
            f"u{u},a{n},TAKEN,{1_700_000_000 + 60 * u + n}" for u in range(60) for n in range(u % 5 + 1)
        ]
        self.action_events = self.add(
            "Action_Interactions", ACTION_EVENTS_SCHEMA, ["USER_ID,ACTION_ID,EVENT_TYPE,TIMESTAMP", *events]
        )
        found = self.personalize.describe_dataset(datasetArn=self.action_events)["dataset"]
        self.action_tracker = found["trackingId"]
        self.ranking = self.deployed("ranking", self.version("ranking", "aws-personalized-ranking"))
        self.acting = self.deployed("acting", self.version("acting", "aws-next-best-action"))
        self.segments = self.version("segments", "aws-item-affinity")
        self.version_arn = self.personalize.describe_campaign(campaignArn=self.campaign)["campaign"][
            "solutionVersionArn"
        ]
        self.attribution = self.personalize.create_metric_attribution(
            name="clicks",
            datasetGroupArn=self.group,
            metrics=[{"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}],
            metricsOutputConfig={"roleArn": ROLE},
        )["metricAttributionArn"]
        self._open_shop()
        api.put_object("out", "readme", "what jobs write")
        self.source = api.put_object("in", "users.json", '{"userId":"u1"}\n')
        self.items_source = api.put_object("in", "items.json", '{"itemId":"i1"}\n')
        self.deleted_users = api.put_object("in", "gone.csv", "USER_ID\nnobody\n")
        self.batch = self._ended("batch_inference_job", self.good("CreateBatchInferenceJob"))
        self.segment = self._ended("batch_segment_job", self.good("CreateBatchSegmentJob"))
        self.export = self._ended("dataset_export_job", self.good("CreateDatasetExportJob"))
        self.deletion = self._ended("data_deletion_job", self.good("CreateDataDeletionJob"))
        trackers = self.personalize.list_event_trackers(datasetGroupArn=self.group)["eventTrackers"]
        self.event_tracker = trackers[0]["eventTrackerArn"]
        listed = self.personalize.list_dataset_import_jobs(datasetArn=self.dataset)["datasetImportJobs"]
        self.import_job = listed[0]["datasetImportJobArn"]

    def _open_shop(self) -> None:
        personalize = self.personalize
        self.shop = personalize.create_dataset_group(name="mart", domain="ECOMMERCE")["datasetGroupArn"]
        schema = personalize.create_schema(
            name="mart", schema=json.dumps(ECOMMERCE_SCHEMA), domain="ECOMMERCE"
        )["schemaArn"]
        dataset = personalize.create_dataset(
            name="mart", schemaArn=schema, datasetGroupArn=self.shop, datasetType="Interactions"
        )["datasetArn"]
        rows = [f"u{n % 50},i{n % 37},View,{1_700_000_000 + n}" for n in range(2000)]
        self.bring(dataset, "mart", ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows])
        self.recommender = personalize.create_recommender(
            name="mart",
            datasetGroupArn=self.shop,
            recipeArn=recipe("aws-ecomm-popular-items-by-views"),
        )["recommenderArn"]
        self.settled("recommender", self.recommender)

    def _ended(self, kind: str, request: dict[str, Any]) -> str:
        answer = getattr(self.personalize, f"create_{kind}")(**request)
        (arn,) = (value for name, value in answer.items() if name.endswith("Arn"))
        done = self.settled(kind, arn)
        assert done["status"] in ("ACTIVE", "COMPLETED"), done
        return arn

    def settled(self, kind: str, arn: str) -> dict[str, Any]:
        """Wait for what is described by an ARN and return it."""
        member = kind.partition("_")[0] + "".join(p.title() for p in kind.split("_")[1:]) + "Arn"
        describe = getattr(self.personalize, f"describe_{kind}")
        found = self.api.settle(lambda: describe(**{member: arn}))
        if found["status"] in ("PENDING", "IN_PROGRESS"):
            return self.settled(kind, arn)
        return found

    def fresh(self) -> str:
        """Return a name that nothing has."""
        return f"fresh-{next(self._names)}"

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call an operation of whichever service has it."""
        for client in self.clients.values():
            for method, named in client.meta.method_to_api_mapping.items():
                if named == operation:
                    return getattr(client, method)(**request)
        raise KeyError(operation)

    def good(self, operation: str) -> dict[str, Any]:
        """Return a request that succeeds, making first what it takes away."""
        return GOOD[operation](self)

    def a_group(self) -> str:
        return self.personalize.create_dataset_group(name=self.fresh())["datasetGroupArn"]

    def a_schema(self, of: dict[str, Any] = EVENTS_SCHEMA) -> str:
        return self.personalize.create_schema(name=self.fresh(), schema=json.dumps(of))["schemaArn"]

    def a_dataset(self) -> str:
        return self.personalize.create_dataset(**self.good("CreateDataset"))["datasetArn"]

    def a_solution(self) -> str:
        return self.personalize.create_solution(**self.good("CreateSolution"))["solutionArn"]

    def a_filter(self) -> str:
        arn = self.personalize.create_filter(**self.good("CreateFilter"))["filterArn"]
        self.settled("filter", arn)
        return arn

    def a_campaign(self) -> str:
        return self.deployed(self.fresh(), self.version_arn)

    def an_attribution(self) -> str:
        self.make_room()
        request = self.good("CreateMetricAttribution")
        return self.personalize.create_metric_attribution(**request)["metricAttributionArn"]

    def a_recommender(self) -> str:
        arn = self.personalize.create_recommender(**self.good("CreateRecommender"))["recommenderArn"]
        self.settled("recommender", arn)
        return arn

    def stopped(self) -> str:
        arn = self.a_recommender()
        self.personalize.stop_recommender(recommenderArn=arn)
        self.settled("recommender", arn)
        return arn

    def a_training(self) -> str:
        return self.train(self.a_solution())

    def make_room(self) -> None:
        """Delete the shop's metric attribution, of which there can be one."""
        listed = self.personalize.list_metric_attributions(datasetGroupArn=self.shop)["metricAttributions"]
        for found in listed:
            self.personalize.delete_metric_attribution(metricAttributionArn=found["metricAttributionArn"])

    def job(self, name: str, path: str, results: int) -> dict[str, Any]:
        return {
            "jobName": self.fresh(),
            "solutionVersionArn": self.version_arn if name == "inference" else self.segments,
            "roleArn": ROLE,
            "numResults": results,
            "jobInput": {"s3DataSource": {"path": path}},
            "jobOutput": {"s3DataDestination": {"path": f"s3://out/{name}/"}},
        }


TAG = {"tagKey": "team", "tagValue": "films"}
ITEM = {"itemId": "new", "properties": json.dumps({"year": 2000, "title": "t", "adult": False})}
ACTED = {"actionId": "a1", "sessionId": "s", "timestamp": 1_700_009_000, "eventType": "TAKEN", "userId": "u1"}
CLICK = {"eventType": "click", "itemId": "i1", "sentAt": 1_700_009_000}

GOOD: dict[str, Callable[[Estate], dict[str, Any]]] = {
    "CreateBatchInferenceJob": lambda e: e.job("inference", e.source, 5),
    "CreateBatchSegmentJob": lambda e: e.job("segment", e.items_source, 5),
    "CreateCampaign": lambda e: {"name": e.fresh(), "solutionVersionArn": e.version_arn},
    "CreateDataDeletionJob": lambda e: {
        "jobName": e.fresh(),
        "datasetGroupArn": e.group,
        "dataSource": {"dataLocation": e.deleted_users},
        "roleArn": ROLE,
    },
    "CreateDataset": lambda e: {
        "name": e.fresh(),
        "schemaArn": e.a_schema(ITEMS_SCHEMA),
        "datasetGroupArn": e.a_group(),
        "datasetType": "Items",
    },
    "CreateDatasetExportJob": lambda e: {
        "jobName": e.fresh(),
        "datasetArn": e.dataset,
        "roleArn": ROLE,
        "ingestionMode": "ALL",
        "jobOutput": {"s3DataDestination": {"path": "s3://out/export/"}},
    },
    "CreateDatasetGroup": lambda e: {"name": e.fresh()},
    "CreateDatasetImportJob": lambda e: {
        "jobName": e.fresh(),
        "datasetArn": e.users,
        "dataSource": {"dataLocation": "s3://data/import-Users.csv"},
        "roleArn": ROLE,
    },
    "CreateEventTracker": lambda e: {"name": e.fresh(), "datasetGroupArn": e.a_group()},
    "CreateFilter": lambda e: {
        "name": e.fresh(),
        "datasetGroupArn": e.group,
        "filterExpression": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click")',
    },
    "CreateMetricAttribution": lambda e: {
        "name": e.fresh(),
        "datasetGroupArn": e.shop,
        "metrics": [{"eventType": "View", "metricName": "views", "expression": "SAMPLECOUNT()"}],
        "metricsOutputConfig": {"roleArn": ROLE},
    },
    "CreateRecommender": lambda e: {
        "name": e.fresh(),
        "datasetGroupArn": e.shop,
        "recipeArn": recipe("aws-ecomm-popular-items-by-views"),
    },
    "CreateSchema": lambda e: {"name": e.fresh(), "schema": json.dumps(EVENTS_SCHEMA)},
    "CreateSolution": lambda e: {
        "name": e.fresh(),
        "datasetGroupArn": e.group,
        "recipeArn": recipe("aws-popularity-count"),
        "performAutoTraining": False,
    },
    "CreateSolutionVersion": lambda e: {"solutionArn": e.solution_arn, "name": e.fresh()},
    "DeleteCampaign": lambda e: {"campaignArn": e.a_campaign()},
    "DeleteDataset": lambda e: {"datasetArn": e.a_dataset()},
    "DeleteDatasetGroup": lambda e: {"datasetGroupArn": e.a_group()},
    "DeleteEventTracker": lambda e: {
        "eventTrackerArn": e.personalize.create_event_tracker(**e.good("CreateEventTracker"))[
            "eventTrackerArn"
        ]
    },
    "DeleteFilter": lambda e: {"filterArn": e.a_filter()},
    "DeleteMetricAttribution": lambda e: {"metricAttributionArn": e.an_attribution()},
    "DeleteRecommender": lambda e: {"recommenderArn": e.a_recommender()},
    "DeleteSchema": lambda e: {"schemaArn": e.a_schema()},
    "DeleteSolution": lambda e: {"solutionArn": e.a_solution()},
    "DescribeAlgorithm": lambda e: {"algorithmArn": "arn:aws:personalize:::algorithm/aws-sims"},
    "DescribeBatchInferenceJob": lambda e: {"batchInferenceJobArn": e.batch},
    "DescribeBatchSegmentJob": lambda e: {"batchSegmentJobArn": e.segment},
    "DescribeCampaign": lambda e: {"campaignArn": e.campaign},
    "DescribeDataDeletionJob": lambda e: {"dataDeletionJobArn": e.deletion},
    "DescribeDataset": lambda e: {"datasetArn": e.dataset},
    "DescribeDatasetExportJob": lambda e: {"datasetExportJobArn": e.export},
    "DescribeDatasetGroup": lambda e: {"datasetGroupArn": e.group},
    "DescribeDatasetImportJob": lambda e: {"datasetImportJobArn": e.import_job},
    "DescribeEventTracker": lambda e: {"eventTrackerArn": e.event_tracker},
    "DescribeFeatureTransformation": lambda e: {
        "featureTransformationArn": "arn:aws:personalize:::feature-transformation/sims"
    },
    "DescribeFilter": lambda e: {"filterArn": e.filter_arn},
    "DescribeMetricAttribution": lambda e: {"metricAttributionArn": e.attribution},
    "DescribeRecipe": lambda e: {"recipeArn": recipe("aws-sims")},
    "DescribeRecommender": lambda e: {"recommenderArn": e.recommender},
    "DescribeSchema": lambda e: {"schemaArn": f"{NOWHERE}schema/items"},
    "DescribeSolution": lambda e: {"solutionArn": e.solution_arn},
    "DescribeSolutionVersion": lambda e: {"solutionVersionArn": e.version_arn},
    "GetSolutionMetrics": lambda e: {"solutionVersionArn": e.version_arn},
    "ListBatchInferenceJobs": lambda e: {"solutionVersionArn": e.version_arn},
    "ListBatchSegmentJobs": lambda e: {"solutionVersionArn": e.segments},
    "ListCampaigns": lambda e: {"solutionArn": e.solution_arn},
    "ListDataDeletionJobs": lambda e: {"datasetGroupArn": e.group},
    "ListDatasetExportJobs": lambda e: {"datasetArn": e.dataset},
    "ListDatasetGroups": lambda e: {},
    "ListDatasetImportJobs": lambda e: {"datasetArn": e.dataset},
    "ListDatasets": lambda e: {"datasetGroupArn": e.group},
    "ListEventTrackers": lambda e: {"datasetGroupArn": e.group},
    "ListFilters": lambda e: {"datasetGroupArn": e.group},
    "ListMetricAttributionMetrics": lambda e: {"metricAttributionArn": e.attribution},
    "ListMetricAttributions": lambda e: {"datasetGroupArn": e.group},
    "ListRecipes": lambda e: {"domain": "ECOMMERCE"},
    "ListRecommenders": lambda e: {"datasetGroupArn": e.shop},
    "ListSchemas": lambda e: {},
    "ListSolutionVersions": lambda e: {"solutionArn": e.solution_arn},
    "ListSolutions": lambda e: {"datasetGroupArn": e.group},
    "ListTagsForResource": lambda e: {"resourceArn": e.group},
    "StartRecommender": lambda e: {"recommenderArn": e.stopped()},
    "StopRecommender": lambda e: {"recommenderArn": e.a_recommender()},
    "StopSolutionVersionCreation": lambda e: {"solutionVersionArn": e.a_training()},
    "TagResource": lambda e: {"resourceArn": e.group, "tags": [TAG]},
    "UntagResource": lambda e: {"resourceArn": e.group, "tagKeys": ["team"]},
    "UpdateCampaign": lambda e: {"campaignArn": e.a_campaign(), "minProvisionedTPS": 2},
    "UpdateDataset": lambda e: {"datasetArn": e.items, "schemaArn": e.a_schema(ITEMS_SCHEMA)},
    "UpdateMetricAttribution": lambda e: {
        "metricAttributionArn": e.attribution,
        "addMetrics": [{"eventType": "buy", "metricName": e.fresh(), "expression": "SAMPLECOUNT()"}],
    },
    "UpdateRecommender": lambda e: {
        "recommenderArn": e.a_recommender(),
        "recommenderConfig": {"minRecommendationRequestsPerSecond": 2},
    },
    "UpdateSolution": lambda e: {"solutionArn": e.solution_arn, "performAutoTraining": False},
    "GetActionRecommendations": lambda e: {"campaignArn": e.acting, "userId": "u1"},
    "GetPersonalizedRanking": lambda e: {"campaignArn": e.ranking, "userId": "u1", "inputList": ["i1", "i2"]},
    "GetRecommendations": lambda e: {"campaignArn": e.campaign, "userId": "u1"},
    "PutActionInteractions": lambda e: {"trackingId": e.action_tracker, "actionInteractions": [ACTED]},
    "PutActions": lambda e: {"datasetArn": e.actions, "actions": [{"actionId": "a9"}]},
    "PutEvents": lambda e: {
        "trackingId": e.tracker,
        "userId": "u1",
        "sessionId": "s",
        "eventList": [CLICK],
    },
    "PutItems": lambda e: {"datasetArn": e.items, "items": [ITEM]},
    "PutUsers": lambda e: {
        "datasetArn": e.users,
        "users": [{"userId": "new", "properties": json.dumps({"age": 30})}],
    },
}
