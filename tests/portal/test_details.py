"""What is read of drifted contacts besides their owners: in bulk, proven whole, and nothing taken on trust."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.portal_fixture import ADMIN, ANN, BOB, START, Office
from support.portal_line import Line

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.companies import Strategy
from reconciler.core.model import CompanyDetail, ContactDetail, Department, Names, User
from reconciler.core.policy import fit
from reconciler.errors import IncompleteReadError, MissingScopeError, PortalError, ServerFaultError, UsageError
from reconciler.portal.read.details import DetailOptions
from reconciler.portal.read.people import read_users
from reconciler.portal.read.sweep import Reader, Scope, SweepOptions
from reconciler.reporting.build import names_of
from reconciler.simulator import bindings
from reconciler.simulator.calls import Result
from reconciler.simulator.methods import METHODS, Method
from reconciler.simulator.php import PhpArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.snapshot import Snapshot
    from reconciler.simulator.calls import Call, Site

BEGAN = datetime.fromtimestamp(START, UTC)
FIELD = "UF_CRM_OWNER_FIXED"
LINKS = DetailOptions(links=True)
HEADS = DetailOptions(heads=True)
ALL_SCOPES = ("crm", "user", "department")
TLS = httpx.create_ssl_context(trust_env=False)
ITEMS, LINKS_OF_ONE = "crm.item.list", "crm.contact.company.items.get"

Rows = list[dict[str, Any]]


def items(site: Site, call: Call) -> Result:
    """Answer `crm.item.list` for contacts, as far as links need it (F2)."""
    wanted = call.array("filter").get("@id").values()
    rows = [
        {"id": int(number), "companyIds": PhpArray(bindings.companies_of(site.database, int(number)))}
        for number in wanted
        if site.database.row("SELECT 1 FROM contact WHERE id = ?", (int(number),))
    ]
    return Result(value={"items": PhpArray(rows)}, rows=len(rows))


@pytest.fixture(autouse=True)
def one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load the certificates for each client takes longer than most tests."""
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: TLS)


