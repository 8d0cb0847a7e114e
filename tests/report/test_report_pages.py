"""Report pages are whole, need nothing else, and say the same to those who do not see the pictures."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from nextpick.data import health
from nextpick.data.run import Run
from nextpick.recipes import aws_popularity_count, catalogue
from nextpick.recipes.backtest import backtest
from nextpick.report import evaluation
from nextpick.report import health as health_page
from nextpick.report.svg import Interval, columns, intervals
from nextpick.testing.worlds import made_data

_VOID = {"meta", "line", "circle", "rect", "br", "link"}


class Page(HTMLParser):
    """A page's tags, attributes and text; fails where a tag is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def evaluated(**changes: Any) -> dict[str, Any]:
    info = catalogue.find("aws-popularity-count")
    assert info is not None
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    report = backtest(aws_popularity_count, aws_popularity_count.Params(), info, made_data(users=80), run)
    return {
        **report,
        "resourceArn": "arn:aws:personalize:us-east-1:0:solution/s/1",
        "seconds": 1.5,
        **changes,
    }


def checked() -> dict[str, Any]:
    return health.of_interactions(made_data(users=80), 3, 1.7e9)


def test_the_page_of_an_evaluation_tells_its_figures() -> None:
    report = evaluated()
    page = Page(evaluation.render(report))
    for contender in report["contenders"]:
        assert contender["name"] in page.text
        for told in contender["metrics"].values():
            assert f"{told['value']:.4f}" in page.text
    assert report["resourceArn"] in page.text


def test_a_version_that_is_flagged_is_flagged_at_the_top() -> None:
    report = evaluated(beats_recent_popularity=False, warnings=["It does not beat popularity <now>."])
    html = evaluation.render(report)
    assert '<p class="verdict WARNING" role="status">It does not beat popularity &lt;now&gt;.</p>' in html
    assert "does not beat" not in evaluation.render(evaluated(beats_recent_popularity=True, warnings=[]))


def test_what_is_not_measurable_has_a_page_without_pictures() -> None:
    report = {"status": "NOT_MEASURABLE", "reason": "All times are alike.", "recipe": "aws-sims"}
    page = Page(evaluation.render(report))
    assert "All times are alike." in page.text
    assert "svg" not in [tag for tag, _ in page.tags]


def test_the_page_of_health_tells_every_check_the_worst_first() -> None:
    report = checked()
    page = Page(health_page.render(report))
    for finding in report["findings"]:
        assert finding["text"] in page.text
    badges = [a["class"] for tag, a in page.tags if tag == "span" and str(a.get("class")).startswith("badge")]
    order = ["badge WARNING", "badge NOTICE", "badge OK"]
    assert [order.index(str(badge)) for badge in badges] == sorted(order.index(str(b)) for b in badges)


@pytest.mark.parametrize("html", [evaluation.render(evaluated()), health_page.render(checked())])
def test_a_page_fetches_nothing_and_its_pictures_speak(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href"} & attributes.keys()
        if tag == "svg":
            assert attributes["role"] == "img"
            assert any(digit in str(attributes["aria-label"]) for digit in "0123456789")
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    assert "@page" in html


def test_intervals_lie_where_their_figures_are() -> None:
    rows = [Interval("a", 0.5, 0.25, 1.0, "own"), Interval("b", 0.0, None, None, "other")]
    page = Page(intervals("t", [("", rows)]))
    dots = [float(str(a["cx"])) for tag, a in page.tags if tag == "circle"]
    (whisker,) = [a for tag, a in page.tags if tag == "line" and "whisker" in str(a["class"])]
    low, high = float(str(whisker["x1"])), float(str(whisker["x2"]))
    assert dots[0] - dots[1] == pytest.approx((high - dots[1]) / 2, abs=0.2)
    assert low - dots[1] == pytest.approx((high - dots[1]) / 4, abs=0.2)


def test_charts_of_nothing_are_charts() -> None:
    Page(intervals("t", [("g", [Interval("a", None, None, None, "own")])]))
    Page(intervals("t", [("g", [Interval("a", 0.0, 0.0, 0.0, "own")])]))
    Page(columns("t", [("x", 0)], "nothing"))
