"""``nextpick gateway``: APIs from OpenAPI documents, their stages, keys and usage plans."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.gateway.store import GatewayStore

app = typer.Typer(no_args_is_help=True, help="REST APIs in front of the engine, from OpenAPI documents.")
key_app = typer.Typer(no_args_is_help=True, help="API keys.")
plan_app = typer.Typer(no_args_is_help=True, help="Usage plans: how often keys may call.")
app.add_typer(key_app, name="key")
app.add_typer(plan_app, name="plan")

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
ApiName = Annotated[str, typer.Argument(help="Id or name of the API.")]
StageName = Annotated[str, typer.Option(help="Stage.")]


@app.command()
def deploy(
    document: Annotated[Path, typer.Argument(help="OpenAPI 3 document, JSON or YAML.")],
    stage: StageName = "dev",
    name: Annotated[str, typer.Option(help="Name of the API [default: its title].")] = "",
    variable: Annotated[list[str] | None, typer.Option(help="Stage variable, NAME=VALUE.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Stage setting, NAME=VALUE; see docs/gateway.md.")
    ] = None,
    home: Home = None,
) -> None:
    """Deploy a document to a stage and print its invoke URL. Other stages stay as they are."""
    from nextpick.gateway import triggers
    from nextpick.gateway.load import checked, load

    settings = _settings(home)
    variables, values = _pairs(variable or []), {k: _value(v) for k, v in _pairs(setting or []).items()}
    try:
        held = load(document, settings)
        title = name or str(held.get("info", {}).get("title", "")) or document.stem
        checked(held, title, stage, variables, values, settings)
    except (ValueError, OSError) as error:
        _fail(str(error))
    store = _open(settings.home)
    api = store.deploy(
        title,
        stage,
        held,
        account=settings.account,
        region=settings.region,
        variables=variables,
        settings=values,
        now=time.time(),
    )
    triggers.permit(settings.home, store.stages(api, stage)[0], held)
    print(f"{title} ({api}) is deployed to stage {stage}")
    print(stage_url(settings, api, stage))


@app.command(name="list")
def list_(home: Home = None) -> None:
    """List APIs and stages with their invoke URLs."""
    settings = _settings(home)
    for row in _open(settings.home).stages():
        url = stage_url(settings, row.api, row.name)
        print(f"{row.api_name}\t{row.api}\t{row.name}\tdeployment {row.deployment}\t{url}")


@app.command()
def show(api: ApiName, stage: StageName = "dev", home: Home = None) -> None:
    """Show a stage: its deployments, variables, settings, routes, access log."""
    from nextpick.gateway.app import logs_of
    from nextpick.gateway.document import read

    settings = _settings(home)
    store = _open(settings.home)
    found = _found(store, api, stage)
    print(stage_url(settings, found.api, stage))
    for deployment, created in store.deployments(found.api):
        mark = "*" if deployment == found.deployment else " "
        print(
            f"{mark} deployment {deployment} of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(created))}"
        )
    for told, values in (("variable", found.variables), ("setting", found.settings)):
        for key, value in values.items():
            print(f"  {told} {key}={value}")
    for method in read(store.document(found.deployment), found.settings.get("functionType")).methods:
        print(f"  {method.verb} {method.resource}\t{method.integration.get('type')}")
    print(f"  log {logs_of(settings.home, found.api, stage)}")


@app.command()
def rollback(
    api: ApiName,
    deployment: Annotated[str, typer.Argument(help="Deployment that the stage is to show.")],
    stage: StageName = "dev",
    home: Home = None,
) -> None:
    """Point a stage at an earlier deployment."""
    _try(lambda: _open(_settings(home).home).point(api, stage, deployment, time.time()))


@app.command()
def flush(api: ApiName, stage: StageName = "dev", home: Home = None) -> None:
    """Forget the answers that a stage's cache holds, in every worker."""
    _try(lambda: _open(_settings(home).home).flush(api, stage, time.time()))


@app.command()
def metrics(
    api: ApiName,
    stage: StageName = "dev",
    minutes: Annotated[float, typer.Option(min=0, help="How far back.")] = 60,
    home: Home = None,
) -> None:
    """Print what a stage's access log adds up to, by API Gateway's names."""
    from nextpick.gateway.app import logs_of
    from nextpick.gateway.metrics import measure

    where = _settings(home).home
    found = _found(_open(where), api, stage)
    told = measure(logs_of(where, found.api, stage), time.time() - minutes * 60)
    print(f"Count\t{told.requests}")
    print(f"4XXError\t{told.client_errors}")
    print(f"5XXError\t{told.server_errors}")
    print(f"Latency\t{told.median_ms:.0f} ms, {told.slow_ms:.0f} ms of the slowest in a hundred")
    if asked := told.cache_hits + told.cache_misses:
        print(f"CacheHitCount\t{told.cache_hits}\t{told.cache_hits / asked:.0%}")
        print(f"CacheMissCount\t{told.cache_misses}")
    if told.unread:
        print(f"{told.unread} lines are in another format than the default one and were left out")


@app.command()
def delete(
    api: ApiName,
    stage: Annotated[str | None, typer.Option(help="Delete this stage only.")] = None,
    home: Home = None,
) -> None:
    """Delete an API with all its stages, or one stage."""
    from nextpick.gateway import triggers

    where = _settings(home).home
    store = _open(where)
    found = _try(lambda: store.api(api))
    _try(lambda: store.delete(found, stage))
    if stage is None:
        triggers.forbid(where, found)


