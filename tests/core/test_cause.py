"""The table of `core.cause`, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.model import Cause, ContactDetail, Mismatch
from reconciler.core.rules.follow_parent import Evidence, cause_of

LAST = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
BEFORE, AFTER = LAST - timedelta(seconds=1), LAST + timedelta(seconds=1)
DRIFTED = Mismatch(contact=1, company=10, owner=7, company_owner=8)


def detail(created: datetime = BEFORE, modified: datetime = BEFORE, editor: int = 3) -> ContactDetail:
    """Return what the portal says of the contact."""
    return ContactDetail(name="C", created=created, modified=modified, modified_by=editor)


@pytest.mark.parametrize(
    ("found", "evidence", "cause"),
    [
        pytest.param(detail(), Evidence(), Cause.UNKNOWN, id="first-sweep"),
        pytest.param(None, Evidence(last_sweep=LAST), Cause.UNKNOWN, id="vanished-since"),
        pytest.param(detail(), Evidence(last_sweep=LAST, unmoved={10}), Cause.NEWLY_LINKED, id="no-date-moved"),
        pytest.param(detail(), Evidence(last_sweep=LAST), Cause.UNKNOWN, id="a-company-that-came-into-view"),
        pytest.param(
            detail(),
            Evidence(last_sweep=LAST, unmoved={10}, recorded_at={1: frozenset({10})}),
            Cause.UNKNOWN,
            id="drifted-there-already",
        ),
        pytest.param(
            detail(),
            Evidence(last_sweep=LAST, unmoved={10}, recorded_at={1: frozenset({11}), 2: frozenset({10})}),
            Cause.NEWLY_LINKED,
            id="drifted-elsewhere",
        ),
        pytest.param(detail(BEFORE, AFTER), Evidence(last_sweep=LAST), Cause.CONTACT_CHANGED, id="edited"),
        pytest.param(detail(AFTER, AFTER), Evidence(last_sweep=LAST), Cause.CONTACT_CREATED, id="created"),
        pytest.param(
            detail(BEFORE, LAST.replace(microsecond=0)),
            Evidence(last_sweep=LAST),
            Cause.CONTACT_CHANGED,
            id="same-second",
        ),
        pytest.param(
            detail(BEFORE, AFTER),
            Evidence(last_sweep=LAST, earlier_owners={10: frozenset({5, 7})}),
            Cause.COMPANY_OWNER_CHANGED,
            id="holds-an-earlier-owner",
        ),
        pytest.param(
            detail(BEFORE, AFTER),
            Evidence(last_sweep=LAST, earlier_owners={10: frozenset({5}), 11: frozenset({7})}),
            Cause.CONTACT_CHANGED,
            id="earlier-owner-of-another",
        ),
        pytest.param(detail(), Evidence(last_sweep=LAST, written={1: 8}), Cause.CHANGED_BACK, id="changed-back"),
        pytest.param(detail(), Evidence(written={1: 8}), Cause.CHANGED_BACK, id="changed-back-without-a-sweep"),
        pytest.param(
            detail(),
            Evidence(last_sweep=LAST, written={1: 7}, earlier_owners={10: frozenset({7})}),
            Cause.COMPANY_OWNER_CHANGED,
            id="the-company-moved-on",
        ),
        pytest.param(
            detail(BEFORE, AFTER, editor=3),
            Evidence(last_sweep=LAST, written={1: 7}, account=3, unmoved={10}, recorded_at={1: frozenset({11})}),
            Cause.NEWLY_LINKED,
            id="linked-after-our-own-write",
        ),
        pytest.param(
            detail(BEFORE, AFTER, editor=3),
            Evidence(last_sweep=LAST, written={1: 7}, account=3, unmoved={10}, recorded_at={1: frozenset({10})}),
            Cause.UNKNOWN,
            id="an-undo-that-was-released",
        ),
        pytest.param(
            detail(BEFORE, AFTER, editor=4),
            Evidence(last_sweep=LAST, written={1: 7}, account=3),
            Cause.CONTACT_CHANGED,
            id="edited-after-our-own-write",
        ),
        pytest.param(
            detail(),
            Evidence(last_sweep=LAST, written={1: 8}, known={DRIFTED: Cause.UNKNOWN}),
            Cause.UNKNOWN,
            id="backlog-keeps-its-cause",
        ),
    ],
)
def test_cause(found: ContactDetail | None, evidence: Evidence, cause: Cause) -> None:
    """First match wins; what cannot be known is called unknown."""
    assert cause_of(DRIFTED, found, evidence) == cause
