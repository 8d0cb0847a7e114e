"""The frame of a report: one HTML file with its style, no script, nothing fetched; light, dark, and one printed page."""

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --ink: #1d2733; --soft: #5b6876; --line: #dde3e9; --card: #f6f8fa;
  --own: #0b62c4; --other: #8a5a00; --third: #6b7684; --good: #116b3a; --good-bg: #e4f4ea; --note: #7a5200;
  --note-bg: #fdf1d6; --bad: #a11a1a; --bad-bg: #fce6e4; }
@media (prefers-color-scheme: dark) { :root { --bg: #11161c; --ink: #e7edf3; --soft: #a3afbb; --line: #2d3742;
  --card: #1a2129; --own: #6db1ff; --other: #f0b450; --third: #9aa7b4; --good: #7ad6a0; --good-bg: #143322;
  --note: #f3c56b; --note-bg: #3a2d0c; --bad: #ff9d94; --bad-bg: #441a18; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 28px 24px 20px; background: var(--bg); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; } h2 { font-size: 17px; margin: 24px 0 8px; }
p { margin: 6px 0; } .soft, footer { color: var(--soft); font-size: 13px; } code { overflow-wrap: anywhere; }
.verdict { border-left: 5px solid; border-radius: 4px; padding: 10px 14px; margin: 14px 0; font-size: 16px; }
.OK { color: var(--good); background: var(--good-bg); } .NOTICE { color: var(--note); background: var(--note-bg); }
.WARNING { color: var(--bad); background: var(--bad-bg); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 16px; margin-bottom: 16px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 14px 0; padding: 0; }
.facts div { background: var(--card); border-radius: 6px; padding: 8px 12px; }
.facts dt { color: var(--soft); font-size: 12px; } .facts dd { margin: 0; font-size: 18px; font-weight: 600; }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: 12px 14px; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: 6px; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 12px; } svg .tick { fill: var(--soft); font-size: 11px; }
svg .label, svg .value, svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .value { font-variant-numeric: tabular-nums; } svg .group { font-weight: 600; }
svg .grid { stroke: var(--line); } svg .zero { stroke: var(--soft); }
svg .whisker { stroke-width: 3; stroke-linecap: round; opacity: .55; }
svg .own { fill: var(--own); stroke: var(--own); } svg .other { fill: var(--other); stroke: var(--other); }
svg .third { fill: var(--third); stroke: var(--third); } svg .bar { stroke: none; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child, .text td, .text th { text-align: left; } th { font-weight: 600; }
td .soft { white-space: nowrap; font-size: 12px; } .wide { overflow-x: auto; }
.badge { border-radius: 4px; padding: 1px 7px; font-size: 12px; font-weight: 600; white-space: nowrap; }
footer { border-top: 1px solid var(--line); margin-top: 20px; padding-top: 8px; }
@media print { :root { --bg: #fff; --ink: #000; --soft: #444; --line: #ccc; --card: #f6f8fa; --own: #0b62c4;
  --other: #8a5a00; --third: #6b7684; --good: #116b3a; --good-bg: #e4f4ea; --note: #7a5200; --note-bg: #fdf1d6;
  --bad: #a11a1a; --bad-bg: #fce6e4; color-scheme: light; }
  @page { size: A4; margin: 10mm; } body { font-size: 10.5px; padding: 0; max-width: none; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } h1 { font-size: 18px; } h2 { font-size: 12.5px; margin: 10px 0 4px; }
  .pair { grid-template-columns: 1fr 1fr; gap: 8px; margin-bottom: 8px; } figure { padding: 6px 8px; } .verdict { font-size: 11.5px; margin: 7px 0;
  padding: 6px 10px; } table { font-size: 9.5px; } td .soft, .soft, footer { font-size: 9px; } th, td { padding: 2px 5px; }
  .facts { margin: 7px 0; gap: 6px; grid-template-columns: repeat(6, 1fr); } .facts dd { font-size: 12px; }
  .facts dt { font-size: 9px; } .facts div { padding: 4px 8px; } footer { margin-top: 8px; padding-top: 4px; } }
"""


def page(title: str, arn: str, parts: Sequence[str], footer: str) -> str:
    """Return a whole HTML document; ``title``, ``arn`` and ``footer`` are text, ``parts`` are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="soft"><code>{escape(arn)}</code></p></header>'
        f"<main>{''.join(parts)}</main><footer>{escape(footer)}</footer></body></html>\n"
    )


def verdict(level: str, text: str) -> str:
    """Return a sentence that is to be read first; ``level`` is OK, NOTICE or WARNING."""
    return f'<p class="verdict {level}" role="status">{escape(text)}</p>'


def facts(told: Sequence[tuple[str, str]]) -> str:
    """Return a few figures, each under its name."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in told)
    return f'<dl class="facts">{cells}</dl>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Return a table; the cells are HTML."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def pair(*figures: str) -> str:
    """Return figures side by side where there is room."""
    return f'<div class="pair">{"".join(figures)}</div>'


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="soft">{escape(text)}</p>'
