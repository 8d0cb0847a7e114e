"""What is imported is declared, and what is declared is pinned."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

LOADED_BY_NAME = {"httptools", "uvloop"}  # by uvicorn, which is told to
DISTRIBUTIONS = {"yaml": "pyyaml"}  # of packages that are called otherwise
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(one for name in EXTRAS if name != "dev" for one in EXTRAS[name])]


def names(requirements: list[str]) -> set[str]:
    """Return the distributions that requirements name."""
    return {re.split(r"[<>=\[~!]", requirement)[0] for requirement in requirements}


def imported() -> set[str]:
    """Return the top-level packages that the package's modules import."""
    found = set()
    for path in (ROOT / "src" / "nextpick").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return {DISTRIBUTIONS.get(name, name) for name in found - set(sys.stdlib_module_names) - {"nextpick"}}


def test_the_package_imports_what_it_declares_and_declares_what_it_imports() -> None:
    assert imported() | LOADED_BY_NAME == names(REQUIREMENTS)


def test_every_dependency_is_pinned_and_none_to_a_local_build() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins}
    declared = names(REQUIREMENTS) | names(EXTRAS["dev"]) - {"nextpick"}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in declared} <= pinned
    assert not [pin for pin in pins if "+" in pin or "==" not in pin]


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    calendar_versioned = {"regex"}
    for requirement in REQUIREMENTS:
        assert ">=" in requirement, requirement
        assert "<" in requirement or names([requirement]) <= calendar_versioned, requirement
