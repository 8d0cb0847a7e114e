"""The pages say what the code does: generated tables are current, links lead somewhere, nothing is left out."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nextpick.api import table
from nextpick.recipes.catalogue import RECIPES
from nextpick.settings import Settings
from nextpick.wire.dispatch import SERVICES
from nextpick.wire.shapes import service

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")])


def test_generated_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", *map(str, ROOT.glob("docs/*.md"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"run: make docs\n{done.stdout}{done.stderr}"


def test_every_setting_is_in_the_settings_page() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    missing = [f.name for f in fields(Settings) if f"| `NEXTPICK_{f.name.upper()}` |" not in page]
    assert missing == []


def test_every_operation_is_in_the_coverage_page_as_it_is() -> None:
    sections = (ROOT / "docs" / "coverage.md").read_text().split("\n## ")[1:]
    told = {
        (section.partition(":")[0], name): state == "yes"
        for section in sections
        for name, state in re.findall(r"^\| (\w+) \| (yes|not yet) \|$", section, re.MULTILINE)
    }
    spoken = table.implemented()
    assert told == {(s, o): (s, o) in spoken for s in SERVICES for o in service(s).operations}


def test_every_recipe_is_in_the_recipes_page() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert [info.name for info in RECIPES if f"| `{info.name}` | {info.type} |" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_layer_is_in_the_architecture_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "src" / "nextpick"
    layers = [p.name for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    named = [name.removesuffix(".py") for name in layers if not name.startswith("__")]
    assert [name for name in named if not re.search(rf"\b{name}\b", page)] == []
