"""The older dialect: names at the top, campaigns beside solutions.

Source: amazon-personalize-samples, "ml_ops", ``params.json``.
"""

from typing import Any


def is_older(config: Any) -> bool:
    """Tell whether a configuration is written in it."""
    if not isinstance(config, dict):
        return False
    group = config.get("datasetGroup")
    return isinstance(group, dict) and "name" in group and "serviceConfig" not in group


def translate(config: dict[str, Any]) -> dict[str, Any]:
    """Return the same in today's dialect. A campaign belongs to the solution whose key its own begins with."""
    solutions = config.get("solutions", {})
    held = {key: {"serviceConfig": given, "campaigns": []} for key, given in solutions.items()}
    translated: dict[str, Any] = {"datasetGroup": {"serviceConfig": config["datasetGroup"]}}
    if "datasets" in config:
        translated["datasets"] = {
            kind.lower(): {
                "dataset": {"serviceConfig": {k: v for k, v in given.items() if k != "schema"}},
                "schema": {
                    "serviceConfig": {"name": f"{given.get('name')}Schema", "schema": given.get("schema")}
                },
            }
            for kind, given in config["datasets"].items()
        }
    for key, given in config.get("campaigns", {}).items():
        owner = next((name for name in sorted(held, key=len, reverse=True) if key.startswith(name)), None)
        if owner is None:
            translated[f"campaigns.{key}"] = given  # which no key allows: it is told with everything else
        else:
            held[owner]["campaigns"].append({"serviceConfig": given})
    translated["solutions"] = list(held.values())
    if "eventTracker" in config:
        translated["eventTracker"] = {"serviceConfig": config["eventTracker"]}
    translated["filters"] = [{"serviceConfig": given} for given in config.get("filters", [])]
    known = ("datasetGroup", "datasets", "solutions", "campaigns", "eventTracker", "filters")
    return {**translated, **{key: value for key, value in config.items() if key not in known}}
