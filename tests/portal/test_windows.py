"""Reading by windows: all that matches, or an error; never a short list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.portal_fixture import ANN, Office
from support.portal_line import Line, Script, batch_answer, client_on

from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import DeniedError, IncompleteReadError, NotJsonError, ServerFaultError
from reconciler.portal.entities import COMPANY, CONTACT_LIST, ID, OWNER
from reconciler.portal.read.details import DetailOptions
from reconciler.portal.read.sweep import Reader, Scope
from reconciler.portal.read.windows import Listing, WindowReader
from reconciler.portal.rest.batch_codec import identifier
from reconciler.portal.rest.connection import http_client
from reconciler.simulator.assembly import build
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    import httpx


def linked(number: int, row: Any) -> int:
    """Tell that a contact passes the filter: it has a company."""
    if not identifier(row.get(COMPANY)):
        raise ValueError(f"contact {number} does not match")
    return number


LINKED = Listing(
    method=CONTACT_LIST, select=[ID, COMPANY, OWNER], filter={"!COMPANY_ID": 0}, parse=linked, noun="contacts"
)


def line(ids: Any, *, others: Any = (), faults: Any = (), **limits: Any) -> Line:
    """Return a line to an office with contacts of these IDs at company 5, and others at none."""
    office = Office(clock=VirtualClock(Timeline()), faults=faults)
    office.company(5)
    with office.database.bulk() as connection:
        rows = [(number, 5, ANN, 0, 0) for number in ids] + [(number, None, ANN, 0, 0) for number in others]
        connection.executemany(
            "INSERT INTO contact (id, company_id, assigned_by_id, date_create, date_modify) VALUES (?, ?, ?, ?, ?)",
            rows,
        )
    return Line(office, **limits)


def read(wire: Line, highest: int | None) -> list[int]:
    """Read all, as one list in the order of IDs."""
    return sorted(row for page in WindowReader(wire.client, LINKED, highest=highest).batches() for row in page)


def cost(wire: Line) -> tuple[int, int]:
    """Return requests and commands so far."""
    return wire.client.usage.requests, wire.client.usage.commands


@pytest.mark.parametrize(
    ("ids", "highest"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([], None, id="nothing-and-no-plan"),
        pytest.param([1], 1, id="one"),
        pytest.param(range(1, 51), 50, id="exactly-a-page"),
        pytest.param(range(1, 52), 51, id="one-more-than-a-page"),
        pytest.param(range(1, 101), 100, id="two-pages"),
        pytest.param(range(1, 2501), 2500, id="a-batch"),
        pytest.param(range(1, 2502), 2501, id="one-more-than-a-batch"),
        pytest.param(range(1, 700), None, id="no-plan"),
        pytest.param([*range(1, 60), *range(900, 960)], 959, id="a-gap"),
        pytest.param([7, 100_000, 5_000_000], 5_000_000, id="almost-nothing"),
        pytest.param([*range(1, 200), *range(3_000_000, 3_002_000)], 3_001_999, id="full-behind-a-wide-gap"),
        pytest.param(range(1_000_000, 1_000_400), 1_000_399, id="nothing-before"),
        pytest.param(range(1, 400), 20, id="more-than-planned"),
        pytest.param(range(1, 400), 90_000, id="fewer-than-planned"),
        pytest.param([2**31, 2**40], 2**40, id="large-ids"),
    ],
)
def test_every_row_once(ids: Any, highest: int | None) -> None:
    """Whatever the density, and whatever was believed about the highest ID."""
    assert read(line(ids), highest) == list(ids)


segments = st.lists(
    st.tuples(st.integers(0, 40_000), st.integers(1, 150), st.sampled_from([1, 1, 2, 7])), min_size=0, max_size=6
)


@settings(max_examples=20, deadline=None)
@given(segments=segments, highest=st.none() | st.integers(0, 50_000), nobody=st.randoms(use_true_random=False))
@example(segments=[(39_000, 150, 1), (39_500, 150, 1)], highest=39_649, nobody=None)
def test_exactly_the_matching_rows(segments: list[tuple[int, int, int]], highest: int | None, nobody: Any) -> None:
    """Random sets of IDs, a part of them without a company: each match once, and nothing else."""
    ids = sorted({start + step * index + 1 for start, length, step in segments for index in range(length)})
    others = {number for number in ids if nobody is not None and nobody.random() < 0.3}
    wire = line([number for number in ids if number not in others], others=others)
    known = max(ids, default=0) if highest is None else highest
    assert read(wire, known) == [number for number in ids if number not in others]


@pytest.mark.parametrize(
    ("gaps", "without_company", "requests", "commands"),
    [(0.0, 0.0, 7, 85), (0.1, 0.0, 6, 87), (0.3, 0.0, 7, 92), (0.1, 0.15, 6, 83)],
)
def test_what_a_sweep_costs(gaps: float, without_company: float, requests: int, commands: int) -> None:
    """The demo's portal (2,000 and 10,000, every tenth ID missing): companies, drift queries, and what drifted.

    Some thirty commands ask for links, companies and owners of 500 drifted contacts, as the default policies want it.
    """
    timeline = Timeline()
    spec = SeedSpec(companies=2_000, contacts=10_000, gaps=gaps, without_company=without_company)
    portal = build(spec, clock=VirtualClock(timeline), limits="cloud")
    client = client_on(InProcessTransport(portal), VirtualClock(timeline), burst=50, per_second=2, operating=480)
    snapshot = Reader(client, lambda *_: None).sweep(Scope(), DetailOptions(links=True))
    assert (len(snapshot.roster), snapshot.contacts) == (2_000, spec.linked)
    assert len(snapshot.mismatches) == portal.drift() == spec.drifted
    assert (client.usage.requests, client.usage.commands) == (requests, commands)
    assert portal.stats()["rejected"] == {}


@pytest.mark.parametrize(
    ("ids", "requests", "commands"),
    [
        pytest.param(range(1, 10_001), 4, 200, id="dense"),
        pytest.param([*range(1, 1_000), *range(2_000_000, 2_010_000)], 12, 510, id="full-behind-a-wide-gap"),
        pytest.param(range(1, 5_000_000, 50_000), 7, 310, id="thin"),
    ],
)
def test_cost_follows_the_rows_not_the_gaps(ids: Any, requests: int, commands: int) -> None:
    """Two million missing IDs take a few requests, and what is crowded behind them is cut by its own density."""
    wire = line(ids)
    assert read(wire, max(ids)) == list(ids)
    assert cost(wire)[0] <= requests
    assert cost(wire)[1] <= commands


def test_sixty_contacts_deleted_in_mid_read() -> None:
    """Peers lose three live rows here: windows do not move when rows before them go."""
    wire = line(range(1, 6_001), faults=[{"kind": "delete_contacts", "oldest": 60, "request": 2}])
    found = read(wire, 6_000)
    assert set(range(2_501, 6_001)) <= set(found) <= set(range(1, 6_001))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_contacts_deleted_in_the_pages_still_to_come(moment: str) -> None:
    """What was not yet read and is gone is not there; all others are."""
    gone = list(range(2_531, 2_591))
    fault = {"kind": "delete_contacts", "ids": gone, "request": 1, "moment": moment}
    wire = line(range(1, 6_001), faults=[fault])
    assert read(wire, 6_000) == [number for number in range(1, 6_001) if number not in gone]


MENDED = [
    pytest.param({"kind": "short_page", "rows": 1}, id="short-page"),
    pytest.param({"kind": "short_page", "rows": 50}, id="page-without-rows"),
    pytest.param({"kind": "empty_page"}, id="empty-page"),
    pytest.param({"kind": "missing_result"}, id="dropped-page"),
    pytest.param({"kind": "dropped_filter"}, id="all-filters-ignored"),
    pytest.param({"kind": "dropped_filter", "field": "ID"}, id="window-ignored"),
    pytest.param({"kind": "dropped_filter", "field": "COMPANY_ID"}, id="filter-ignored"),
    pytest.param({"kind": "operation_limit"}, id="operation-limit"),
    pytest.param({"kind": "command_error", "code": "INTERNAL_SERVER_ERROR"}, id="server-fault"),
]


@pytest.mark.parametrize("fault", MENDED)
def test_a_page_that_fails_once_is_read_again(fault: dict[str, Any]) -> None:
    """F2, F11.1: seen, because the portal's count, the window and the filter must all agree; then read once more."""
    faults = [fault | {"method": CONTACT_LIST, "request": 1, "times": 3}]
    wire = line(range(1, 1_001, 2), others=range(2, 1_001, 2), faults=faults)
    assert read(wire, 1_000) == list(range(1, 1_001, 2))
    assert cost(wire)[0] > 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "short_page"}, IncompleteReadError),
        ({"kind": "empty_page"}, IncompleteReadError),
        ({"kind": "missing_result"}, ServerFaultError),
        ({"kind": "dropped_filter"}, IncompleteReadError),
        ({"kind": "dropped_filter", "field": "COMPANY_ID"}, IncompleteReadError),
        ({"kind": "command_error"}, DeniedError),
        ({"kind": "wrong_json"}, NotJsonError),
    ],
    ids=lambda value: value["kind"] + value.get("field", "") if isinstance(value, dict) else "",
)
def test_a_page_that_keeps_failing_ends_the_read(fault: dict[str, Any], error: type[Exception]) -> None:
    """Issue 2: never a short list."""
    wire = line(range(1, 1_001, 2), others=range(2, 1_001, 2), faults=[fault | {"method": CONTACT_LIST}])
    with pytest.raises(error):
        read(wire, 1_000)


