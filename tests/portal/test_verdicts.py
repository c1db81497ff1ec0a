"""What an update that was refused came to: by what the read-back shows, and not by the refusal's words."""

from __future__ import annotations

import pytest
from journal_values import change

from reconciler.core.check import ContactRow
from reconciler.errors import DeniedError, NotFoundError, RefusedError, ServerFaultError
from reconciler.portal.verdicts import verdict

CHANGE = change(15)
OLD, NEW, THIRD = (ContactRow(company=CHANGE.company, owner=owner) for owner in (CHANGE.before, CHANGE.after, 99))
MISSING = NotFoundError("the record does not exist (the portal says: Not found)")


@pytest.mark.parametrize(
    ("answer", "row", "result", "detail"),
    [
        pytest.param(MISSING, None, "gone", "deleted or no longer visible", id="not-found-and-not-there"),
        pytest.param(MISSING, NEW, "applied", "", id="not-found-and-written"),
        pytest.param(MISSING, THIRD, "conflict", "owner is now 99", id="not-found-and-somebody-elses"),
        pytest.param(MISSING, OLD, "failed", "the portal says: Not found", id="not-found-and-as-before"),
        pytest.param(DeniedError("no"), NEW, "applied", "", id="denied-and-written"),
        pytest.param(DeniedError("no"), OLD, "denied", "no", id="denied"),
        pytest.param(RefusedError("no"), NEW, "applied", "", id="refused-and-written"),
        pytest.param(RefusedError("no"), OLD, "failed", "no", id="refused"),
        pytest.param(ServerFaultError("no"), None, "gone", "deleted or no longer visible", id="fault-and-not-there"),
    ],
)
def test_a_refusal_is_held_to_the_read_back(
    answer: RefusedError | ServerFaultError, row: ContactRow | None, result: str, detail: str
) -> None:
    """DESIGN 6: nothing is told as gone that is there, and nothing as refused that was written."""
    outcome = verdict(CHANGE, answer, row)
    assert outcome is not None
    assert (outcome.result, detail in outcome.detail) == (result, True)


def test_a_fault_that_left_the_contact_as_it_was_is_sent_again() -> None:
    """What surely was not written, and may pass another time."""
    assert verdict(CHANGE, ServerFaultError("no"), OLD) is None