@pytest.fixture(autouse=True)
def bulk_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded portal answer `crm.item.list`."""
    if ITEMS not in METHODS:
        monkeypatch.setitem(METHODS, ITEMS, Method(items, frozenset({"crm"})))


def line(**options: Any) -> Line:
    """Return a line to an office where Bob owns company 5, and Ann its contact 1."""
    made = Line(Office(clock=VirtualClock(Timeline()), **options))
    made.office.company(5, BOB, title="Acme", company_type="CUSTOMER")
    made.office.contact(1, ANN, 5, name="Eva", last_name="Maier", type_id="CLIENT", modify_by_id=ADMIN)
    return made


def sweep(on: Line, wants: DetailOptions | None = None, **scope: Any) -> Snapshot:
    """Look at a portal page by page: so nothing is known of drifted contacts before they are looked at closer."""
    return Reader(on.client, lambda *_: None, SweepOptions(strategy=Strategy.PAGES)).sweep(
        Scope(**scope), wants or DetailOptions()
    )


def requests(on: Line, wants: DetailOptions | None = None) -> int:
    """Return how many requests a sweep takes."""
    before = on.stats["requests"]
    sweep(on, wants)
    return int(on.stats["requests"] - before)


def rewrite(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Rows], object]) -> None:
    """Let a list method of the portal answer other rows."""
    known = METHODS[method]

    def run(site: Site, call: Call) -> Result:
        result = known.run(site, call)
        rows = [dict(row) for row in result.value.values()]
        changed = change(rows)
        return replace(result, value=PhpArray(rows) if changed is None else changed)

    monkeypatch.setitem(METHODS, method, replace(known, run=run))


def test_a_drifted_contact_and_its_company() -> None:
    """Names, types, dates and the last editor; of companies the name and the type."""
    snapshot = sweep(line())
    assert snapshot.contact_details == {
        1: ContactDetail(
            name="Eva Maier",
            created=BEGAN - timedelta(seconds=1000),
            modified=BEGAN - timedelta(seconds=1000),
            modified_by=ADMIN,
            type="CLIENT",
        )
    }
    assert snapshot.company_details == {5: CompanyDetail(name="Acme", type="CUSTOMER")}
    assert snapshot.users == {
        ANN: User(id=ANN, name="Ann", active=True, employee=True, departments=(1,)),
        BOB: User(id=BOB, name="Bob", active=True, employee=True, departments=(1,)),
    }
    assert names_of(snapshot) == Names(contacts={1: "Eva Maier"}, companies={5: "Acme"}, users={ANN: "Ann", BOB: "Bob"})


def test_no_names_without_users() -> None:
    """Without a user scope there are no names of owners, and no users to judge."""
    snapshot = sweep(line(scopes=("crm",)))
    assert snapshot.users is None
    assert names_of(snapshot).users == {}


def test_only_drift_is_looked_at() -> None:
    """A contact in order costs nothing, and a portal in order no request."""
    office = line()
    office.office.contact(2, BOB, 5)
    assert list(sweep(office).contact_details) == [1]
    drifted = requests(office)
    office.office.portal.people.edit_contact(1, by=ANN, assigned_by_id=BOB)
    assert requests(office) == drifted - 1


@pytest.mark.parametrize(
    ("wants", "extra"),
    [
        pytest.param(DetailOptions(), 0, id="names-and-dates"),
        pytest.param(LINKS, 0, id="links"),
        pytest.param(
            DetailOptions(links=True, contact_field=FIELD, company_field=FIELD, successor=ADMIN), 0, id="fields"
        ),
        pytest.param(DetailOptions(links=True, heads=True), 1, id="heads-of-a-dismissed-owner"),
    ],
)
def test_five_hundred_drifted_contacts_take_one_request(wants: DetailOptions, extra: int) -> None:
    """Details ride with the users; only the heads of departments need a request of their own."""
    office = line(scopes=ALL_SCOPES)
    office.office.user(9, active=0)
    office.office.user(10)
    office.office.database.insert("department", id=1, name="Sales", head=10)
    for company in range(6, 206):
        office.office.company(company, 9 if company % 2 else BOB)
    for contact in range(2, 501):
        office.office.contact(contact, ANN, 6 + contact % 200)
    # The survey, the companies, the contacts; then all that drifted.
    assert requests(office, wants) == 3 + 1 + extra


def test_more_than_a_batch() -> None:
    """Beyond fifty commands there are more requests, and every contact has its details."""
    office = line()
    for number in range(2, 2602):
        office.office.contact(number, ANN, 5, name=f"N{number}")
    snapshot = sweep(office, LINKS)
    assert len(snapshot.contact_details) == 2601
    assert all(detail.companies == (5,) for detail in snapshot.contact_details.values())
    assert snapshot.contact_details[2601].name == "N2601"


@pytest.mark.parametrize("table", ["contact", "company"])
@pytest.mark.parametrize(
    ("value", "flagged"),
    [("Y", True), ("1", True), ("true", True), ("N", False), ("0", False), ("", False), (None, False)],
    ids=repr,
)
def test_yes_no_fields(table: str, value: str | None, flagged: bool) -> None:
    """Portals write yes and no in several ways."""
    office = line()
    number = {"contact": 1, "company": 5}[table]
    office.office.database.write(f"UPDATE {table} SET uf_crm_owner_fixed = ? WHERE id = ?", (value, number))  # noqa: S608
    snapshot = sweep(office, DetailOptions(contact_field=FIELD, company_field=FIELD))
    found = {"contact": snapshot.contact_details[1].flagged, "company": snapshot.company_details[5].flagged}
    other = "company" if table == "contact" else "contact"
    assert found == {table: flagged, other: False}


@pytest.mark.parametrize(
    ("wants", "sentence"),
    [
        pytest.param(
            DetailOptions(contact_field="UF_CRM_TYPO"), r"no field UF_CRM_TYPO; check policy.leave_contact", id="typo"
        ),
        pytest.param(
            DetailOptions(company_field="UF_CRM_TYPO"), r"no field UF_CRM_TYPO; check policy.leave_comp", id="company"
        ),
        pytest.param(
            DetailOptions(contact_field="NAME"), r"NAME is no yes/no field; check policy.leave_contact", id="text"
        ),
    ],
)
def test_a_field_that_is_none(wants: DetailOptions, sentence: str) -> None:
    """The portal drops an unknown name without a word, and then nobody would be left alone (F2)."""
    with pytest.raises(UsageError, match=sentence):
        sweep(line(), wants)


def test_records_without_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported ones may have none; they count as older than any sweep."""
    rewrite(
        monkeypatch,
        "crm.contact.list",
        lambda rows: [row.update(DATE_CREATE="", DATE_MODIFY=None) for row in rows] and None,
    )
    detail = sweep(line()).contact_details[1]
    assert (detail.created, detail.modified) == (datetime(1970, 1, 1, tzinfo=UTC),) * 2


