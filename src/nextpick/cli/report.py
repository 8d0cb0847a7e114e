"""``nextpick report``: an evaluation or a health report as a file."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nextpick.cli.connect import end, own_service, said
from nextpick.names import parse_arn
from nextpick.report import evaluation, health
from nextpick.resources.kinds import DATASET
from nextpick.settings import Settings

_POLL_S = 0.3
_NOT_ENDED = ("QUEUED", "RUNNING", "STOPPING")


def write(settings: Settings, arn: str, output: Path, *, new: bool, as_json: bool) -> None:
    """Write the report of a resource, which is made first where there is none, and say what matters in it."""
    client, parts = own_service(settings, arn), parse_arn(arn)
    is_data = parts is not None and parts.kind == DATASET.arn_kind
    try:
        found = _report(client, arn, is_data, new)
    except (ClientError, BotoCoreError) as error:
        end(said(error))
    render = health.render if is_data else evaluation.render
    text = json.dumps(found, indent=1) + "\n" if as_json else render(found)
    if str(output) == "-":
        sys.stdout.write(text)
        return
    if as_json and output == Path("report.html"):
        output = Path("report.json")
    try:
        output.write_text(text)
    except OSError as error:
        end(f"{output} cannot be written: {error.strerror}")
    for line in _summary(found):
        print(line)
    print(f"Written to {output}")


def _report(client: Any, arn: str, is_data: bool, new: bool) -> dict[str, Any]:
    """Return the newest report; ask for one, and wait for its end, where there is none or a new one is wanted."""
    named = {"datasetArn" if is_data else "resourceArn": arn}
    get = client.get_data_health if is_data else client.get_evaluation
    start = client.start_data_health if is_data else client.start_evaluation
    answer = get(**named)
    waits = answer.get("job", {}).get("state") in _NOT_ENDED
    if new or ("report" not in answer and not waits):
        wanted = start(**named)["job"]["jobId"]
    elif "report" in answer:
        return json.loads(answer["report"])
    else:
        wanted = answer["job"]["jobId"]
    said = ""
    while True:
        job = client.describe_job(jobId=wanted)["job"]
        if job["state"] not in _NOT_ENDED:
            break
        stage = job.get("stage", "") if job["state"] == "RUNNING" else "waiting for its turn"
        if stage != said:
            said = stage
            print(f"{stage} …", file=sys.stderr)
        time.sleep(_POLL_S)
    if job["state"] != "DONE":
        end(f"there is no report of {arn}: {job.get('message', 'its job was stopped.')}")
    return json.loads(get(**named)["report"])


def _summary(report: dict[str, Any]) -> list[str]:
    if report["kind"] == "health":
        lines = [f"{f['level']}: {f['name']}: {f['text']}" for f in report["findings"] if f["level"] != "OK"]
        return lines or ["All checks are fine."]
    if report["status"] != "MEASURED":
        return [f"Not measurable: {report['reason']}"]
    lines = [f"WARNING: {text}" for text in report["warnings"]]
    for contender in report["contenders"]:
        told = contender["metrics"][report["headline"]]
        around = f"  ({told['low']:.4f} to {told['high']:.4f})" if told["low"] is not None else ""
        lines.append(f"NDCG@{report['protocol']['k']} {told['value']:.4f}{around}  {contender['name']}")
    return lines
