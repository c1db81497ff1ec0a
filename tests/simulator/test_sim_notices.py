"""Notices of the embedded portal: refusals, tags, and people who are not there."""

from __future__ import annotations

import pytest
from support.portal_fixture import ANN, BOB, Office

from reconciler.simulator.notices import notices

ADD = "im.notify.system.add"


def office() -> Office:
    """Return an office whose webhook may send notices."""
    return Office(scopes=("im",))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"MESSAGE": "x"}, "USER_ID_EMPTY", id="nobody"),
        pytest.param({"USER_ID": -1, "MESSAGE": "x"}, "USER_ID_EMPTY", id="below-zero"),
        pytest.param({"USER_ID": ANN}, "MESSAGE_EMPTY", id="nothing"),
        pytest.param({"USER_ID": ANN, "MESSAGE": "  "}, "MESSAGE_EMPTY", id="blank"),
    ],
)
def test_refusals(params: dict[str, object], code: str) -> None:
    """The codes of the documentation."""
    assert office().call(ADD, **params).error[0] == code


def test_a_tag_needs_a_client_id() -> None:
    """A webhook has no application: without CLIENT_ID each call rings a bell of its own."""
    portal = office()
    assert [portal.call(ADD, user_id=ANN, message=" one ", TAG="t").result for _ in range(2)] == [1, 2]
    assert [notice.tag for notice in notices(portal.database)] == ["", ""]
    for user, message in ((ANN, "two"), (BOB, "three"), (ANN, "four")):
        portal.call(ADD, USER_ID=user, MESSAGE=message, TAG="t", CLIENT_ID="c")
    assert [(notice.user, notice.message) for notice in notices(portal.database)] == [
        (ANN, "one"),
        (ANN, "one"),
        (BOB, "three"),
        (ANN, "four"),
    ]


def test_people_who_are_gone() -> None:
    """False, and no bell."""
    portal = office()
    portal.portal.people.dismiss_user(BOB)
    assert [portal.call(ADD, USER_ID=user, MESSAGE="x").result for user in (BOB, 404)] == [False, False]
    assert notices(portal.database) == []