def test_a_contact_that_is_deleted_meanwhile() -> None:
    """It is absent; the others have their details."""
    office = line()
    office.office.contact(2, ANN, 5)
    office.office.portal.faults.load([{"kind": "delete_contacts", "ids": [1], "method": "user.get"}])
    snapshot = sweep(office, LINKS)
    assert [mismatch.contact for mismatch in snapshot.mismatches] == [1, 2]
    assert list(snapshot.contact_details) == [2]


def test_all_companies_of_a_contact() -> None:
    """The links of the card, one command for fifty contacts."""
    office = line()
    office.office.company(6, ANN)
    office.office.portal.people.bind(1, 6)
    assert sweep(office, LINKS).contact_details[1].companies == (5, 6)
    assert sweep(office).contact_details[1].companies == ()
    assert LINKS_OF_ONE not in office.stats["commands"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: None, id="null"),
        pytest.param(PhpArray, id="empty"),
        pytest.param(lambda: {"items": PhpArray()}, id="no-items"),
        pytest.param(lambda: {"items": PhpArray([7])}, id="numbers"),
        pytest.param(lambda: {"items": PhpArray([{"id": "x", "companyIds": PhpArray([5])}])}, id="no-number"),
        pytest.param(lambda: {"items": PhpArray([{"id": 1}])}, id="without-links"),
        pytest.param(lambda: {"items": PhpArray([{"id": 1, "companyIds": "56"}])}, id="text"),
        pytest.param(lambda: {"items": PhpArray([{"id": 1, "companyIds": PhpArray()}])}, id="no-links"),
        pytest.param(lambda: {"items": PhpArray([{"id": 1, "companyIds": PhpArray([6])}])}, id="not-the-primary"),
        pytest.param(lambda: {"items": PhpArray([{"id": 9, "companyIds": PhpArray([5])}])}, id="another-contact"),
    ],
)
def test_bulk_links_that_cannot_be_right(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], object]) -> None:
    """What does not name the company that the sweep saw is asked for one by one."""
    monkeypatch.setitem(METHODS, ITEMS, Method(lambda _site, _call: Result(value=answer())))
    office = line()
    office.office.company(6, ANN)
    office.office.portal.people.bind(1, 6)
    assert sweep(office, LINKS).contact_details[1].companies == (5, 6)
    assert office.stats["commands"][LINKS_OF_ONE] == 1


