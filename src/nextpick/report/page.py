"""The frame of a report: one HTML file, no script, nothing fetched; light, dark, and one printed page."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

_STYLE = (Path(__file__).parent / "style.css").read_text()


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
