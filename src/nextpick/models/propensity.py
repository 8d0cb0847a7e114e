"""How likely a user is to take an action: logistic regression on sparse features, one example an interaction.

An example's features are the action, the action with each category of the user, the action with what the user did
with it last, the share of actions the user has taken, and the user. All are counted before the example, so that what
is learnt holds for what comes next. Fitted by AdaGrad (Duchi, Hazan and Singer 2011) with an L2 penalty: the users'
weights last, on what the others leave over, so that the others alone are right about users who are new.
"""

from typing import NamedTuple

import numba
import numpy as np

TAKEN, NOT_TAKEN, VIEWED = 0, 1, 2
_LAST = 4  # nothing yet, or one of the three
_SHARES, _STEP = 10, 0.6  # no history; log odds of taking, in steps
_EPOCHS, _USER_EPOCHS, _RATE, _PENALTY = 20, 10, 0.1, 1e-4
_USER_PENALTY = 1e-2  # a user has few examples


class Propensity(NamedTuple):
    """action float64 [n]; category [n, n_categories]; last [n, 4]; share [5]; user [n_users]: weights."""

    action: np.ndarray
    category: np.ndarray
    last: np.ndarray
    share: np.ndarray
    user: np.ndarray


class Examples(NamedTuple):
    """Interactions by user, oldest first: offsets int64 [n_users+1]; action int32, outcome int8, weight float64 [m]."""

    offsets: np.ndarray
    action: np.ndarray
    outcome: np.ndarray
    weight: np.ndarray


def fit(
    examples: Examples, n_actions: int, cat_offsets: np.ndarray, cats: np.ndarray, n_cats: int
) -> Propensity:
    """Fit on examples; the categories of user u are cats[cat_offsets[u] to cat_offsets[u+1]], int32."""
    shapes = ((n_actions,), (n_actions, n_cats), (n_actions, _LAST), (_SHARES,), (len(examples.offsets) - 1,))
    weights = Propensity(*(np.zeros(shape) for shape in shapes))
    squares = Propensity(*(np.full(shape, 1e-8) for shape in shapes))
    for rate, user_rate in [(_RATE, 0.0)] * _EPOCHS + [(0.0, _RATE)] * _USER_EPOCHS:
        _epoch(*examples, cat_offsets, cats, *weights, *squares, rate, user_rate, _PENALTY, _USER_PENALTY)
    return weights


def propensities(
    model: Propensity, user: int, cats: np.ndarray, actions: np.ndarray, outcomes: np.ndarray
) -> np.ndarray:
    """Return float64 [n_actions], the probability that a user takes each action.

    user: row, -1 unknown;  cats: the user's categories;  actions int32, outcomes int8 [h]: the history, oldest first.
    """
    n = len(model.action)
    last = np.zeros(n, np.int64)
    last[actions] = outcomes + 1
    z = model.action + model.last[np.arange(n), last] + model.category[:, cats].sum(axis=1)
    z += model.share[share_of(int((outcomes == TAKEN).sum()), len(outcomes))]
    if user >= 0:
        z += model.user[user]
    return 1.0 / (1.0 + np.exp(-z))


@numba.njit(cache=True)
def share_of(taken, total):
    """Return the class of a share of actions taken: 0 without history, else by its log odds, drawn to even."""
    if total == 0:
        return 0
    odds = np.log((taken + 0.5) / (total - taken + 0.5))
    return 1 + int(min(max(np.floor(odds / _STEP + 0.5 * (_SHARES - 1)), 0.0), _SHARES - 2.0))


@numba.njit(cache=True)
def _epoch(
    offsets, action, outcome, weight, cat_offsets, cats,
    w_action, w_category, w_last, w_share, w_user,
    s_action, s_category, s_last, s_share, s_user,
    rate, user_rate, penalty, user_penalty,
):  # fmt: skip
    last = np.zeros(len(w_action), np.int64)
    for user in range(len(offsets) - 1):
        taken = 0
        start = offsets[user]
        for at in range(start, offsets[user + 1]):
            a, l, share = action[at], last[action[at]], share_of(taken, at - start)  # noqa: E741
            z = w_action[a] + w_last[a, l] + w_share[share] + w_user[user]
            for c in range(cat_offsets[user], cat_offsets[user + 1]):
                z += w_category[a, cats[c]]
            is_taken = 1.0 if outcome[at] == 0 else 0.0
            error = weight[at] * (1.0 / (1.0 + np.exp(-z)) - is_taken)
            g = error + penalty * w_action[a]
            s_action[a] += g * g
            w_action[a] -= rate * g / np.sqrt(s_action[a])
            g = error + penalty * w_last[a, l]
            s_last[a, l] += g * g
            w_last[a, l] -= rate * g / np.sqrt(s_last[a, l])
            g = error + penalty * w_share[share]
            s_share[share] += g * g
            w_share[share] -= rate * g / np.sqrt(s_share[share])
            g = error + user_penalty * w_user[user]
            s_user[user] += g * g
            w_user[user] -= user_rate * g / np.sqrt(s_user[user])
            for c in range(cat_offsets[user], cat_offsets[user + 1]):
                g = error + penalty * w_category[a, cats[c]]
                s_category[a, cats[c]] += g * g
                w_category[a, cats[c]] -= rate * g / np.sqrt(s_category[a, cats[c]])
            last[a] = outcome[at] + 1
            if outcome[at] == 0:
                taken += 1
        for at in range(start, offsets[user + 1]):
            last[action[at]] = 0
