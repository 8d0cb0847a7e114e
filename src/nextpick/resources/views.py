"""Views of datasets: which directory, made of which parts.

``internal["view"]`` of a dataset: ``dir``, beside its parts; ``parts``, what it was made of; ``positions``, what of
the event log it has folded in.
"""

from typing import Any

from nextpick.store.records import Resource


def is_lacking(dataset: Resource) -> bool:
    """Tell whether a dataset has data that no view of it shows."""
    view = dataset.internal.get("view")
    return bool(dataset.internal["parts"]) and (view is None or view["parts"] != dataset.internal["parts"])


def with_view(dataset: Resource, view: dict[str, Any] | None) -> bool:
    """Give a dataset a view, unless its data is no longer what the view was made of; tell whether it was."""
    if view is None or view["parts"] != dataset.internal["parts"]:
        return False
    dataset.internal = {**dataset.internal, "view": view}
    return True
