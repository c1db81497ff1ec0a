"""The days on which a portal's first users were registered: what tells it from another one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from support.portal_fixture import Office
from support.portal_line import client_on

from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.read.first_users import QUESTION, registered
from reconciler.portal.rest.batch_codec import Answer
from reconciler.simulator.transport import InProcessTransport

A_DAY = 86_400


@pytest.mark.parametrize("scope", ["user", "user_basic", "user_brief"])
def test_each_user_scope_shows_them(scope: str) -> None:
    """Those who have left too; the day is that of the portal's own calendar, whatever the hour there."""
    clock = VirtualClock(Timeline())
    office = Office(clock=clock, scopes=("crm", scope))
    office.user(2, name="Dora", active=0, date_register=10 * A_DAY)
    office.user(3, name="Emil", date_register=20 * A_DAY + A_DAY - 1)
    found = registered(client_on(InProcessTransport(office.portal), clock).read([QUESTION])[0])
    assert found[2] == date(1970, 1, 11)
    assert found[3] == date(1970, 1, 22)


@pytest.mark.parametrize(
    ("result", "known"),
    [
        pytest.param([], {}, id="nobody"),
        pytest.param(False, {}, id="no-list"),
        pytest.param(
            [{"ID": "1", "DATE_REGISTER": "2024-07-15T00:00:00+00:00"}], {1: date(2024, 7, 15)}, id="midnight"
        ),
        pytest.param([{"ID": "1", "DATE_REGISTER": "2024-07-15T00:00:00-11:00"}], {1: date(2024, 7, 15)}, id="offset"),
        pytest.param(
            [{"ID": "1", "DATE_REGISTER": ""}, {"ID": "2", "DATE_REGISTER": "2024-07-15"}],
            {2: date(2024, 7, 15)},
            id="empty",
        ),
        pytest.param(
            [{"ID": "1"}, {"DATE_REGISTER": "2024-07-15"}, None, {"ID": "x", "DATE_REGISTER": {}}], {}, id="strange"
        ),
    ],
)
def test_what_cannot_be_read_is_left_out(result: Any, known: dict[int, date]) -> None:
    """It is no reason to stop."""
    assert registered(Answer(result=result)) == known
