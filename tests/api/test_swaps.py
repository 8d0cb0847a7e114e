"""A campaign that changes its version answers every request meanwhile."""

import threading
from collections import Counter
from pathlib import Path

from served import Server
from worlds import Shop, checkerboard, settle


def test_no_request_fails_while_a_campaign_changes_its_version(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", workers=2).start()
    try:
        shop = Shop(server)
        shop.imported(shop.start_import("j", checkerboard()))
        popular = shop.trained(shop.train(shop.solution("popular", "aws-popularity-count")))
        personal = shop.trained(shop.train(shop.solution("personal", "aws-user-personalization-v2")))
        arns = [popular["solutionVersionArn"], personal["solutionVersionArn"]]
        campaign = shop.deployed("c", arns[0])
        told: Counter[str] = Counter()
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    items = shop.recommend(campaign, userId="u1")["itemList"]
                    told["scored" if "score" in items[0] else "unscored"] += len(items) == 25
                except Exception as error:
                    told[repr(error)] += 1

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for n in range(1, 7):
            server.personalize.update_campaign(campaignArn=campaign, solutionVersionArn=arns[n % 2])
            settle(lambda: server.personalize.describe_campaign(campaignArn=campaign))
        done.set()
        for asker in askers:
            asker.join()
    finally:
        server.stop()
    assert set(told) == {"scored", "unscored"}, told
    assert min(told.values()) > 20, told
