"""The request from beginning to end, over a version in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_world import FakeReader

from nextpick.errors import InvalidInput
from nextpick.recipes import catalogue
from nextpick.serving import explore
from nextpick.serving.live import Tails
from nextpick.serving.recommend import Asker, PredictedItem, Wish, ask, rank, recommend
from nextpick.serving.versions import CampaignView, Version
from nextpick.testing.recipe_contract import fitted
from nextpick.testing.worlds import made_data

DATA = made_data(users=80)
ITEMS = [f"i{k}" for k in range(30)]


def version(recipe: str) -> Version:
    """Return a version of a recipe trained on the data."""
    info = catalogue.find(recipe)
    assert info is not None
    state = fitted(info, DATA)
    young = explore.Young(DATA, state["item_count"])
    return Version("v", info, catalogue.load(info), state, DATA, {}, young)


VERSIONS = {
    name: version(name) for name in ("aws-user-personalization", "aws-personalized-ranking", "aws-sims")
}


def campaign(recipe: str, weight: str = "0") -> CampaignView:
    return CampaignView(
        "arn", "group", "v", recipe, {"itemExplorationConfig": {"explorationWeight": weight}}, 0.0
    )


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def asker(reader: FakeReader) -> Asker:
    tails = Tails(reader)
    tails.hold("v", {})
    return Asker(tails, 1_700_000_000.0)


def test_a_list_is_the_stable_order_of_the_recipes_scores(asker: Asker) -> None:
    made, view = VERSIONS["aws-user-personalization"], campaign("aws-user-personalization")
    for user in ("u0", "u7", "stranger"):
        scores = made.module.score(made.state, [ask(asker, view, made, user)])[0]
        wanted = np.argsort(-scores, kind="stable")
        found = recommend(asker, view, made, Wish(user, None, 30))
        assert [item.itemId for item in found] == [ITEMS[row] for row in wanted]
        assert [item.score for item in found] == [round(float(scores[row]), 7) for row in wanted]


def test_explored_lists_have_the_scores_of_their_places(asker: Asker) -> None:
    made = VERSIONS["aws-user-personalization"]
    plain = recommend(asker, campaign("aws-user-personalization"), made, Wish("u0", None, 30))
    tried = recommend(asker, campaign("aws-user-personalization", "1"), made, Wish("u0", None, 30))
    assert [item.score for item in tried] == [item.score for item in plain]
    assert [item.itemId for item in tried] != [item.itemId for item in plain]
    assert sorted(item.itemId for item in tried) == sorted(ITEMS)


def test_a_ranking_is_a_distribution_over_what_it_knows_of_the_list(asker: Asker) -> None:
    made, view = VERSIONS["aws-personalized-ranking"], campaign("aws-personalized-ranking")
    found = rank(asker, view, made, "u3", ["nothing", "i4", "i9", "i4", "i1", "none"])
    known, strangers = found[:3], found[3:]
    assert {item.itemId for item in known} == {"i1", "i4", "i9"}
    assert sum(item.score for item in known) == pytest.approx(1, abs=1e-6)
    assert [item.score for item in known] == sorted((item.score for item in known), reverse=True)
    assert strangers == [PredictedItem("nothing"), PredictedItem("none")]
    assert rank(asker, view, made, "u3", ["none", "nothing"]) == [
        PredictedItem("none"),
        PredictedItem("nothing"),
    ]


def test_related_items_leave_the_item_itself_out_and_need_one(asker: Asker) -> None:
    made, view = VERSIONS["aws-sims"], campaign("aws-sims")
    found = recommend(asker, view, made, Wish(None, "i2", 500))
    assert len(found) == 29
    assert PredictedItem("i2") not in found
    with pytest.raises(InvalidInput, match="itemId is required"):
        recommend(asker, view, made, Wish("u1", None, 5))


def test_the_wrong_operation_for_a_recipe_names_the_right_one(asker: Asker) -> None:
    ranking = VERSIONS["aws-personalized-ranking"]
    with pytest.raises(InvalidInput, match="GetPersonalizedRanking"):
        recommend(asker, campaign("aws-personalized-ranking"), ranking, Wish("u", None, 5))
    with pytest.raises(InvalidInput, match="cannot rank"):
        rank(asker, campaign("aws-sims"), VERSIONS["aws-sims"], "u", ["i1"])
    made = VERSIONS["aws-user-personalization"]
    with pytest.raises(InvalidInput, match="userId is required"):
        recommend(asker, campaign("aws-user-personalization"), made, Wish(None, None, 5))


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([*ITEMS[:5], "not known"])), max_size=6))
def test_a_history_is_what_was_trained_on_and_live_events_in_order_of_time(
    events: list[tuple[int, str]],
) -> None:
    reader = FakeReader()
    tails = Tails(reader)
    tails.hold("v", {})
    made = VERSIONS["aws-user-personalization"]
    start, end = DATA.interactions.offsets[5:7]
    trained = list(
        zip(
            DATA.interactions.time[start:end].tolist(),
            DATA.interactions.item[start:end].tolist(),
            strict=True,
        )
    )
    newest = trained[-1][0]
    live = []
    for hours, item in events:
        reader.write("x", "u5", item, newest + 3600 * hours)
        if item in ITEMS:
            live.append((newest + 3600 * hours, ITEMS.index(item)))
    wanted = [row for _, row in sorted(trained + live, key=lambda pair: pair[0])]
    query = ask(Asker(tails, 0.0), campaign("aws-user-personalization"), made, "u5")
    assert query.user == 5
    assert query.items.tolist() == wanted
    assert query.items.dtype == np.int32


def test_someone_unknown_is_their_events(reader: FakeReader, asker: Asker) -> None:
    reader.write("x", "visitor", "i3", 2)
    reader.write("x", "visitor", "i8", 1)
    query = ask(asker, campaign("aws-user-personalization"), VERSIONS["aws-user-personalization"], "visitor")
    assert (query.user, query.items.tolist()) == (-1, [8, 3])
