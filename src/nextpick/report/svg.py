"""The two charts of the reports, as inline SVG: intervals and columns.

Colours are classes of the page's style sheet, so that a chart follows the reader's light or dark scheme; each has a
title and its figures in words for those who do not see it.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _LABEL, _VALUE = 460, 150, 52
_ROW, _HEAD, _AXIS = 22, 20, 24


class Interval(NamedTuple):
    """A figure with its interval, which is None where too few users are known for one; ``kind`` is a class of the style
    sheet. value None: there is nothing to show."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    kind: str


def intervals(title: str, groups: Sequence[tuple[str, Sequence[Interval]]], unit: str = "{:.3f}") -> str:
    """Return a chart of intervals, one under the other, in groups with a heading each (none where it is empty)."""
    known = [row for _, rows in groups for row in rows if row.value is not None]
    ends = [end for row in known for end in (row.value, row.low, row.high) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    ticks = _ticks(min(low, 0.0), max(high, 0.0) if low < 0 or high > 0 else 1.0)
    left, right = _LABEL, _WIDTH - _VALUE

    def x(value: float) -> float:
        return round(left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left), 1)

    body, grid, y = [], [], 4
    for heading, rows in groups:
        if heading:
            body.append(f'<text x="0" y="{y + 14}" class="group">{escape(heading)}</text>')
            y += _HEAD
        grid += [
            f'<line x1="{x(t)}" x2="{x(t)}" y1="{y}" y2="{y + _ROW * len(rows)}" class="{_line(t)}"/>'
            for t in ticks
        ]
        for row in rows:
            middle = y + _ROW / 2
            body.append(f'<text x="{left - 8}" y="{middle + 4}" class="label">{escape(row.label)}</text>')
            if row.low is not None and row.high is not None:
                ends = f'x1="{x(row.low)}" x2="{x(row.high)}" y1="{middle}" y2="{middle}"'
                body.append(f'<line {ends} class="{row.kind} whisker"/>')
            if row.value is not None:
                body.append(f'<circle cx="{x(row.value)}" cy="{middle}" r="5" class="{row.kind}"/>')
            value = "none" if row.value is None else unit.format(row.value)
            body.append(f'<text x="{_WIDTH}" y="{middle + 4}" class="value">{escape(value)}</text>')
            y += _ROW
        y += 4
    grid += [f'<text x="{x(t)}" y="{y + 12}" class="tick middle">{t:g}</text>' for t in ticks]
    said = "; ".join(
        f"{heading + ', ' if heading else ''}{row.label}: {unit.format(row.value)}"
        + (f" ({unit.format(row.low)} to {unit.format(row.high)})" if row.low is not None else "")
        for heading, rows in groups
        for row in rows
        if row.value is not None
    )
    return _figure(title, said, y + _AXIS, [*grid, *body])


def columns(title: str, bars: Sequence[tuple[str, float]], said: str, every: int = 1) -> str:
    """Return a chart of columns; every ``every``-th has its label below it. ``said``: the chart in words."""
    top = max((value for _, value in bars), default=1.0) or 1.0
    ticks = _ticks(0.0, top)
    left, height, step = 44, 130, (_WIDTH - 44) / max(len(bars), 1)

    def y(value: float) -> float:
        return round(8 + height - value / ticks[-1] * height, 1)

    grid = [
        f'<line x1="{left}" x2="{_WIDTH}" y1="{y(t)}" y2="{y(t)}" class="{_line(t)}"/>'
        f'<text x="{left - 6}" y="{y(t) + 4}" class="tick end">{_short(t)}</text>'
        for t in ticks
    ]
    body = []
    for place, (label, value) in enumerate(bars):
        x = left + place * step
        gap = min(step * 0.15, 4)
        body.append(
            f'<rect x="{x + gap:.1f}" width="{max(step - 2 * gap, 0.5):.1f}" y="{y(value)}" '
            f'height="{max(8 + height - y(value), 0):.1f}" class="own bar">'
            f"<title>{escape(label)}: {value:,g}</title></rect>"
        )
        if place % every == 0:
            anchor = "middle" if every == 1 else ""
            at = x + step / 2 if every == 1 else x
            body.append(f'<text x="{at:.1f}" y="{height + 24}" class="tick {anchor}">{escape(label)}</text>')
    return _figure(title, said, height + 32, [*grid, *body])


def _figure(title: str, said: str, height: float, parts: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{escape(title)}. {escape(said)}">'
        + "".join(parts)
        + "</svg></figure>"
    )


def _line(tick: float) -> str:
    return "zero" if tick == 0 else "grid"


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers that span a range, about four steps."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if m * step >= (high - low) / 4 * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _short(value: float) -> str:
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"