@app.command(name="test")
def call(
    api: ApiName,
    path: Annotated[str, typer.Argument(help="Path behind the stage, with its query string.")] = "/",
    stage: StageName = "dev",
    method: Annotated[str, typer.Option(help="HTTP method.")] = "GET",
    body: Annotated[str, typer.Option(help="Body, or @FILE.")] = "",
    header: Annotated[list[str] | None, typer.Option(help="Header, NAME: VALUE.")] = None,
    home: Home = None,
) -> None:
    """Call a stage of the running server and print what it answers."""
    import urllib3

    settings = _settings(home)
    found = _found(_open(settings.home), api, stage)
    base = stage_url(settings, found.api, stage)
    if not base.startswith("http"):
        _fail(f"no server runs on {settings.home}; start one with: nextpick serve")
    given = [line.partition(":") for line in header or []]
    headers = urllib3.HTTPHeaderDict([(key.strip(), value.strip()) for key, _, value in given])
    content = Path(body[1:]).read_bytes() if body.startswith("@") else body.encode()
    if content and "content-type" not in headers:
        headers["content-type"] = "application/json"
    answer = urllib3.request(method, base + (path if path.startswith("/") else f"/{path}"), body=content or None,
                             headers=headers, redirect=False, retries=False)  # fmt: skip
    print(f"HTTP {answer.status}")
    for key, value in answer.headers.items():
        print(f"{key}: {value}")
    print()
    print(answer.data.decode("utf-8", "replace"))
    raise typer.Exit(answer.status >= 400)


@key_app.command(name="create")
def create_key(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    plan: Annotated[list[str] | None, typer.Option(help="Usage plan of the key.")] = None,
    value: Annotated[str | None, typer.Option(help="The key itself [default: a new one].")] = None,
    home: Home = None,
) -> None:
    """Make an API key and print it."""
    print(_try(lambda: _open(_settings(home).home).add_key(name, value, plan or [], time.time())))


@key_app.command(name="list")
def list_keys(home: Home = None) -> None:
    """List API keys."""
    for name, value in _open(_settings(home).home).api_keys():
        print(f"{name}\t{value}")


@key_app.command(name="delete")
def delete_key(name: str, home: Home = None) -> None:
    """Delete an API key: it is refused from the next request on."""
    _try(lambda: _open(_settings(home).home).remove("key", name))


@plan_app.command(name="create")
def create_plan(
    name: Annotated[str, typer.Argument(help="Name of the plan; one there is is changed.")],
    stage: Annotated[list[str], typer.Option(help="API/STAGE that the plan's keys may call.")],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Requests a second.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests at once [default: rate].")] = None,
    quota: Annotated[str | None, typer.Option(help="NUMBER/day, NUMBER/week or NUMBER/month.")] = None,
    home: Home = None,
) -> None:
    """Make or change a usage plan."""
    from nextpick.gateway.store import Plan

    number, _, period = (quota or "").partition("/")
    if quota and (not number.isdigit() or period.upper() not in ("DAY", "WEEK", "MONTH")):
        _fail(f"--quota is {quota}; it must be like 1000/day, 5000/week or 20000/month")
    plan = Plan(name, rate, burst, int(number) if quota else None, period.upper() if quota else None)
    stages = [(api, held) for api, _, held in (given.rpartition("/") for given in stage)]
    _try(lambda: _open(_settings(home).home).add_plan(plan, stages))


@plan_app.command(name="list")
def list_plans(home: Home = None) -> None:
    """List usage plans, their stages and keys, and how much of them was used."""
    store = _open(_settings(home).home)
    for plan, stages, keys in store.plans():
        limits = [
            f"{plan.rate:g}/s" if plan.rate else "",
            f"{plan.quota}/{plan.period}" if plan.quota else "",
        ]
        print(
            f"{plan.name}\t{' '.join(filter(None, limits)) or 'no limits'}\t{', '.join(stages)}\t{', '.join(keys)}"
        )
    for name, key, period, count in store.usage():
        print(f"  {name}\t{key}\t{period}\t{count}")


@plan_app.command(name="delete")
def delete_plan(name: str, home: Home = None) -> None:
    """Delete a usage plan."""
    _try(lambda: _open(_settings(home).home).remove("plan", name))


def _open(home: Path) -> "GatewayStore":
    from nextpick.gateway.store import GatewayStore

    return GatewayStore(home)


def _found(store: "GatewayStore", api: str, stage: str) -> Any:
    rows = _try(lambda: store.stages(store.api(api), stage))
    if not rows:
        _fail(f"API {api} has no stage {stage}.")
    return rows[0]


def stage_url(settings: Settings, api: str, stage: str) -> str:
    """Return where a stage is called; of a home that is not served its path."""
    from nextpick.gateway.app import invoke_url

    try:
        served = json.loads((settings.home / "server.json").read_text())
    except OSError:
        return f"(when served) {invoke_url('', api, stage)}"
    return invoke_url(served.get("gateway") or served["url"], api, stage)


def _pairs(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            _fail(f"{text!r} must be NAME=VALUE")
        found[name] = value
    return found


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _settings(home: Path | None) -> Settings:
    try:
        return Settings.load(home=home)
    except ValueError as error:
        _fail(str(error))


def _try(action: Any) -> Any:
    try:
        return action()
    except (LookupError, ValueError) as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)
