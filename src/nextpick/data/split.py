"""Hold-out splits.

Source: developer guide, "Evaluating a solution version with metrics": 90 % of the users train, of the others
the oldest 90 % of the events are the input and the newest 10 % the truth.
"""

from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Data

_TEST_SHARE, _INPUT_SHARE = 0.1, 0.9


class Holdout(NamedTuple):
    """``train``: the data without the test users' interactions; ``users`` int64 [m], rows of the test users;
    ``cuts`` int64 [m]: of each, how many interactions are input, the rest being truth."""

    train: Data
    users: np.ndarray
    cuts: np.ndarray


def holdout(data: Data, rng: np.random.Generator, most_users: int) -> Holdout:
    """Hold out a tenth of the users with two interactions or more, ``most_users`` at most."""
    interactions = data.interactions
    lengths = np.diff(interactions.offsets)
    able = np.flatnonzero(lengths >= 2)
    n = min(max(int(len(able) * _TEST_SHARE), 1), most_users, len(able))
    users = np.sort(rng.choice(able, n, replace=False))
    cuts = np.clip((lengths[users] * _INPUT_SHARE).astype(np.int64), 1, lengths[users] - 1)
    stays = np.ones(len(lengths), bool)
    stays[users] = False
    train = data._replace(interactions=interactions.only(np.repeat(stays, lengths)))
    return Holdout(train, users, cuts)
