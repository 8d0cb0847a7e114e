"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.errors import InvalidNextToken
from nextpick.wire import paging

SECRET = b"s" * 32


@given(st.integers(0, 2**63 - 1), st.text())
def test_a_token_leads_back_to_its_position(position: int, scope: str) -> None:
    token = paging.token(position, scope=scope, secret=SECRET)
    assert token.isascii()
    assert paging.position(token, scope=scope, secret=SECRET) == position


def test_no_token_is_the_beginning() -> None:
    assert paging.position(None, scope="a", secret=SECRET) == 0


@given(st.text(max_size=60))
def test_a_token_we_did_not_make_is_refused(token: str) -> None:
    with pytest.raises(InvalidNextToken):
        paging.position(token, scope="a", secret=SECRET)


def test_a_token_of_another_list_or_server_is_refused() -> None:
    token = paging.token(7, scope="a", secret=SECRET)
    with pytest.raises(InvalidNextToken):
        paging.position(token, scope="b", secret=SECRET)
    with pytest.raises(InvalidNextToken):
        paging.position(token, scope="a", secret=b"other")
    with pytest.raises(InvalidNextToken):
        paging.position("B" + token[1:], scope="a", secret=SECRET)