def test_a_portal_without_bulk_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older portal does not know the method: each contact is asked for alone."""
    monkeypatch.delitem(METHODS, ITEMS)
    assert sweep(line(), LINKS).contact_details[1].companies == (5,)


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        pytest.param(
            {"code": "ACCESS_DENIED", "status": 403},
            IncompleteReadError,
            r'no right to this.*nothing was written; policy.multi_company = "primary" does without',
            id="denied",
        ),
        pytest.param({"code": "INTERNAL_SERVER_ERROR"}, ServerFaultError, "failed inside", id="broken"),
    ],
)
def test_links_that_may_not_be_read(
    monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    """A second company could hide there, so nothing is concluded."""
    monkeypatch.delitem(METHODS, ITEMS)
    office = line()
    office.office.portal.faults.load([{"kind": "command_error", "method": LINKS_OF_ONE, **fault}])
    with pytest.raises(error, match=sentence):
        sweep(office, LINKS)


def test_links_of_a_contact_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before the write will find out."""
    monkeypatch.delitem(METHODS, ITEMS)
    office = line()
    office.office.portal.faults.load([{"kind": "command_error", "method": LINKS_OF_ONE, "code": "NOT_FOUND"}])
    assert sweep(office, LINKS).contact_details[1].companies == ()


def test_links_in_an_unknown_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for again, then the sweep is given up."""
    monkeypatch.delitem(METHODS, ITEMS)
    monkeypatch.setitem(METHODS, LINKS_OF_ONE, Method(lambda _site, _call: Result(value=None)))
    with pytest.raises(IncompleteReadError, match="companies of a contact could not be read as a whole"):
        sweep(line(), LINKS)


@pytest.mark.parametrize("scope", [{"companies": (5,)}, {"owners": (BOB,)}], ids=["company", "owner"])
def test_a_narrow_look_knows_the_owners_of_other_companies(scope: dict[str, tuple[int, ...]]) -> None:
    """A contact of two companies is the same case whether one company was looked at or all; own ones have no say."""
    office = line()
    for company, columns in ((6, {}), (7, {"is_my_company": "Y"})):
        office.office.company(company, ADMIN, **columns)
        office.office.portal.people.bind(1, company)
    snapshot = sweep(office, LINKS, **scope)
    assert snapshot.contact_details[1].companies == (5, 6, 7)
    assert (snapshot.roster, snapshot.other_companies) == ({5: BOB}, {6: ADMIN})
    assert (snapshot.contacts, snapshot.contacts_of_portal) == (1, 1)


@pytest.mark.parametrize("method", ["crm.contact.list", "crm.company.list", "user.get"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "short_page"}, id="short"),
        pytest.param({"kind": "empty_page"}, id="empty"),
        pytest.param({"kind": "dropped_filter"}, id="unfiltered"),
    ],
)
def test_details_that_are_not_whole(method: str, fault: dict[str, Any]) -> None:
    """Asked for again; three times in a row is no accident."""
    office = line()
    office.office.contact(2, BOB, 5)
    office.office.company(6)
    # The windows of the sweep come before the request with the details: survey, companies, contacts.
    faults = [{**fault, "method": method, "request": number} for number in (4, 5)]
    office.office.portal.faults.load(faults)
    assert list(sweep(office).contact_details) == [1]
    again = office.stats["requests"]
    office.office.portal.faults.load([{**fault, "method": method, "request": again + n} for n in (4, 5, 6)])
    with pytest.raises(IncompleteReadError, match="could not be read as a whole"):
        sweep(office)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows.append(rows[0]) or rows.pop(0), id="twice"),
        pytest.param(lambda rows: [row.update(ID="77") for row in rows] and None, id="not-asked-for"),
        pytest.param(lambda rows: [row.pop("DATE_MODIFY") for row in rows] and None, id="without-a-date"),
        pytest.param(lambda _rows: "rows", id="no-rows"),
    ],
)
def test_contacts_in_an_unknown_shape(monkeypatch: pytest.MonkeyPatch, change: Callable[[Rows], object]) -> None:
    """Nothing is made of what cannot be understood."""

    def in_details(rows: Rows) -> object:
        return change(rows) if rows and "NAME" in rows[0] else None

    office = line()
    office.office.contact(2, ANN, 5)
    rewrite(monkeypatch, "crm.contact.list", in_details)
    with pytest.raises(IncompleteReadError, match="the contacts could not be read as a whole"):
        sweep(office)


@pytest.mark.parametrize(
    ("value", "departments"),
    [
        pytest.param(PhpArray([3, 1]), (3, 1), id="numbers"),
        pytest.param(PhpArray(["3"]), (3,), id="text"),
        pytest.param(PhpArray({1: 3}), (3,), id="object"),
        pytest.param(PhpArray([0]), (), id="zero"),
        pytest.param(PhpArray(), (), id="empty"),
        pytest.param(False, (), id="false"),
        pytest.param(None, (), id="null"),
        pytest.param(4, (4,), id="alone"),
    ],
)
def test_departments_of_a_user(monkeypatch: pytest.MonkeyPatch, value: object, departments: tuple[int, ...]) -> None:
    """PHP writes lists in several ways; who is in none is no employee's account (F17)."""
    rewrite(monkeypatch, "user.get", lambda rows: [row.update(UF_DEPARTMENT=value) for row in rows] and None)
    users = sweep(line()).users
    assert users is not None
    assert (users[BOB].departments, users[BOB].employee) == (departments, bool(departments))


