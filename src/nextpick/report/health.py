"""The page of a dataset's health."""

import time
from html import escape
from typing import Any

from nextpick.report.page import facts, heading, page, pair, paragraph, table, verdict
from nextpick.report.svg import columns

_ORDER = ("WARNING", "NOTICE", "OK")


def render(report: dict[str, Any]) -> str:
    """Return the page of what the health job has found."""
    arn = report.get("resourceArn", "")
    counts = {level: sum(f["level"] == level for f in report["findings"]) for level in _ORDER}
    worst = next(level for level in _ORDER if counts[level])
    told = {
        "WARNING": f"{counts['WARNING']} of {len(report['findings'])} checks found what may mislead a training.",
        "NOTICE": f"Nothing alarming; {counts['NOTICE']} of {len(report['findings'])} checks have something to tell.",
        "OK": f"All {len(report['findings'])} checks are fine.",
    }
    parts = [verdict(worst, told[worst])]
    named = (
        ("rows", "rows"),
        ("users", "users"),
        ("items", "items"),
        ("first_utc", "first"),
        ("last_utc", "last"),
    )
    parts.append(facts([(label, _shown(report[name])) for name, label in named if name in report]))
    if "timeline" in report:
        parts += [pair(_timeline(report["timeline"]), _lengths(report["history_lengths"]))]
    parts += [heading("Checks"), _checks(report)]
    if "popularity" in report:
        held = ", ".join(
            f"the top {row['items']:.1%} of the items {row['interactions']:.0%}"
            for row in report["popularity"]
        )
        parts.append(paragraph(f"Of all interactions {held}."))
    if report.get("columns"):
        rows = [
            [escape(c["name"]), c["kind"], f"{c['filled']:.1%}", f"{c['values']:,}"]
            for c in report["columns"]
        ]
        parts += [heading("Columns"), table(["column", "kind", "filled", "different values"], rows)]
    return page("Data health", arn, parts, f"Made by nextpick in {report.get('seconds', 0):.1f} s.")


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)[:10]


def _checks(report: dict[str, Any]) -> str:
    rows = []
    for finding in sorted(report["findings"], key=lambda f: _ORDER.index(f["level"])):
        examples = finding.get("examples", [])
        named = f" <span class=soft>{escape(', '.join(examples))}</span>" if examples else ""
        badge = f'<span class="badge {finding["level"]}">{finding["level"]}</span>'
        rows.append([escape(finding["name"]), badge, escape(finding["text"]) + named])
    return table(["check", "", "what was found"], rows, "text")


def _timeline(timeline: dict[str, Any]) -> str:
    form = "%Y-%m-%d" if timeline["stretch_s"] >= 3600 else "%H:%M:%S"
    bars = [
        (time.strftime(form, time.gmtime(timeline["from"] + i * timeline["stretch_s"])), count)
        for i, count in enumerate(timeline["counts"])
    ]
    most = max(bars, key=lambda bar: bar[1])
    said = f"From {bars[0][0]} to {bars[-1][0]}, most around {most[0]}: {most[1]:,}."
    return columns("Interactions over time", bars, said, max(len(bars) // 4, 1))


def _lengths(lengths: list[dict[str, int]]) -> str:
    bars = [
        (str(row["from"]) if row["from"] == row["to"] else f"{row['from']}–{row['to']}", row["users"])
        for row in lengths
    ]
    said = "; ".join(f"{label}: {count:,}" for label, count in bars)
    return columns("Users by number of interactions", bars, said, 1 if len(bars) <= 8 else 2)
