"""Every recipe keeps the contract."""

from collections.abc import Callable

import pytest

from nextpick.recipes.catalogue import RECIPES, RecipeInfo
from nextpick.testing import recipe_contract

SEGMENTING = [info for info in RECIPES if info.type == "USER_SEGMENTATION"]
OTHERS = [info for info in RECIPES if info.type != "USER_SEGMENTATION"]


@pytest.mark.parametrize("check", recipe_contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("info", OTHERS, ids=lambda info: info.name)
def test_a_recipe(info: RecipeInfo, check: Callable[[RecipeInfo], None]) -> None:
    check(info)


@pytest.mark.parametrize("check", recipe_contract.SEGMENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("info", SEGMENTING, ids=lambda info: info.name)
def test_a_recipe_for_segments(info: RecipeInfo, check: Callable[[RecipeInfo], None]) -> None:
    check(info)