def test_a_portal_that_answers_five_commands_of_a_batch() -> None:
    """The others are asked for again, until nothing is missing."""
    wire = line(range(1, 1_001), faults=[{"kind": "partial_batch", "commands": 5}])
    assert read(wire, 1_000) == list(range(1, 1_001))


def test_one_refused_command_ends_the_read() -> None:
    """49 good pages and one refusal are not a whole."""
    wire = line(range(1, 2_501), faults=[{"kind": "command_error", "method": CONTACT_LIST, "times": 1}])
    with pytest.raises(DeniedError):
        read(wire, 2_500)


def rows(*ids: Any, company: Any = "5") -> list[dict[str, Any]]:
    """Return rows as the portal writes them."""
    return [{"ID": str(number), "COMPANY_ID": company, "ASSIGNED_BY_ID": "7"} for number in ids]


@pytest.mark.parametrize(
    ("result", "total", "doubt"),
    [
        pytest.param(rows(60), 1, "ID 60 came out of place", id="beyond-the-window"),
        pytest.param(rows(0), 1, "ID 0 came out of place", id="before-the-window"),
        pytest.param(rows(3, 3), 2, "ID 3 came out of place", id="twice"),
        pytest.param(rows(4, 3), 2, "ID 3 came out of place", id="unsorted"),
        pytest.param(rows("x"), 1, "not an identifier", id="no-number"),
        pytest.param(rows(3, company=None), 1, "contact 3 does not match", id="foreign"),
        pytest.param(rows(3), 2, "1 rows came where the portal counts 2", id="short"),
        pytest.param(rows(3, 4), 1, "2 rows came where the portal counts 1", id="long"),
        pytest.param(rows(*range(1, 51)), 0, "50 rows came where the portal counts 0", id="not-counted"),
        pytest.param(rows(3), None, "1 rows came where the portal counts None", id="no-count"),
        pytest.param([], None, "0 rows came where the portal counts None", id="nothing-and-no-count"),
        pytest.param({"7": rows(3)[0]}, 1, "an answer without rows", id="an-object"),
        pytest.param(None, 0, "an answer without rows", id="null"),
        pytest.param(["x"], 1, "no attribute", id="a-row-of-text"),
        pytest.param([None], 1, "no attribute", id="a-row-of-nothing"),
    ],
)
def test_an_answer_that_proves_nothing(result: Any, total: int | None, doubt: str) -> None:
    """Read three times, then given up with what was wrong."""
    good = rows(*range(51, 61))

    def answer(_request: httpx.Request) -> httpx.Response:
        two = len(script.commands[-1]) == 2
        totals = ({"c0": total} if total is not None else {}) | ({"c1": 10} if two else {})
        return batch_answer({"c0": result} | ({"c1": good} if two else {}), result_total=totals)

    script = Script(answer)
    with pytest.raises(IncompleteReadError, match="could not be read as a whole") as failure:
        list(WindowReader(script.client(), LINKED, highest=60).batches())
    assert doubt in str(failure.value)
    assert [len(commands) for commands in script.commands] == [2, 1, 1]


