"""CreateSolutionVersion, StopSolutionVersionCreation and GetSolutionMetrics."""

from nextpick.api.context import Answer, Context, Request, operation, tags_of
from nextpick.resources import lifecycle, versions
from nextpick.resources.kinds import SOLUTION, SOLUTION_VERSION


@operation("CreateSolutionVersion")
def create_solution_version(ctx: Context, request: Request) -> Answer:
    tags = tags_of(request)
    with ctx.records.write() as tx:
        solution = lifecycle.get(tx, SOLUTION, request["solutionArn"], **ctx.owner)
        version = versions.create_version(
            tx,
            solution,
            ctx.now(),
            name=request.get("name"),
            training_mode=request.get("trainingMode", "FULL"),
            quotas=ctx.settings.count_quotas,
        )
        if tags:
            version.internal = {**version.internal, "tags": tags}
            tx.save(version)
    return {"solutionVersionArn": version.arn}


@operation("StopSolutionVersionCreation")
def stop_solution_version_creation(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        version = lifecycle.get(tx, SOLUTION_VERSION, request["solutionVersionArn"], **ctx.owner)
        versions.stop(tx, version, ctx.now())


@operation("GetSolutionMetrics")
def get_solution_metrics(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        version = lifecycle.get(tx, SOLUTION_VERSION, request["solutionVersionArn"], **ctx.owner)
    lifecycle.require_active(version, "GetSolutionMetrics")
    return {"solutionVersionArn": version.arn, "metrics": version.internal["metrics"]}
