"""Every recipe keeps the contract."""

from collections.abc import Callable

import pytest

from nextpick.recipes.catalogue import RECIPES, RecipeInfo
from nextpick.testing import recipe_contract


@pytest.mark.parametrize("check", recipe_contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("info", RECIPES, ids=lambda info: info.name)
def test_a_recipe(info: RecipeInfo, check: Callable[[RecipeInfo], None]) -> None:
    check(info)
