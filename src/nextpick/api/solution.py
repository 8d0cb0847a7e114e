"""CreateSolution and UpdateSolution."""

from typing import Any

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.api.solution_config import (
    check_auto_ml,
    check_columns,
    check_config,
    check_events,
    check_schedule,
    check_texts,
    find_recipe,
)
from nextpick.errors import InvalidInput
from nextpick.resources import lifecycle, rules
from nextpick.resources.kinds import DATASET_GROUP, SOLUTION


@operation("CreateSolution")
def create_solution(ctx: Context, request: Request) -> Answer:
    automl, recipe_arn = request.get("performAutoML", False), request.get("recipeArn")
    if automl and recipe_arn:
        raise InvalidInput("recipeArn and performAutoML true exclude each other: AutoML chooses the recipe.")
    if not automl and not recipe_arn:
        raise InvalidInput("recipeArn is required unless performAutoML is true.")
    config = request.get("solutionConfig", {})
    if recipe_arn:
        info = find_recipe(recipe_arn)
        check_config(config, info, request.get("eventType"))
        if request.get("performHPO") and not info.tunes:
            raise InvalidInput(f"{info.name} has no hyperparameters to optimize; leave performHPO out.")
    else:
        check_auto_ml(config)
    _check_incremental(request, recipe_arn)
    check_schedule(config)
    defaults: dict[str, Any] = {
        "performHPO": request.get("performHPO", False),
        "performAutoML": automl,
        "performAutoTraining": request.get("performAutoTraining", True),
    }
    if _reads_texts(recipe_arn):
        defaults["performIncrementalUpdate"] = request.get("performIncrementalUpdate", True)
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a solution")
        check_columns(tx, group, config)
        if _reads_texts(recipe_arn):
            check_texts(tx, group)
        if ctx.settings.count_quotas:
            rules.check_quota(tx, SOLUTION, **ctx.owner, parent=group.arn, name=request["name"])
        solution = lifecycle.create(
            tx,
            SOLUTION,
            **ctx.owner,
            name=request["name"],
            parent=group.arn,
            body=body_of(request, **defaults),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
        )
    return {"solutionArn": solution.arn}


@operation("UpdateSolution")
def update_solution(ctx: Context, request: Request) -> Answer:
    """The switches and the schedule; nothing has to be deployed, so the update is ACTIVE at once."""
    changes = {name: value for name, value in request.items() if name != "solutionArn"}
    if not changes:
        raise InvalidInput("Give at least one value to update.")
    config = changes.get("solutionUpdateConfig", {})
    check_schedule(config)
    with ctx.records.write() as tx:
        solution = lifecycle.get(tx, SOLUTION, request["solutionArn"], **ctx.owner)
        lifecycle.require_active(solution, "an update")
        recipe = solution.body.get("recipeArn")
        _check_incremental(changes, recipe)
        check_events(config, find_recipe(recipe) if recipe else None, solution.body.get("eventType"))
        now = ctx.now()
        update = changes | {"status": lifecycle.ACTIVE, "creationDateTime": now, "lastUpdatedDateTime": now}
        body = {**solution.body, "latestSolutionUpdate": update}
        if config:
            body["solutionConfig"] = {**body.get("solutionConfig", {}), **config}
        for switch in ("performAutoTraining", "performIncrementalUpdate"):
            if switch in changes:
                body[switch] = changes[switch]
        if changes.get("performAutoTraining") and not solution.body["performAutoTraining"]:
            solution.internal = {**solution.internal, "auto_training_since": now}
        solution.body, solution.updated_at = body, now
        tx.save(solution)
    return {"solutionArn": solution.arn}


def _check_incremental(request: Request, recipe_arn: str | None) -> None:
    if request.get("performIncrementalUpdate") and not _reads_texts(recipe_arn):
        raise InvalidInput("performIncrementalUpdate is for the recipe aws-semantic-similarity only.")


def _reads_texts(recipe_arn: str | None) -> bool:
    return recipe_arn is not None and find_recipe(recipe_arn).reads_texts
