"""The look at what changed among the companies: all of it is found; what cannot be told is read anew, or refused."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB, START, Office
from support.portal_line import tampered
from support.sweeping import CLEO, Watcher, companies_of, office, truth

from reconciler.core.companies import Strategy
from reconciler.errors import IncompleteReadError
from reconciler.simulator.faults import Fault, Faults, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.simulator.people import People

HOUR = 3600.0


def filled(**options: Any) -> Office:
    """Return twelve companies of Ann and Bob, one of our own, and a contact of each."""
    made = office(**options)
    for number in range(1, 13):
        made.company(10 * number, (ANN, BOB)[number % 2])
        made.contact(number, (ANN, BOB)[number % 2], 10 * number)
    made.company(65, ANN, is_my_company="Y")
    made.contact(20, ANN, 65)
    return made


@pytest.fixture(params=[Strategy.DRIFT, Strategy.PAGES], ids=["drift", "pages"])
def watcher(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """Return a watcher who has just seen the whole portal."""
    with closing(Watcher(filled(), request.param)) as found:
        found.look()
        yield found


def hold(watcher: Watcher) -> None:
    """Look once more, and find the truth."""
    found = watcher.look()
    assert set(found.snapshot.mismatches) == truth(watcher.line.office)
    assert found.snapshot.roster == companies_of(watcher.line.office)
    assert watcher.roster.owners == companies_of(watcher.line.office)
    [(linked,)] = watcher.line.office.portal.database.rows("SELECT COUNT(*) FROM contact WHERE company_id IS NOT NULL")
    assert found.snapshot.contacts == linked


def listed_anew(watcher: Watcher, then: Callable[[], None]) -> bool:
    """Tell whether all companies were read anew, rather than what changed of them."""
    before = watcher.roster.listed_at
    watcher.line.clock.sleep(600)
    then()
    hold(watcher)
    return watcher.roster.listed_at != before


def restored(people: People) -> None:
    """Delete a company, and take it out of the recycle bin again."""
    people.delete_company(20)
    people.restore_company(20)


def to_and_fro(people: People) -> None:
    """Make a company our own, and take that back, within a second."""
    people.edit_company(20, 1, is_my_company="Y")
    people.edit_company(20, 1, is_my_company="N")


@pytest.mark.parametrize(
    ("deed", "anew"),
    [
        pytest.param(lambda _: None, False, id="nothing"),
        pytest.param(lambda people: people.edit_company(20, 1, assigned_by_id=CLEO), False, id="owner"),
        pytest.param(lambda people: people.edit_company(20, 1, assigned_by_id=0), False, id="owner-taken-away"),
        pytest.param(lambda people: people.edit_company(20, 1, title="x"), False, id="another-field"),
        pytest.param(lambda people: people.create_company(CLEO), False, id="new"),
        pytest.param(
            lambda people: people.create_company(1, date_create=START - 9999, date_modify=START - 9999),
            False,
            id="imported-with-an-old-date",
        ),
        pytest.param(lambda people: people.edit_company(20, 1, is_my_company="Y"), False, id="made-our-own"),
        pytest.param(lambda people: people.edit_company(65, 1, is_my_company="N"), False, id="ours-no-longer"),
        pytest.param(to_and_fro, False, id="our-own-to-and-fro"),
        pytest.param(lambda people: people.delete_company(20), True, id="deleted"),
        pytest.param(lambda people: people.merge_companies(20, 30), True, id="merged"),
        pytest.param(restored, True, id="restored"),
    ],
)
def test_what_changes_among_the_companies_is_found(watcher: Watcher, deed: Callable[[People], Any], anew: bool) -> None:
    """With the look alone where that suffices; all are read anew in the same sweep where their count does not fit."""
    assert listed_anew(watcher, lambda: deed(watcher.line.office.portal.people)) is anew


def test_contacts_are_counted_at_each_look(watcher: Watcher) -> None:
    """Also where nothing changed among the companies."""
    for act in (lambda people: people.create_contact(ANN, 10), lambda people: people.delete_contact(3)):
        assert not listed_anew(watcher, lambda act=act: act(watcher.line.office.portal.people))


def test_a_new_company_of_ours_is_not_taken_for_one_of_the_others(watcher: Watcher) -> None:
    """It lies above the highest number known with each look from then on."""
    people = watcher.line.office.portal.people
    assert not listed_anew(watcher, lambda: people.create_company(ANN, is_my_company="Y") and None)
    assert not listed_anew(watcher, lambda: None)


def test_changes_in_the_second_of_a_look_are_found_by_the_next(watcher: Watcher) -> None:
    """Dates are in whole seconds (F2): two changes in one, before the look and after it."""
    people = watcher.line.office.portal.people
    people.edit_company(20, 1, assigned_by_id=CLEO)
    hold(watcher)
    people.edit_company(20, 1, assigned_by_id=BOB)
    hold(watcher)
    assert watcher.roster.owners[20] == BOB


def test_a_row_that_shows_up_after_its_date_is_found(watcher: Watcher) -> None:
    """F11.14: by up to a quarter of an hour, the overlap of two looks."""
    watcher.line.clock.sleep(600)
    hold(watcher)
    late = int(watcher.roster.refreshed_at.timestamp()) - 899
    watcher.line.office.database.write("UPDATE company SET assigned_by_id = 9, date_modify = ? WHERE id = 20", (late,))
    hold(watcher)


def test_a_change_while_a_part_of_the_look_is_asked_for_again_is_found(watcher: Watcher) -> None:
    """The count fails at first, and comes ten minutes after the question what changed: the next look begins there."""
    line, portal = watcher.line, watcher.line.office.portal
    line.clock.sleep(600)
    began = line.clock.now()
    first = portal.stats()["requests"] + 1
    refused = [{"kind": "operation_limit", "method": "batch", "request": first + more} for more in (1, 2)]
    portal.faults.load([{"kind": "missing_result", "method": "crm.company.list", "times": 1}, *refused])
    line.office.clock.call_later(1.0, lambda: portal.people.edit_company(20, 1, assigned_by_id=CLEO))
    watcher.look()
    assert line.clock.now() - began > timedelta(minutes=10)
    assert watcher.roster.refreshed_at - began < timedelta(seconds=1)
    portal.faults.load([])
    hold(watcher)


def test_what_moves_no_date_is_found_when_all_are_read(watcher: Watcher) -> None:
    """On the slower beat of `relist_hours`; until then it is not seen."""
    watcher.line.office.database.write("UPDATE company SET assigned_by_id = 9 WHERE id = 20")
    watcher.line.clock.sleep(6 * HOUR - 1)
    watcher.look()
    assert watcher.roster.owners[20] == ANN
    watcher.line.clock.sleep(1)
    hold(watcher)


@pytest.mark.parametrize(
    ("seconds", "anew"),
    [
        pytest.param(-1.0, True, id="back-a-second"),
        pytest.param(-5 * HOUR, True, id="back-hours"),
        pytest.param(5 * HOUR, False, id="ahead-hours"),
        pytest.param(7 * HOUR, True, id="ahead-beyond-the-beat"),
    ],
)
def test_a_portal_whose_clock_is_set(watcher: Watcher, seconds: float, anew: bool) -> None:
    """Dates before the last look say nothing any more when it goes back; and each look after it is as usual."""
    portal = watcher.line.office.portal
    before = watcher.roster.listed_at
    portal.clock_offset = seconds
    portal.people.edit_company(20, 1, assigned_by_id=CLEO)
    hold(watcher)
    assert (watcher.roster.listed_at != before) is anew
    assert not listed_anew(watcher, lambda: portal.people.edit_company(30, 1, assigned_by_id=CLEO))


@pytest.mark.parametrize(
    ("minutes", "anew"),
    [
        pytest.param(9, False, id="within-the-overlap"),
        pytest.param(16, True, id="beyond-the-overlap"),
        pytest.param(39, True, id="almost-all-that-passed"),
    ],
)
def test_a_clock_that_is_set_back_in_a_long_pause(watcher: Watcher, minutes: int, anew: bool) -> None:
    """Also where its present time does not tell, what changed meanwhile is found; each look after it is as usual."""
    portal = watcher.line.office.portal
    before = watcher.roster.listed_at
    portal.clock_offset = -60.0 * minutes
    portal.people.edit_company(20, 1, assigned_by_id=CLEO)
    watcher.line.clock.sleep(2400)
    hold(watcher)
    assert (watcher.roster.listed_at != before) is anew
    assert not listed_anew(watcher, lambda: portal.people.edit_company(30, 1, assigned_by_id=CLEO))


@pytest.mark.parametrize("minutes", [1, 5, 9])
def test_a_clock_that_is_set_back_by_less_than_an_interval(watcher: Watcher, minutes: int) -> None:
    """The next look is still after the last one, but what changed before it carries an older date than that."""
    portal = watcher.line.office.portal
    hold(watcher)
    portal.clock_offset = -60.0 * minutes
    portal.people.edit_company(20, 1, assigned_by_id=CLEO)
    watcher.line.clock.sleep(600)
    hold(watcher)


@pytest.mark.parametrize(("many", "anew"), [(1000, False), (1001, True)])
def test_where_many_changed_all_are_read(many: int, anew: bool) -> None:
    """A page of the changed walks over every company (F14): a thousand, or a quarter if that is more, are too many."""
    portal = office()
    for number in range(1, 1101):
        portal.company(number, ANN)
    with closing(Watcher(portal)) as watcher:
        watcher.look()
        now = START + 600

        def edit() -> None:
            portal.database.write("UPDATE company SET assigned_by_id = 8, date_modify = ? WHERE id <= ?", (now, many))

        assert listed_anew(watcher, edit) is anew


class Between(Faults):
    """Somebody does something right before one of the portal's calls."""

    def __init__(self, before: int, deed: Callable[[], Any]) -> None:
        super().__init__()
        self._left = before
        self._deed = deed

    def for_call(self, number: int, target: Target, *, named: bool = False) -> list[Fault]:  # noqa: ARG002
        if not named:
            self._left -= 1
            if self._left == 0:
                self._deed()
        return []


