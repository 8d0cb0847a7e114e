"""Which Resources a state machine may name.

Source: Developer Guide, "Integrating other services with Step Functions".
"""

import re

from nextpick.wire import shapes

STATES_ARN = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]*:\d*:(?P<rest>.+)")
FUNCTION_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?"
)

# How state machines call the services that this port speaks, how boto3 does, and the prefix of their errors.
SERVICES = {
    "personalize": ("personalize", "Personalize"),
    "personalizeruntime": ("personalize-runtime", "PersonalizeRuntime"),
    "personalizeevents": ("personalize-events", "PersonalizeEvents"),
    "s3": ("s3", "S3"),
    "sts": ("sts", "Sts"),
    "iam": ("iam", "Iam"),
    "sfn": ("stepfunctions", "Sfn"),
    "lambda": ("lambda", "Lambda"),
    "kinesis": ("kinesis", "Kinesis"),
    "sns": ("sns", "Sns"),
}

_OPTIMIZED = ("lambda:invoke", "sns:publish", "glue:startJobRun", "glue:startJobRun.sync")
_GLUE = ("startJobRun", "getJobRun")


def problem(resource: str) -> str | None:
    """Say what is wrong with a Task's Resource, None when it can be run."""
    if FUNCTION_ARN.fullmatch(resource):
        return None
    match = STATES_ARN.fullmatch(resource)
    if match is None:
        return f"'{resource}' is no ARN of a function or of an integration"
    if match["rest"] in _OPTIMIZED:
        return None
    words = match["rest"].split(":")
    if words[0] != "aws-sdk" or len(words) != 3:
        return f"'{resource}' is not spoken; {', '.join(_OPTIMIZED)} and aws-sdk:SERVICE:ACTION are"
    service, action = words[1:]
    if service == "glue":
        return None if action in _GLUE else f"of glue only {' and '.join(_GLUE)} are spoken"
    if service not in SERVICES:
        return f"'{service}' is not spoken; {', '.join((*SERVICES, 'glue'))} are"
    name = action[:1].upper() + action[1:]
    if name not in shapes.service(SERVICES[service][0]).operations:
        return f"{service} has no operation {action}"
    return None