@pytest.mark.parametrize(
    ("field", "value", "doubt"),
    [
        pytest.param("ACTIVE", "Y", "ACTIVE is neither true nor false", id="a-letter"),
        pytest.param("ACTIVE", None, "ACTIVE is neither true nor false", id="null"),
        pytest.param("UF_DEPARTMENT", PhpArray(["x"]), "UF_DEPARTMENT is no list of numbers", id="no-department"),
    ],
)
def test_a_user_who_cannot_be_read(monkeypatch: pytest.MonkeyPatch, field: str, value: Any, doubt: str) -> None:
    """Nobody is taken for active on a guess, and nobody else is kept from being judged."""
    rewrite(monkeypatch, "user.get", lambda rows: rows[0].update({field: value}))
    users = sweep(line()).users
    assert users is not None
    assert [user.doubt for user in users.values()] == [doubt, *[""] * (len(users) - 1)]
    assert not fit(next(iter(users.values())))


def test_people_on_request() -> None:
    """Editors, old owners and the like, by number; 0 is nobody."""
    office = line()
    assert sorted(read_users(office.client, {0, ADMIN, 99}) or {}) == [ADMIN]
    assert read_users(line(scopes=("crm",)).client, {ADMIN}) is None


@pytest.mark.parametrize("method", ["crm.contact.list", "crm.company.list"])
def test_details_that_may_not_be_read(method: str) -> None:
    """A right that is taken away in the middle of a sweep."""
    office = line()
    office.office.portal.faults.load([{"kind": "command_error", "method": method, "request": 4}])
    with pytest.raises(PortalError, match="no right to this"):
        sweep(office)


def test_users_that_may_not_be_read() -> None:
    """Any refusal but a missing scope ends the sweep."""
    office = line()
    office.office.portal.faults.load([{"kind": "command_error", "method": "user.get"}])
    with pytest.raises(PortalError, match="no right to this"):
        sweep(office)


def test_the_successor_is_known() -> None:
    """The policy judges whether he or she may own records."""
    users = sweep(line(), DetailOptions(successor=ADMIN)).users
    assert users is not None
    assert users[ADMIN].active


def firm(*departments: tuple[int, int, int], of_bob: str = "[3]") -> Line:
    """Return a line to a firm with departments (number, parent, head), from which Bob is gone."""
    office = line(scopes=ALL_SCOPES)
    office.office.database.write("UPDATE user SET active = 0, departments = ? WHERE id = ?", (of_bob, BOB))
    for number, parent, head in departments:
        office.office.database.insert("department", id=number, name=f"D{number}", parent=parent, head=head)
    return office