@pytest.mark.parametrize("before", range(1, 9))
@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(lambda people: people.create_company(ANN), id="created"),
        pytest.param(lambda people: people.edit_company(20, 1, assigned_by_id=CLEO), id="handed-over"),
        pytest.param(lambda people: people.delete_company(120), id="deleted"),
        pytest.param(lambda people: people.edit_company(120, 1, is_my_company="Y"), id="made-our-own"),
    ],
)
def test_people_who_work_during_a_look(watcher: Watcher, before: int, deed: Callable[[People], Any]) -> None:
    """Between any two of its commands: the look holds, or the next one; all are read anew only for the deleted."""
    portal = watcher.line.office.portal
    watcher.line.clock.sleep(600)
    listed = watcher.roster.listed_at
    portal.faults = Between(before, lambda: deed(portal.people))
    watcher.look()
    portal.faults = Faults()
    hold(watcher)
    assert watcher.roster.listed_at == listed or 120 not in watcher.roster.owners


COUNT = "crm.company.list?order[ID]=DESC&filter[%3DIS_MY_COMPANY]=N&select[]=ID&select[]=IS_MY_COMPANY&select[]=DATE"
CHANGED = "crm.company.list?order[ID]=ASC&filter[%3E%3DDATE_MODIFY]"
GOOD = {"ID": "20", "ASSIGNED_BY_ID": "7", "IS_MY_COMPANY": "N", "DATE_MODIFY": "2026-01-01T03:00:00+03:00"}


