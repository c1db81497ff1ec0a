"""Which portal a name in the journal stands for: nothing of one portal is used on another, and nothing is forgotten."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from journal_values import change
from sqlalchemy import select
from structlog.testing import capture_logs

from reconciler.core.model import RunReport, Standing, Status
from reconciler.errors import PortalChangedError
from reconciler.journal import tables
from reconciler.journal.records import NewException
from reconciler.settings.address import parse_webhook

if TYPE_CHECKING:
    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal

HOST = "xn--80awhdgm.xn--p1ai"
CYRILLIC = "портал.рф"


def recognise(journal: Journal, name: str, address: str, *, accept: bool = False) -> list[str]:
    """Let a run begin under this name at this address; return what was logged."""
    webhook = parse_webhook(f"https://{address}/rest/1/code/")
    with capture_logs() as logs:
        journal.portals.recognise(name, webhook.name, webhook.is_host, accept)
    return [entry["event"] for entry in logs]


def leave_alone(journal: Journal, portal: str, *contacts: int) -> None:
    """Except these contacts."""
    journal.exceptions.add(portal, Standing.UNDONE, [NewException(contact=contact) for contact in contacts])


def left_alone(journal: Journal, portal: str) -> set[int]:
    """Return the contacts that are left alone there."""
    return set(journal.exceptions.in_force(portal))


def names(journal: Journal) -> dict[str, str | None]:
    """Return the portals of the journal, with their addresses."""
    with journal._reading() as connection:
        return {row.name: row.address for row in connection.execute(select(tables.portal))}


def test_another_spelling_of_an_older_version_is_the_same_portal(journal: Journal) -> None:
    """What a person took back stays taken back; the history comes along."""
    run = journal.begin(portal=CYRILLIC, command="service")
    leave_alone(journal, CYRILLIC, 1, 2)
    assert recognise(journal, HOST, HOST) == ["journal.portal_renamed"]
    assert names(journal) == {HOST: HOST}
    assert left_alone(journal, HOST) == {1, 2}
    found = journal.find_run(run)
    assert found is not None
    assert found.portal == HOST
    assert recognise(journal, HOST, HOST) == []


def test_two_spellings_come_together(journal: Journal, clock: VirtualClock) -> None:
    """Both kept runs, exceptions, standing drift and approvals of the same contacts; nothing in force is lost."""
    for portal in (CYRILLIC, "Портал.РФ.", HOST):
        run = journal.begin(portal=portal, command="service")
        journal.finish(RunReport(run=run, status=Status.IN_SYNC))
        journal.approvals.wait(portal, [change(5)], run=run, numbers={}, sentence="too many")
        leave_alone(journal, portal, 1)
    leave_alone(journal, CYRILLIC, 2)
    leave_alone(journal, HOST, 3)
    clock.sleep(1)
    assert sorted(recognise(journal, HOST, HOST)) == ["journal.portals_merged", "journal.portals_merged"]
    assert names(journal) == {HOST: HOST}
    assert left_alone(journal, HOST) == {1, 2, 3}
    assert {record.portal for record in journal.runs()} == {HOST}
    assert len(journal.runs()) == 3
    assert len(journal.approvals.open(HOST)) == 1
    assert journal.exceptions.forgiven(HOST) == {}
    with journal._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_a_port_of_its_own_takes_over_what_an_older_version_kept_under_the_host(journal: Journal) -> None:
    """The other portal of that host, if there is one, loses no exception either, as nobody can tell whose they are."""
    leave_alone(journal, "box.example", 1)
    assert recognise(journal, "box.example:8443", "box.example:8443") == ["journal.portal_renamed"]
    assert names(journal) == {"box.example:8443": "box.example:8443", "box.example": "box.example"}
    assert left_alone(journal, "box.example:8443") == {1}
    assert left_alone(journal, "box.example") == {1}
    assert recognise(journal, "box.example", "box.example") == []
    assert recognise(journal, "box.example:8443", "box.example:8443") == []
    assert len(names(journal)) == 2


def test_a_name_that_is_set_later_keeps_the_writes_that_are_open(journal: Journal) -> None:
    """It is said, and they are settled under the new name."""
    assert recognise(journal, HOST, HOST) == []
    run = journal.begin(portal=HOST, command="service")
    recognise(journal, HOST, HOST)
    journal.intend(run, [change(1)])
    assert recognise(journal, "head office", HOST) == ["journal.portal_renamed"]
    assert [intent.run for intent in journal.open_intents("head office")] == [run]
    assert names(journal) == {"head office": HOST}


def test_another_address_under_the_same_name_is_asked_about(journal: Journal) -> None:
    """Nothing changes until somebody accepts it; the sentence gives the option, and the exit code is 3."""
    recognise(journal, "head office", "old.example")
    journal.begin(portal="head office", command="service")  # the first run, and the only one
    sentence = r"is at new\.example now, and was at old\.example.* --accept-portal"
    with pytest.raises(PortalChangedError, match=sentence) as asked:
        recognise(journal, "head office", "new.example")
    assert asked.value.exit_code == 3
    assert names(journal) == {"head office": "old.example"}
    recognise(journal, "head office", "new.example", accept=True)
    assert names(journal) == {"head office": "new.example"}
    assert recognise(journal, "head office", "new.example") == []


def test_the_days_of_first_users_tell_portals_apart(journal: Journal) -> None:
    """They come together from several looks; the first difference is asked about, and what is accepted takes over."""
    journal.begin(portal=HOST, command="service")
    recognise(journal, HOST, HOST)
    compare = journal.portals.compare_users
    compare(HOST, {}, accept=False)
    compare(HOST, {1: date(2019, 3, 4)}, accept=False)
    compare(HOST, {2: date(2020, 1, 1)}, accept=False)
    sentence = f"at {HOST}: its user 2 was registered on 2021-01-01, and by the journal on 2020-01-01.* --accept-portal"
    with pytest.raises(PortalChangedError, match=sentence):
        compare(HOST, {1: date(2019, 3, 4), 2: date(2021, 1, 1)}, accept=False)
    compare(HOST, {1: date(2019, 3, 4), 2: date(2020, 1, 1)}, accept=False)
    compare(HOST, {2: date(2021, 1, 1)}, accept=True)
    compare(HOST, {2: date(2021, 1, 1), 1: date(2022, 2, 2)}, accept=False)


def test_other_portals_stay_what_they_are(journal: Journal) -> None:
    """A new one begins without any knowledge of them."""
    leave_alone(journal, "other.example", 1)
    leave_alone(journal, "head office", 2)
    assert recognise(journal, HOST, HOST) == []
    journal.begin(portal=HOST, command="service")
    assert recognise(journal, HOST, HOST) == []
    assert names(journal) == {"other.example": None, "head office": None, HOST: HOST}
    assert left_alone(journal, HOST) == set()


def test_a_new_name_with_the_users_of_a_known_portal_is_doubted(journal: Journal) -> None:
    """Two users in common are no chance; one is, and so is any other day. Nothing is kept of what was refused."""
    first, second = date(2020, 1, 1), date(2021, 2, 2)
    recognise(journal, "one.example.com", "one.example.com")
    journal.portals.compare_users("one.example.com", {1: first, 2: second}, accept=False)
    recognise(journal, "two.example.com", "two.example.com")
    for users in ({1: first}, {1: first, 2: first}, {3: first, 4: second}, {}):
        assert journal.portals.doubt("two.example.com", "two.example.com", users) == ""
    same = {1: first, 2: second, 3: second}
    for name in ("two.example.com", "three.example.com"):
        assert "seems to be one.example.com" in journal.portals.doubt(name, name, same)
    with pytest.raises(PortalChangedError, match=r"portal\.name"):
        journal.portals.compare_users("two.example.com", same, accept=False)
    assert not journal.portals.knows_users("two.example.com")
    journal.portals.compare_users("two.example.com", same, accept=True)
    assert journal.portals.doubt("two.example.com", "two.example.com", same) == ""


def test_the_histories_of_two_portals_never_come_together(journal: Journal) -> None:
    """Not even if somebody accepts that a portal has moved: it cannot have moved to the address of another one."""
    for name, day in (("one.example.com", date(2020, 1, 1)), ("two.example.com", date(2021, 2, 2))):
        recognise(journal, name, name)
        journal.portals.compare_users(name, {1: day, 2: day}, accept=False)
    with pytest.raises(PortalChangedError, match=r"set `portal\.name` to two\.example\.com"):
        recognise(journal, "one.example.com", "two.example.com", accept=True)
    assert names(journal) == {"one.example.com": "one.example.com", "two.example.com": "two.example.com"}
