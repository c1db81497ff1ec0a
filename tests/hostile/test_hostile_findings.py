"""What the random answers of `make fuzz` have found, each once more in plain words."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.portal_line import BEGAN, Line, Script, batch_answer, error_answer, tampered

from reconciler.core.companies import Group
from reconciler.errors import IncompleteReadError, MovedError, NotJsonError, PortalError, RefusedError
from reconciler.portal.diagnosis import diagnose
from reconciler.portal.read.drift import DriftQuery
from reconciler.portal.read.people import Structure, read_users
from reconciler.portal.read.sweep import Reader, Scope
from reconciler.portal.read.windows import MOST_WINDOWS
from reconciler.portal.rest.batch_codec import (
    LARGEST,
    MOST_VALUES,
    Answer,
    Command,
    Timing,
    decode_batch,
    identifier,
    moment,
    text,
)
from reconciler.portal.rest.questions import ask

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = Command("server.time", {})


def decoded(result: str = "1", **maps: str) -> Answer | PortalError:
    """Decode a batch of one command, of which some is written literally."""
    written = "".join(f', "result_{name}": {value}' for name, value in maps.items())
    body = f'{{"result": {{"result": {{"c0": {result}}}{written}}}, "time": {{"date_start": "{BEGAN}"}}}}'
    return decode_batch(body.encode(), 200, 1).answers[0]


@pytest.mark.parametrize(
    "number", [LARGEST + 1, 10**25, str(LARGEST + 1), "9" * 4000, 10**4000], ids=lambda number: type(number).__name__
)
def test_no_number_that_no_database_holds(number: int | str) -> None:
    """Stored in the journal it would end the program; as the highest ID it would plan windows without end."""
    with pytest.raises(ValueError, match="not an identifier"):
        identifier(number)
    assert identifier(str(LARGEST)) == identifier(LARGEST) == LARGEST


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-01-01T00:00:00Z"])
def test_no_moment_that_does_not_exist_in_utc(value: str) -> None:
    """The last hours of the calendar overflow when they are moved to another zone."""
    with pytest.raises(ValueError, match="nobody lived in"):
        moment(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("\ud800", "?"), ("x\udfffy", "x?y"), ("\U0001f600", "\U0001f600"), ("Łódź", "Łódź"), (None, ""), (7, "7")],
    ids=["high", "low", "pair", "letters", "null", "number"],
)
def test_a_text_can_be_written(value: Any, shown: str) -> None:
    """Half a surrogate pair has no place in any encoding: the journal and every file would refuse it."""
    assert text(value) == shown


@pytest.mark.parametrize("value", [["x"], {}, [[[]]]], ids=repr)
def test_a_list_is_no_text(value: Any) -> None:
    """Nor is an object; one nested deeply enough has no text at all."""
    with pytest.raises(ValueError, match="where a text should be"):
        text(value)


def test_measurements_that_cannot_be_are_unknown() -> None:
    """A call of 10**300 seconds would be planned for until the end of time."""
    answer = decoded(time='{"c0": {"duration": 1e300, "operating": 1e308, "operating_reset_at": 1e17}}')
    assert isinstance(answer, Answer)
    assert answer.timing == Timing()


@pytest.mark.parametrize("count", ["-1", "1.5", "1e3", "true", '"many"', str(LARGEST + 1), "[]"])
def test_a_count_is_a_whole_number(count: str) -> None:
    """Anything else and the answer is none."""
    with pytest.raises(NotJsonError, match="unknown shape"):
        decoded(total=f'{{"c0": {count}}}')


@pytest.mark.parametrize("depth", [100, 480, 900])
@pytest.mark.parametrize("place", ["error", "error_description"])
def test_an_error_of_any_shape_is_an_error(place: str, depth: int) -> None:
    """What is nested may be decoded and yet have no text."""
    nested = "[" * depth + '"not found"' + "]" * depth
    assert isinstance(decoded(error=f'{{"c0": {{"{place}": {nested}}}}}'), RefusedError)
    with pytest.raises(RefusedError):
        decode_batch(f'{{"error": "", "{place}": {nested}}}'.encode(), 400, 1)


def test_what_an_error_says_is_not_a_page() -> None:
    """Neither in its description nor in its code."""
    error = decoded(error=json.dumps({"c0": {"error": "c" * 50_000, "error_description": "d" * 50_000}}))
    assert isinstance(error, RefusedError)
    assert len(str(error)) < 1000
    assert len(error.code) <= 300


def test_an_answer_of_too_many_values_is_not_decoded() -> None:
    """Two bytes of JSON make a list of sixty: a body within its limit could fill the memory."""
    with pytest.raises(NotJsonError, match="more than 1,000,000 values"):
        decode_batch(b"[" + b"[]," * MOST_VALUES + b"1]", 200, 1)


def rows(numbers: range) -> str:
    """Return contacts of company 5 and owner 1."""
    row = {"COMPANY_ID": "5", "ASSIGNED_BY_ID": "1", "DATE_CREATE": BEGAN, "DATE_MODIFY": BEGAN}
    return json.dumps([{"ID": str(number), **row} for number in numbers])


@pytest.mark.parametrize("total", [10**9, 10**15, LARGEST])
@pytest.mark.parametrize("end", [None, LARGEST], ids=["open", "closed"])
def test_a_count_that_cannot_be_does_not_fill_the_memory(total: int, end: int | None) -> None:
    """Whatever the count says, an answer leaves a thousand windows and not a billion."""
    window = DriftQuery(Group(owner=2, companies=(5,)), "").above(0)
    object.__setattr__(window, "end", end)
    answer = decoded(rows(range(1, 51)), total=f'{{"c0": {total}}}')
    if total == LARGEST and end is not None:
        total -= 50
        answer = decoded(rows(range(1, 51)), total=f'{{"c0": {total}}}')
    assert isinstance(answer, Answer)
    found, left = window.prove(answer)
    assert len(found) == 50
    assert 1 < len(left) <= MOST_WINDOWS + 2
    assert (left[0].after, left[-1].end) == (50, end)
    assert [before.end for before in left[:-1]] == [behind.after for behind in left[1:]]


def test_more_rows_than_there_are_ids() -> None:
    """A page that ends at the window's end, and a count that goes on: asked again, and not divided by nothing."""
    window = DriftQuery(Group(owner=2, companies=(5,)), "").above(0)
    object.__setattr__(window, "end", 50)
    answer = decoded(rows(range(1, 51)), total='{"c0": 151}')
    assert isinstance(answer, Answer)
    found, (again,) = window.prove(answer)
    assert (found, again.readings) == ([], 1)


