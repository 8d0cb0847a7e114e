"""Batch inference and batch segment jobs: every line of the input answered by a solution version.

Source: developer guide, "Batch recommendations and user segments".
"""

from typing import Any

from nextpick.data.dataset import NOBODY
from nextpick.jobs import lines
from nextpick.jobs.objects import inputs, target
from nextpick.jobs.themes import find_themes
from nextpick.jobs.work import JobFailure, Outcome, Work, batches_dir, datasets_dir
from nextpick.models import artifact
from nextpick.resources import lifecycle
from nextpick.resources.index import Index
from nextpick.serving.batch import Allowed, Inference, Segment, Themed
from nextpick.serving.filtering import Asked, Filtering
from nextpick.serving.live import Tails
from nextpick.serving.recommend import Asker
from nextpick.serving.versions import CampaignView, Version, load
from nextpick.serving.views import Views
from nextpick.store.log import LogReader
from nextpick.store.put import put_file
from nextpick.store.readable import BlobError
from nextpick.store.records import Resource, Transaction

# Source: developer guide, "Batch recommendations with themes": at most 100 items a job.
THEME_GENERATION, _MOST_THEMES = "THEME_GENERATION", 100
# Source: developer guide, "Quotas": queries of a batch segment job.
_MOST_QUERIES = {"aws-item-affinity": 500, "aws-item-attribute-affinity": 10}


def perform(work: Work) -> Outcome:
    """Answer the lines and write the output objects. A process that follows a killed one goes on where it was.

    Raises JobFailure for what cannot be read or written; a line that cannot be answered says so in the output.
    """
    body = work.resource.body
    with work.records.read() as tx:
        version = tx.get(body["solutionVersionArn"])
    if version is None or version.status != lifecycle.ACTIVE:
        raise JobFailure(f"{body['solutionVersionArn']} was deleted during the job.")
    access = work.access()
    objects = inputs(
        access, body["jobInput"]["s3DataSource"]["path"], work.settings, "Invalid S3 input path. "
    )
    bucket, prefix = target(access, body["jobOutput"]["s3DataDestination"]["path"], "_CHECK")
    directory = batches_dir(work.settings.home) / work.job.id
    with lines.held(directory):
        answer = _answering(work, version)
        most = _most_lines(work, version)
        done = lines.answer_all(objects, directory, answer, work.run.share(0.0, 0.95), most)
        work.run.checkpoint(0.95, "writing the output")
        owner = f"job-{work.job.id}"
        (directory / "_CHECK").touch()
        try:
            for number, found in enumerate(objects):
                out = lines.out_file(directory, number)
                put_file(out, bucket, f"{prefix}{found.name}.out", work.settings, owner=owner)
            put_file(directory / "_CHECK", bucket, f"{prefix}_CHECK", work.settings, owner=owner)
        except BlobError as error:
            raise JobFailure(f"Invalid S3 output path. {error}") from None

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        lifecycle.move(tx, resource, lifecycle.ACTIVE, now)

    return Outcome(commit, {"files": len(objects), "lines": done.lines, "bad_lines": done.bad})


def _most_lines(work: Work, version: Resource) -> int:
    if work.resource.body.get("batchInferenceJobMode") == THEME_GENERATION:
        return _MOST_THEMES
    recipe = version.body["recipeArn"].rpartition("/")[2] if work.settings.count_quotas else ""
    return _MOST_QUERIES.get(recipe, lines.MOST_LINES)


def _answering(work: Work, resource: Resource) -> lines.Answer:
    body = work.resource.body
    work.run.checkpoint(0.0, "loading the version")
    try:
        version = load(work.versions / resource.internal["dir"])
    except (artifact.Damaged, OSError, ValueError) as error:
        raise JobFailure(f"{resource.arn} is damaged: {error}. Train a new version.") from None
    tails = Tails(LogReader(work.settings.home / "log"))
    tails.hold(version.name, version.positions)
    campaign = CampaignView(
        work.resource.arn,
        resource.body["datasetGroupArn"],
        version.name,
        version.info.name,
        body.get("batchInferenceJobConfig", {}),
        work.resource.created_at,
    )
    asker = Asker(tails, work.resource.created_at)
    allowed = _allowed(work, campaign, version, tails)
    if version.info.type == "USER_SEGMENTATION":
        present = ~version.data.users.ids.starting_with(ord(NOBODY))
        return Segment(version, body["numResults"], allowed, present).answer
    inference = Inference(asker, campaign, version, body["numResults"], allowed)
    if body["batchInferenceJobMode"] == THEME_GENERATION:
        themes = find_themes(work, version, campaign.group, body["themeGenerationConfig"])
        return Themed(inference, themes).answer
    return inference.answer


def _allowed(work: Work, campaign: CampaignView, version: Version, tails: Tails) -> Allowed:
    arn = work.resource.body.get("filterArn")
    if arn is None:
        return lambda values, user, item: None
    index = Index(work.records)
    filter = index.filter(arn, work.resource.account, work.resource.region)
    if filter is None:
        raise JobFailure(f"{arn} was deleted during the job.")
    group = index.group(campaign.group)
    views = Views(datasets_dir(work.settings.home), tails, index.views)
    filtering = Filtering(views, tails, lambda: {version.name})
    segments = version.info.type == "USER_SEGMENTATION"
    types = filter.filter.datasets | {"USERS" if segments else "ITEMS"}
    views.load(group, types)
    filtering.match(version, group, types)

    if segments:  # neither user nor item: lines with the same values share a mask
        kept: dict[tuple, Any] = {}

        def allowed_users(values: dict[str, str], user: str | None, item: str | None) -> Any:
            key = tuple(sorted(values.items()))
            if key not in kept:
                kept[key] = filtering.allowed_users(version, group, Asked(filter, values, user, item))
            return kept[key]

        return allowed_users

    def allowed(values: dict[str, str], user: str | None, item: str | None) -> Any:
        return filtering.allowed(version, group, Asked(filter, values, user, item))

    return allowed