def test_a_count_that_never_comes_true_ends_the_read() -> None:
    """A portal that counts more than it shows is not asked for ever."""

    def answer(_request: httpx.Request) -> httpx.Response:
        first = len(script.requests) == 1
        found = {f"c{index}": rows(*range(1, 51)) if first else [] for index in range(len(script.commands[-1]))}
        return batch_answer(found, result_total=dict.fromkeys(found, 60))

    script = Script(answer)
    with pytest.raises(IncompleteReadError, match="0 rows came where the portal counts 60"):
        list(WindowReader(script.client(), LINKED, highest=50).batches())


def test_progress_is_told_by_ids() -> None:
    """Up to which ID everything was asked for; it ends at the highest."""
    wire = line(range(1, 6_001))
    reader = WindowReader(wire.client, LINKED, highest=6_000)
    positions = [reader.position for _ in reader.batches()]
    assert positions == [2_500, 5_000, 6_000]
    assert reader.queue.commands == 120


def test_one_http_client_is_enough() -> None:
    """The read works through a client that others share."""
    wire = line(range(1, 101))
    shared = http_client(connect_timeout=1, read_timeout=5, transport=InProcessTransport(wire.office.portal))
    wire.client = client_on(shared, wire.clock)
    assert read(wire, 100) == list(range(1, 101))
