"""The page of an evaluation."""

from html import escape
from typing import Any

from nextpick.report.page import facts, heading, page, pair, paragraph, table, verdict
from nextpick.report.svg import Interval, intervals

_KINDS = ("own", "other", "third")
_SHORT = {"popularity of the last 7 days": "7-day popularity", "decayed transitions": "transitions"}
_BEYOND = (
    ("coverage", "coverage", "{:.1%}"),
    ("novelty", "novelty, bits", "{:.2f}"),
    ("popularity_bias", "popularity bias", "{:.2f}×"),
    ("head_share", "places given to head items", "{:.1%}"),
)


def render(report: dict[str, Any]) -> str:
    """Return the page of what ``recipes/backtest.py`` has measured, or of why it could not be."""
    title, arn = f"Evaluation: {report['recipe']}", report.get("resourceArn", "")
    if report["status"] != "MEASURED":
        parts = [
            verdict("NOTICE", f"Not measurable: {report['reason']}"),
            paragraph("No figures are shown rather than figures that mean nothing."),
        ]
        return page(title, arn, parts, "Made by nextpick.")
    split, protocol = report["split"], report["protocol"]
    k = protocol["k"]
    headline = f"NDCG@{k}"
    parts = [_verdict(report)]
    parts += [verdict("NOTICE", text) for text in report["warnings"][not report["beats_recent_popularity"] :]]
    parts += [
        facts(
            [
                ("moment of the split", split["at_utc"][:10]),
                ("users tested", f"{split['users_tested']:,}"),
                ("interactions before", f"{split['interactions_before']:,}"),
                ("users before", f"{split['users_before']:,}"),
                ("items ranked", f"{split['items']:,}"),
                ("of them met before", f"{split['items_before']:,}"),
            ]
        ),
        pair(
            intervals(
                f"{headline}, all users", [("", _rows(report, lambda c: c["metrics"][report["headline"]]))]
            ),
            intervals(
                f"{report['recipe']} less a baseline, {headline}",
                [("", [_interval(_name(n), d, "own") for n, d in report["differences"].items()])],
                "{:+.3f}",
            ),
        ),
        pair(_user_chart(report, headline), _item_chart(report, k)),
        heading("Figures"),
        _figures(report),
        heading("Beyond accuracy"),
        _beyond(report),
        paragraph(
            f"Fitted on everything before {split['at_utc']}, asked for each user's next {protocol['next']} "
            "interactions from then on; the whole catalogue is ranked, equal scores by row. Intervals: "
            f"{protocol['confidence']:.0%}, from {protocol['resamples']:,} resamples of the users. Coverage: share of "
            f"the catalogue in anyone's top {k}. Novelty: mean surprise of a place. Popularity bias: how much more "
            "often taken the recommended items are than those that users take."
        ),
    ]
    return page(title, arn, parts, f"Made by nextpick in {report.get('seconds', 0):.1f} s.")


def _verdict(report: dict[str, Any]) -> str:
    if not report["beats_recent_popularity"]:
        return verdict("WARNING", report["warnings"][0])
    name, difference = next(iter(report["differences"].items()))
    return verdict(
        "OK",
        f"{report['recipe']} beats the {name}: NDCG@{report['protocol']['k']} is higher by {difference['value']:.3f} "
        f"({difference['low']:.3f} to {difference['high']:.3f}).",
    )


def _name(name: str) -> str:
    return _SHORT.get(name, name.removeprefix("aws-"))


def _interval(label: str, told: dict[str, Any], kind: str) -> Interval:
    return Interval(label, told["value"], told["low"], told["high"], kind)


def _rows(report: dict[str, Any], pick: Any) -> list[Interval]:
    return [
        _interval(_name(contender["name"]), pick(contender), kind)
        for contender, kind in zip(report["contenders"], _KINDS, strict=True)
    ]


def _user_chart(report: dict[str, Any], headline: str) -> str:
    groups = [
        (
            f"{s['name']} users: {s['meaning']} ({s['users']:,})",
            _rows(report, lambda c, s=s: s["contenders"][c["name"]][report["headline"]]),
        )
        for s in report["slices"]["users"]
    ]
    return intervals(f"{headline} by what was known of a user", groups)


def _item_chart(report: dict[str, Any], k: int) -> str:
    groups = [
        (
            f"{s['name']} items ({s['items']:,}), taken {s['taken']:,} times",
            _rows(report, lambda c, s=s: s["contenders"][c["name"]][f"recall_at_{k}"]),
        )
        for s in report["slices"]["items"]
    ]
    return intervals(f"Recall@{k} by popularity of an item", groups)


def _figures(report: dict[str, Any]) -> str:
    names = list(report["contenders"][0]["metrics"])
    shown = [
        n.replace("normalized_discounted_cumulative_gain", "NDCG").replace("mean_reciprocal_rank", "MRR")
        for n in names
    ]
    rows = []
    for contender in report["contenders"]:
        rows.append([escape(contender["name"]), *map(_with_interval, contender["metrics"].values())])
    return table(["", *(name.replace("_at_", "@").replace("_", " ") for name in shown)], rows)


def _with_interval(told: dict[str, Any]) -> str:
    around = (
        f" <span class=soft>{told['low']:.3f}–{told['high']:.3f}</span>" if told["low"] is not None else ""
    )
    return f"{told['value']:.4f}{around}"


def _beyond(report: dict[str, Any]) -> str:
    rows = [
        [escape(c["name"]), *(form.format(c[name]) for name, _, form in _BEYOND)]
        for c in report["contenders"]
    ]
    return table(["", *(label for _, label, _ in _BEYOND)], rows)
