"""The attack can fail: what the portal's own record shows of a write over a person is told, and what is not is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attack.round import BYSTANDER, CLEO, CONTACTS, Round, Told
from attack.run import took_place
from support.portal_fixture import ANN, BOB

from reconciler.simulator.http import Request

if TYPE_CHECKING:
    from pathlib import Path

CONTACT = CONTACTS[0]
PRECONDITION = f"crm.contact.list?filter[ID]={CONTACT}&filter[ASSIGNED_BY_ID]={ANN}&select[]=ID&start=-1"


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    """Give a round whose worker has not begun."""
    return Round(1, tmp_path)


def send(round_: Round, **commands: str) -> None:
    """Send a batch as a worker would."""
    body = "&".join(f"cmd[{key}]={value.replace('&', '%26')}" for key, value in commands.items())
    path = f"{round_.portal.webhook_path}batch"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    round_.portal.handle(Request(method="POST", path=path, headers=headers, body=body.encode()))


def update(contact: Any, owner: int = BOB) -> str:
    """Return the command that gives a contact to somebody."""
    return f"crm.contact.update?id={contact}&fields[ASSIGNED_BY_ID]={owner}"


def judged(round_: Round, ended: int | None = None) -> list[str]:
    """Judge what happened so far."""
    round_._judge(0, len(round_.portal.history) if ended is None else ended)
    return round_.told.violations


def test_a_write_over_a_person_is_told(round_: Round) -> None:
    """Without a precondition it makes no difference how little time has passed."""
    round_.portal.people.edit_contact(CONTACT, by=CLEO, assigned_by_id=CLEO)
    send(round_, u=update(CONTACT))
    assert judged(round_) == [f"the attacked run gave contact {CONTACT} from {CLEO} to {BOB}, over a person's {CLEO}"]


def test_a_second_write_over_what_a_person_put_back_is_told(round_: Round) -> None:
    """The old owner is a decision as well: an answer was lost, and the same write is sent again."""
    send(round_, u=update(CONTACT))
    round_.portal.people.edit_contact(CONTACT, by=CLEO, assigned_by_id=ANN)
    send(round_, g=PRECONDITION, u=update("0$result[g][0][ID]"))
    assert judged(round_) == [f"the attacked run gave contact {CONTACT} from {ANN} to {BOB}, over a person's {ANN}"]


def test_what_falls_between_precondition_and_write_is_counted(round_: Round) -> None:
    """It is the gap that remains, with its age by the portal."""
    fault = {"kind": "human_edit_between", "command": "u", "contact_id": CONTACT, "owner": CLEO, "by": CLEO}
    round_.portal.faults.load([fault])
    send(round_, g=PRECONDITION, u=update("0$result[g][0][ID]"))
    assert judged(round_) == []
    assert round_.told.counts["between precondition and write"] == 1
    assert 0 <= round_.told.ages[0] < 1


def test_a_contact_that_nobody_planned_to_write_is_told(round_: Round) -> None:
    """The bare macro of a command that failed stands for contact 1."""
    round_.portal.faults.load([{"kind": "command_error", "command": "g"}])
    send(round_, before=f"crm.contact.list?filter[ID]={CONTACT}", g=PRECONDITION, u=update("$result[g][0][ID]"))
    assert judged(round_) == [
        f"the attacked run gave contact {BYSTANDER} from {CLEO} to {BOB}, which was not planned",
    ]


def test_a_write_before_a_persons_decision_is_none_over_it(round_: Round) -> None:
    """What comes later is nobody's fault."""
    send(round_, u=update(CONTACT))
    round_.portal.people.edit_contact(CONTACT, by=CLEO, assigned_by_id=CLEO)
    assert judged(round_) == []
    assert round_.told.counts["writes"] == 1


def test_a_run_that_is_refused_is_told(round_: Round) -> None:
    """It was not attacked, so it proves nothing; a run that failed or was killed was."""
    for code in (0, 1, 4, -9):
        round_._ended(code, "undo")
    assert round_.told.violations == []
    round_._ended(3, "undo")
    assert round_.told.violations == ["`undo` was refused with exit code 3"]


def test_an_attack_without_an_edit_is_none(round_: Round) -> None:
    """Nothing can be overwritten then."""
    assert not took_place([round_.told])
    round_.portal.people.edit_contact(CONTACT, by=CLEO, assigned_by_id=CLEO)
    judged(round_)
    assert took_place([Told(seed=2), round_.told])