def test_departments_that_cannot_be() -> None:
    """Each fifty of them would be a question: a billion of them all memory."""
    line = tampered(Line(), "department.get", [{"ID": "1", "PARENT": "0", "UF_HEAD": "2"}], total=10**12)
    with pytest.raises(IncompleteReadError, match="1000000000000 departments"):
        ask(line.client, Structure().questions(0, 4))


@pytest.mark.parametrize("name", [["Ann"], {"0": "Ann"}], ids=["list", "object"])
def test_a_name_that_is_no_text(name: Any) -> None:
    """A name only explains: the person goes by the number, and everybody else is judged."""
    row = {"ID": "7", "ACTIVE": True, "NAME": name, "UF_DEPARTMENT": [1]}
    line = tampered(Line(), "user.get", [row], total=1)
    users = read_users(line.client, [7])
    assert users is not None
    assert (users[7].name, users[7].doubt) == ("user 7", "")


def test_a_finding_stays_a_line() -> None:
    """Whatever the portal calls its scopes, its users, its workflows."""
    for method, result in (
        ("scope", ["s" * 9000, [["x"]], {}] * 900),
        ("profile", {"ID": "1", "NAME": ["x"], "LAST_NAME": "n" * 9000, "ADMIN": True}),
        ("bizproc", [{"ID": [1], "NAME": "w" * 9000, "AUTO_EXECUTE": "3"}, {"NAME": {}, "AUTO_EXECUTE": [1]}]),
    ):
        line = tampered(Line(), method, result, total=1)
        findings = [*diagnose(line.client, line.clock.now())]
        assert len(findings) > 7
        assert max(len(finding.sentence) for finding in findings) < 12_000


@pytest.mark.parametrize(
    "location",
    [
        "https://xn--a/",
        "//xn--xn--a",
        "https://a b",
        "https://acme.bitrix24.ru:x/",
        "é" * 9,
        "/" + "a" * 70_000,
        "\x7f",
    ],
)
def test_a_redirect_to_no_address(location: str) -> None:
    """Followed nowhere, and told as what it is."""
    script = Script(httpx.Response(302, headers=[(b"Location", location.encode())]))
    with pytest.raises(PortalError) as failure:
        script.client(attempts=1).read([TIME])
    assert isinstance(failure.value, MovedError | NotJsonError) or "cannot be reached" in str(failure.value)
    assert len(script.requests) == 1


@pytest.mark.parametrize("packed", ["gzip, gzip", "gzip,deflate", "br", "zstd", "x-gzip", "compress"])
def test_an_answer_packed_twice_is_not_unpacked(packed: str) -> None:
    """Sixty kilobytes in two layers become sixty gigabytes, before anybody could measure them."""
    bomb = gzip.compress(gzip.compress(b" " * 2_000_000))

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": packed}, stream=httpx.ByteStream(bomb))

    with pytest.raises(NotJsonError, match="was not asked for"):
        Script(answer).client(attempts=1).read([TIME])


def test_packing_is_asked_for_by_name() -> None:
    """And not by what happens to be installed."""
    script = Script(batch_answer())
    script.client().read([TIME])
    assert script.requests[0].headers["accept-encoding"] == "gzip, deflate"


def without(field: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what takes a field out of a row."""
    return lambda row: {key: value for key, value in row.items() if key != field}


@pytest.mark.parametrize("field", ["ASSIGNED_BY_ID", "COMPANY_ID"])
def test_a_row_without_an_owner_is_not_a_row_with_none(field: str) -> None:
    """The portal writes null for none; a field that is missing is no answer, and nothing is written on it."""
    line = Line()
    line.office.company(5, 8)
    line.office.contact(3, 7, 5)
    row = {"ID": "3", "COMPANY_ID": "5", "ASSIGNED_BY_ID": "0", "DATE_CREATE": BEGAN, "DATE_MODIFY": BEGAN}
    tampered(line, "crm.contact.list", [without(field)(row)], total=1)
    with pytest.raises(IncompleteReadError):
        Reader(line.client, lambda *_: None).sweep(Scope())
    assert line.office.owner_of(3) == 7


def test_errors_of_the_portal_hold_no_time() -> None:
    """A wait that the portal names is never longer than its window."""
    script = Script(error_answer(429, "OPERATION_TIME_LIMIT"), batch_answer({"c0": 7}))
    assert script.client(operating=480).read([TIME])[0].result == 7
    assert script.clock.monotonic() <= timedelta(minutes=10).total_seconds()
