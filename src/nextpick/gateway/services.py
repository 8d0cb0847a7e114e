"""Which operation of which service the URI of an integration names.

Source: API Gateway API reference, "PutIntegration", ``uri``: ``…:SERVICE:action/OPERATION`` or ``…:SERVICE:path/PATH``.
"""

import re

_URI = re.compile(r"arn:[a-z-]+:apigateway:[^:]*:([a-z0-9.-]+):(action|path)/(.*)")

# The services that can be called, by their names in URIs, with the operations of those that have a path each.
_PATHS: dict[str, dict[str, str]] = {
    "personalize-runtime": {
        "recommendations": "GetRecommendations",
        "personalize-ranking": "GetPersonalizedRanking",
        "action-recommendations": "GetActionRecommendations",
    },
    "personalize-events": {
        "events": "PutEvents",
        "users": "PutUsers",
        "items": "PutItems",
        "actions": "PutActions",
        "action-interactions": "PutActionInteractions",
    },
    "personalize": {},
    "kinesis": {},
}


def action_of(uri: str) -> tuple[str, str]:
    """Return the service and the operation. Raises ValueError for what nextpick does not speak."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"the integration's uri {uri!r} is of no service")
    service, form, rest = match.groups()
    service = service.rpartition(".")[2]  # a subdomain may stand before it
    if service not in _PATHS:
        raise ValueError(f"the integration calls {service}; those that can be called are {', '.join(_PATHS)}")
    if form == "action":
        return service, rest.partition("&")[0]
    operation = _PATHS[service].get(rest.strip("/"))
    if operation is None:
        raise ValueError(f"{service} has no path {rest!r}")
    return service, operation