@pytest.mark.parametrize(
    ("method", "result", "maps", "doubt"),
    [
        pytest.param(COUNT, [], {"total": None}, "unknown shape", id="not-counted"),
        pytest.param(COUNT, [], {"time": {"duration": 0.1}}, "unknown shape", id="no-time"),
        pytest.param(COUNT, [], {"time": {"duration": 0.1, "date_start": "soon"}}, "unknown shape", id="another-time"),
        pytest.param(COUNT, {"a": 1}, {"total": 12}, "could not be read as a whole", id="newest-an-object"),
        pytest.param(COUNT, [GOOD | {"IS_MY_COMPANY": "Y"}], {"total": 12}, "out of place", id="newest-our-own"),
        pytest.param(COUNT, [GOOD, GOOD | {"ID": "30"}], {"total": 12}, "out of place", id="newest-upwards"),
        pytest.param(CHANGED, {"a": 1}, {"total": 1}, "could not be read as a whole", id="an-object"),
        pytest.param(CHANGED, [], {"total": None}, "could not be read as a whole", id="changes-not-counted"),
        pytest.param(
            CHANGED,
            [GOOD | {"DATE_MODIFY": "2025-12-31T23:44:59+00:00"}],
            {"total": 1},
            "filter that was sent",
            id="old",
        ),
        pytest.param(CHANGED, [GOOD | {"DATE_MODIFY": ""}], {"total": 1}, "company 20 does not match", id="no-date"),
        pytest.param(
            CHANGED, [GOOD | {"IS_MY_COMPANY": None}], {"total": 1}, "neither our own nor another's", id="whose"
        ),
    ],
)
def test_a_look_of_another_shape(watcher: Watcher, method: str, result: Any, maps: dict[str, Any], doubt: str) -> None:
    """Something else answers than a portal: no plan, and the roster stays as it was."""
    before = watcher.roster
    tampered(watcher.line, method, result, **maps)
    with pytest.raises(IncompleteReadError, match=doubt):
        watcher.look()
    assert watcher.roster == before


def test_a_count_that_stays_wrong_reads_all_each_time_and_is_no_obstacle(watcher: Watcher) -> None:
    """The portal's count is a reason to read more, never to believe less than was read."""
    tampered(watcher.line, COUNT, [], total=999)
    for _ in range(2):
        assert listed_anew(watcher, lambda: watcher.line.office.portal.people.edit_company(20, 1, assigned_by_id=CLEO))


def test_the_name_and_type_of_a_company_that_changed_are_not_asked_for_again(watcher: Watcher) -> None:
    """The look brought them."""
    portal = watcher.line.office.portal
    portal.people.edit_company(20, 1, assigned_by_id=CLEO, title="Acme")
    found = watcher.look()
    assert found.snapshot.company_details[20].name == "Acme"
