"""Apply: reality is made as declared, once; what cannot be is told before anything changes; destroy takes it away."""

import copy
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_configuration import whole
from workshop import Workshop, by_hand

from nextpick.workflow import schedules
from nextpick.workflow.apply.destroy import removals
from nextpick.workflow.apply.execute import execute
from nextpick.workflow.apply.plan import plan, steps
from nextpick.workflow.apply.world import Failed, World
from nextpick.workflow.config import model
from nextpick.workflow.config.place import place_of
from worlds import checkerboard


class Estate:
    """A configuration file with its data, and an engine it is applied to."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.config = whole()
        del self.config["filters"]
        (folder / "train" / "films").mkdir(parents=True)
        batch = folder / "batch" / "films" / "popular"
        batch.mkdir(parents=True)
        (batch / "job_config.json").write_text('{"userId": "u1"}\n{"userId": "u2"}')
        self.data = folder / "train" / "films" / "interactions.csv"
        self.data.write_text(checkerboard())
        self.personalize = shop.api.personalize

    @property
    def world(self) -> World:
        file = str(self.folder / "train" / "films" / "config.json")
        context = self.shop.context
        place = place_of(file, context.settings.home, "workflow", "films")
        return World(context.client, self.shop.clock, place, None, threading.Event())

    def plan(self) -> list[Any]:
        raw = model.parse(json.dumps(self.config))
        source = {"config": raw, "bucket": "workflow", "prefix": "train/films/", "role": None}
        return plan(steps(self.world, model.read(raw), self.shop.workflow.database, source))

    def verbs(self) -> dict[str, str]:
        """Return what is to be done, by key."""
        return {one.step.key: one.decision.verb for one in self.plan() if one.decision.changes}

    def apply(self) -> None:
        execute(self.plan(), lambda step, state, more: None)

    def counts(self) -> dict[str, int]:
        dataset = self.personalize.list_datasets()["datasets"][0]["datasetArn"]
        solution = self.personalize.list_solutions()["solutions"][0]["solutionArn"]
        return {
            "imports": len(
                self.personalize.list_dataset_import_jobs(datasetArn=dataset)["datasetImportJobs"]
            ),
            "versions": len(
                self.personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]
            ),
            "batches": len(self.personalize.list_batch_inference_jobs()["batchInferenceJobs"]),
        }


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    by_hand(monkeypatch)
    shop = Workshop(tmp_path / "home")
    yield Estate(shop, tmp_path)
    shop.close()


def test_a_life_of_a_configuration(estate: Estate) -> None:
    assert list(estate.verbs()) == [
        "group",
        "copy",
        "schema/interactions",
        "dataset/interactions",
        "import/interactions",
        "tracker",
        "solution/popular",
        "version/popular",
        "campaign/films",
        "batch/popular/0",
        "schedules",
    ]
    estate.apply()
    assert estate.verbs() == {}
    assert estate.counts() == {"imports": 1, "versions": 1, "batches": 1}
    campaign = estate.personalize.list_campaigns()["campaigns"][0]["campaignArn"]
    assert estate.shop.api.runtime.get_recommendations(campaignArn=campaign, userId="u1")["itemList"]
    tags = estate.personalize.list_tags_for_resource(resourceArn=campaign)["tags"]
    assert tags == [{"tagKey": "project", "tagValue": "films"}]
    (job,) = estate.personalize.list_batch_inference_jobs()["batchInferenceJobs"]
    folder = f"batch/films/popular/{job['jobName']}/"
    listed = estate.shop.s3.list_objects_v2(Bucket="workflow", Prefix=folder)["Contents"]
    assert [one["Key"].removeprefix(folder) for one in listed] == ["_CHECK", "job_config.json.out"]

    # Old alone is nothing to do; old and newer data is an import, a training, and a campaign that follows.
    estate.shop.clock.advance(3 * 86_400)
    assert estate.verbs() == {}
    estate.data.write_text(checkerboard(users=80))
    assert estate.verbs() == {"copy": "copy"}  # what it will be newer than is found out when it is there
    estate.apply()
    assert estate.verbs() == {
        "import/interactions": "import",
        "version/popular": "train",
        "campaign/films": "update",
    }
    estate.apply()
    assert estate.counts() == {"imports": 2, "versions": 2, "batches": 1}
    served = estate.personalize.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"]
    solution = served.rpartition("/")[0]
    newest = estate.personalize.list_solution_versions(solutionArn=solution)["solutionVersions"][-1]
    assert served == newest["solutionVersionArn"]

    # What can be changed is changed, what cannot is told before anything is.
    campaigns = estate.config["solutions"][0]["campaigns"]
    described = {"enableMetadataWithRecommendations": True}
    campaigns[0]["serviceConfig"] |= {"minProvisionedTPS": 2, "campaignConfig": described}
    assert estate.verbs() == {"campaign/films": "update", "schedules": "schedule"}
    estate.apply()
    assert estate.verbs() == {}
    good = copy.deepcopy(estate.config)
    estate.config["solutions"][0]["serviceConfig"]["recipeArn"] = "arn:aws:personalize:::recipe/aws-sims"
    fields = estate.config["datasets"]["interactions"]["schema"]["serviceConfig"]["schema"]["fields"]
    fields.append({"name": "EVENT_TYPE", "type": "string"})
    with pytest.raises(Failed) as caught:
        estate.plan()
    recipe = "arn:aws:personalize:::recipe/aws-sims"
    assert f"solution popular: expected recipeArn to be '{recipe}' but got" in str(caught.value)
    assert "schema films-schema: expected schema to be" in str(caught.value)
    estate.config = good

    # Schedules do their part, and go when they are no longer declared.
    with estate.shop.workflow.database.read() as db:
        names = [one.name for one in schedules.all_of(db)]
    assert names == ["films-import", "films-popular-batch-1", "films-popular-full"]
    with estate.shop.workflow.database.write() as db:
        db.execute("UPDATE schedule SET next_at = ? WHERE name != 'films-import'", (estate.shop.clock.now(),))
    estate.shop.tick()
    estate.shop.tick()
    assert estate.counts() == {"imports": 2, "versions": 3, "batches": 2}
    del estate.config["solutions"][0]["workflowConfig"]
    assert "schedules" in estate.verbs()
    estate.apply()
    with estate.shop.workflow.database.read() as db:
        assert "films-popular-full" not in [one.name for one in schedules.all_of(db)]

    for one in removals(estate.world, model.read(estate.config), estate.shop.workflow.database):
        one.remove()
    assert estate.personalize.list_dataset_groups()["datasetGroups"] == []
    assert estate.personalize.list_schemas()["schemas"] == []
    with estate.shop.workflow.database.read() as db:
        assert schedules.all_of(db) == []
    assert removals(estate.world, model.read(estate.config), estate.shop.workflow.database) == []


class Gone(Exception):
    """As if the process had been killed."""


def test_what_was_begun_is_waited_for_and_not_begun_again(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = World.wait
    for kinds in ({"import"}, {"version"}, {"campaign", "inference"}):
        met: set[str] = set()

        def wait(self: World, kind: str, arn: str, kinds: set[str] = kinds, met: set[str] = met) -> Any:
            if kind in kinds:
                met.add(kind)
                raise Gone
            return really(self, kind, arn)

        monkeypatch.setattr(World, "wait", wait)
        with pytest.raises(Gone):
            estate.apply()
        assert met == kinds
    monkeypatch.setattr(World, "wait", really)
    estate.apply()
    assert estate.counts() == {"imports": 1, "versions": 1, "batches": 1}
    assert len(estate.personalize.list_campaigns()["campaigns"]) == 1
    assert estate.verbs() == {}


def test_what_fails_is_told_and_what_does_not_need_it_is_done(estate: Estate) -> None:
    estate.data.write_text("USER_ID,WRONG,TIMESTAMP\nu,i,1\n")
    with pytest.raises(Failed) as caught:
        estate.apply()
    assert "import of interactions" in str(caught.value)
    assert [one["name"] for one in estate.personalize.list_event_trackers()["eventTrackers"]] == [
        "films-tracker"
    ]
    assert estate.personalize.list_solutions()["solutions"] == []
    assert estate.verbs()["import/interactions"] == "import"  # under another name, once the data is right
    estate.data.unlink()
    estate.shop.s3.delete_object(Bucket="workflow", Key="train/films/interactions.csv")
    with pytest.raises(Failed, match="could not find data at s3://workflow/train/films/interactions"):
        estate.plan()