@pytest.mark.parametrize(
    ("departments", "known"),
    [
        pytest.param([(1, 0, ADMIN), (2, 1, 0), (3, 2, 20)], {ADMIN, 20}, id="upwards"),
        pytest.param([(3, 4, 20), (4, 3, 21)], {20, 21}, id="loop"),
        pytest.param([(3, 99, 20)], {20}, id="parent-unknown"),
        pytest.param([(1, 0, ADMIN)], set(), id="department-unknown"),
    ],
)
def test_heads_of_departments(departments: list[tuple[int, int, int]], known: set[int]) -> None:
    """Those of the departments of a dismissed owner, and of the departments above."""
    office = firm(*departments)
    for number in (20, 21):
        office.office.user(number)
    snapshot = sweep(office, HEADS)
    assert set(snapshot.users or ()) == {ANN, BOB} | known
    assert snapshot.departments == {
        number: Department(id=number, parent=parent, head=head) for number, parent, head in departments
    }


@pytest.mark.parametrize(
    ("count", "extra"), [(1, 1), (200, 1), (201, 2), (420, 2)], ids=["one", "four-pages", "one-more", "nine-pages"]
)
def test_many_departments(count: int, extra: int) -> None:
    """Up to 200 come with the details; beyond, one request more brings all others."""
    office = firm(*((number, number - 1, ADMIN) for number in range(1, count + 1)), of_bob=f"[{count}]")
    assert requests(office, HEADS) == requests(office) + extra
    assert len(sweep(office, HEADS).departments) == count


def test_departments_that_nobody_needs() -> None:
    """All owners are there: no heads are asked for, and no departments kept."""
    office = firm((3, 0, ADMIN))
    office.office.database.write("UPDATE user SET active = 1 WHERE id = ?", (BOB,))
    assert requests(office, HEADS) == requests(office)
    assert sweep(office, HEADS).departments == {}


def test_departments_without_their_scope() -> None:
    """The sentence names the setting that needs it."""
    with pytest.raises(MissingScopeError, match=r'scope department, which policy.dismissed_owner = "head" needs'):
        sweep(line(), HEADS)


def test_departments_that_may_not_be_read() -> None:
    """Any other refusal is told as it is."""
    office = firm((3, 0, ADMIN))
    office.office.portal.faults.load([{"kind": "command_error", "method": "department.get"}])
    with pytest.raises(PortalError, match="no right to this"):
        sweep(office, HEADS)


def test_no_heads_without_users() -> None:
    """Without a user scope nobody can be judged, so nobody's head is asked for."""
    office = line(scopes=("crm", "department"))
    assert sweep(office, HEADS).users is None


def test_a_page_beyond_the_last_is_the_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with other lists of the portal (F2): it is left out."""
    known = METHODS["department.get"]
    monkeypatch.setitem(
        METHODS, "department.get", replace(known, run=lambda site, call: known.run(site, replace(call, start=0)))
    )
    office = firm((3, 0, ADMIN))
    assert sweep(office, HEADS).departments == {3: Department(id=3, parent=0, head=ADMIN)}


@pytest.mark.parametrize("fault", ["short_page", "empty_page"])
def test_departments_that_are_not_whole(fault: str) -> None:
    """A missing department could hide the head who decides."""
    office = firm((3, 0, ADMIN))
    office.office.portal.faults.load([{"kind": fault, "method": "department.get"}])
    with pytest.raises(IncompleteReadError, match="the departments could not be read as a whole"):
        sweep(office, HEADS)


def test_departments_that_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that overlap do not add up to the count."""
    rewrite(monkeypatch, "department.get", lambda rows: [row.update(ID="3") for row in rows] and None)
    with pytest.raises(IncompleteReadError, match="1 departments came where the portal counts 2"):
        sweep(firm((3, 0, ADMIN), (4, 0, ADMIN)), HEADS)
