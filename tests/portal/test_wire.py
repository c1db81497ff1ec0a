"""Commands as PHP reads them, answers as PHP writes them (F1.2, F1.3)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.errors import (
    AuthorizationError,
    DeniedError,
    ForeignAnswerError,
    NotJsonError,
    RefusedError,
    ServerFaultError,
)
from reconciler.portal.rest.batch_codec import (
    Answer,
    Command,
    Found,
    Timing,
    batch_body,
    decode_batch,
    identifier,
    moment,
)
from reconciler.simulator.batch import Command as Parsed
from reconciler.simulator.batch import Maps, substituted
from reconciler.simulator.php import PhpArray, from_python, parse_str

BEGAN = "2026-01-01T03:00:00+03:00"

# PHP itself cannot tell a bracket in a key from the end of it; fields have no such names.
keys = st.text(st.characters(exclude_characters="[]\0 ", exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
leaves = st.integers(-1, 10**12) | texts
values = st.recursive(
    leaves | st.lists(st.integers(0, 999), min_size=1, max_size=4) | st.lists(texts, min_size=1, max_size=4),
    lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def as_text(value: Any) -> Any:
    """Turn numbers into text, all the way down: a query string knows nothing else."""
    match value:
        case dict():
            return {key: as_text(item) for key, item in value.items()}
        case list():
            return [as_text(item) for item in value]
    return str(value)


@settings(max_examples=60, deadline=None)
@given(params=st.dictionaries(st.sampled_from(["filter", "order", "id", "FILTER"]), values, max_size=3))
@example(params={"filter": {">=DATE_MODIFY": "2026-01-01T00:00:00+03:00", "%TITLE": "50 % & more #1 [x] = ключ ☎"}})
@example(params={"id": "a=b&c=d+e%20f#g?h[]\"'\\\n\t"})
def test_what_is_encoded_is_what_php_decodes(params: dict[str, Any]) -> None:
    """F1.3: through the JSON body, `parse_url` and `parse_str` each value arrives as it was, as text."""
    body = batch_body([Command("crm.contact.list", params).encoded])
    command = Parsed.parse(json.loads(body)["cmd"]["c0"])
    assert command.method == "crm.contact.list"
    assert parse_str(command.query) == from_python(as_text(params))


def test_the_form_of_a_command() -> None:
    """F1.3, letter by letter: operators and plus signs encoded once, brackets plain, a list with empty indexes."""
    command = Command(
        "crm.contact.list",
        {
            "order": {"ID": "ASC"},
            "filter": {">ID": 1200, "@COMPANY_ID": [5, 7], ">=DATE_MODIFY": "2026-11-21T10:00:00+03:00", "!X": "%"},
            "select": ["ID", "A B"],
            "start": -1,
        },
    )
    assert command.encoded == (
        "crm.contact.list?order[ID]=ASC&filter[%3EID]=1200&filter[%40COMPANY_ID][]=5&filter[%40COMPANY_ID][]=7"
        "&filter[%3E%3DDATE_MODIFY]=2026-11-21T10%3A00%3A00%2B03%3A00&filter[%21X]=%25"
        "&select[]=ID&select[]=A%20B&start=-1"
    )


def test_a_command_without_parameters() -> None:
    """No question mark either."""
    assert Command("server.time", {}).encoded == "server.time"


@pytest.mark.parametrize(
    "value",
    [[], {}, None, True, False, 1.5, [True], [None], {"a": []}, {"a": {"b": None}}, b"x"],
    ids=repr,
)
def test_what_cannot_be_expressed_is_refused(value: Any) -> None:
    """F1.3 and F2: the portal would drop an empty list, and the condition with it; `True` it would read as a text."""
    with pytest.raises(ValueError, match="cannot be sent"):
        len(Command("m", {"filter": value}).encoded)


def test_the_body_of_a_batch_has_no_numeric_keys() -> None:
    """F1.3: PHP would answer those with lists that lose their positions; and a failure stops nothing."""
    body = json.loads(batch_body(["a", "b?x=1"]))
    assert body == {"halt": 0, "cmd": {"c0": "a", "c1": "b?x=1"}}


def test_a_command_refers_to_an_earlier_one() -> None:
    """The reference is a `0` and a macro with the other command's key, at the end of its value."""
    update = Command(
        "crm.contact.update", {"id": Found(1, (0, "ID")), "fields": {"A": 5}, "filter": {"=B": Found(0, (3, "ID"))}}
    )
    filled = json.loads(batch_body(["a", "b", update.encoded]))["cmd"]["c2"]
    arguments = parse_str(Parsed.parse(filled).query)
    assert arguments == from_python(
        {"id": "0$result[c1][0][ID]", "fields": {"A": "5"}, "filter": {"=B": "0$result[c0][3][ID]"}}
    )


def test_a_text_with_braces_is_no_reference() -> None:
    """What looks like a reference in a text from the portal stays the text that it is."""
    command = Command("m", {"x": "{0} {7}"})
    assert Parsed.parse(json.loads(batch_body([command.encoded]))["cmd"]["c0"]).query.count("%7B0%7D") == 1


@pytest.mark.parametrize("position", [0, 1, 7], ids=["itself", "later", "none"])
def test_a_reference_to_no_earlier_command_is_refused(position: int) -> None:
    """The portal fills a macro in when its command's turn comes: there would be nothing yet."""
    with pytest.raises(ValueError, match="does not come earlier"):
        batch_body([Command("m", {"id": Found(position, ("x",))}).encoded, "m"])


@pytest.mark.parametrize("text", ["$result[c0][0][ID]", "Price: $Total[c0]", "0$result[c0]", "$$time[x]"])
def test_a_text_is_never_a_macro(text: str) -> None:
    """The portal would replace it, also inside a name from the CRM; it has no escape, so a space follows the `$`."""
    command = json.loads(batch_body([Command("m", {"x": text}).encoded]))["cmd"]["c0"]
    sent = parse_str(Parsed.parse(command).query).get("x")
    assert substituted(sent, Maps()) == sent
    assert sent.replace("$ ", "$") == text


# Answers ------------------------------------------------------------------------------------------------------------


def answer(time: Any = None, **maps: Any) -> bytes:
    """Return the body of an answer to a batch."""
    return json.dumps({"result": maps, "time": time or {"date_start": BEGAN, "duration": 0.5}}).encode()


ROW = [{"ID": "1"}]
FULL = {
    "result": {"c0": ROW},
    "result_error": [],
    "result_total": {"c0": 1},
    "result_next": [],
    "result_time": {"c0": {"duration": 0.25, "operating": 1.5, "operating_reset_at": 1767226200}},
}


def test_an_answer_in_full() -> None:
    """Result, total and the portal's measurements; the envelope's own time, in the portal's zone."""
    batch = decode_batch(answer(**FULL), 200, 1)
    timing = Timing(duration=0.25, operating=1.5, operating_reset_at=1767226200.0)
    assert batch.answers == (Answer(result=ROW, total=1, timing=timing),)
    assert batch.timing == Timing(duration=0.5, began=BEGAN)
    assert batch.began.isoformat() == BEGAN


@pytest.mark.parametrize(
    ("start", "expected"),
    [(1767226200.25, 1767226200.25), (5, 5.0), ("5", None), (-1, None), ([], None), (None, None), (1e300, None)],
    ids=str,
)
def test_when_a_command_began(start: Any, expected: float | None) -> None:
    """Only for reports: a moment that is none is unknown, and the answer counts."""
    body = answer(**FULL | {"result_time": {"c0": {"start": start, "finish": 7.5}}})
    (one,) = decode_batch(body, 200, 1).answers
    assert isinstance(one, Answer)
    assert (one.timing.start, one.timing.finish) == (expected, 7.5)


@pytest.mark.parametrize("name", ["result_error", "result_total", "result_next", "result_time"])
@pytest.mark.parametrize("empty", ["list", "object", "missing"])
def test_an_empty_map(name: str, empty: str) -> None:
    """F1.3: `[]` is what PHP makes of an empty map; an object or none at all means the same."""
    maps: dict[str, Any] = {"result": {"c0": True}, name: {"list": [], "object": {}}.get(empty)}
    if empty == "missing":
        del maps[name]
    assert decode_batch(answer(**maps), 200, 1).answers == (Answer(result=True),)


@pytest.mark.parametrize("empty", [[], {}], ids=["list", "object"])
def test_nothing_succeeded(empty: Any) -> None:
    """F1.3: then `result` itself is `[]`, and each command stands in `result_error`."""
    failures = {"c0": {"error": "", "error_description": "Access denied."}, "c1": {"error": "X"}}
    first, second = decode_batch(answer(result=empty, result_error=failures), 200, 2).answers
    assert isinstance(first, DeniedError)
    assert (first.code, first.status) == ("", None)
    assert isinstance(second, RefusedError)
    assert second.code == "X"


@pytest.mark.parametrize("name", ["result", "result_error", "result_total", "result_time"])
def test_a_list_that_holds_something_is_not_ours(name: str) -> None:
    """F1.3: it belongs to numeric keys, which we never send; to guess positions would be to guess records."""
    with pytest.raises(NotJsonError, match="unknown shape"):
        decode_batch(answer(**{"result": {"c0": True}, name: [1]}), 200, 1)


def test_the_order_of_the_answers_is_that_of_the_commands() -> None:
    """Whatever order the maps have; an error stands where its command stood, and so does a gap."""
    maps = {"result": {"c3": 3, "c0": 0}, "result_error": {"c1": {"error": "ACCESS_DENIED"}}}
    zero, one, two, three = decode_batch(answer(**maps), 200, 4).answers
    assert isinstance(zero, Answer)
    assert isinstance(three, Answer)
    assert (zero.result, three.result) == (0, 3)
    assert isinstance(one, DeniedError)
    assert isinstance(two, ServerFaultError)
    assert "unanswered" in str(two)


def test_present_in_the_errors_is_failed() -> None:
    """F6: whatever the code says, and even where a result stands beside it."""
    maps = {"result": {"c0": True}, "result_error": {"c0": {"error": "", "error_description": None}}}
    assert isinstance(decode_batch(answer(**maps), 200, 1).answers[0], RefusedError)


@pytest.mark.parametrize(
    "maps",
    [
        {"result": {"nbc0": True}},
        {"result": {"nac0": True, "nbc0": True}},
        {"result": {"c0": True}},
        {"result": [], "result_error": {"nbc0": {"error": "ACCESS_DENIED"}}},
    ],
    ids=["another-batch", "a-key-too-many", "no-nonce", "another-batch-that-failed"],
)
def test_the_answer_to_another_batch_is_none(maps: dict[str, Any]) -> None:
    """Its keys do not begin as ours: what became of ours is not known."""
    with pytest.raises(ForeignAnswerError, match="the answer to another request"):
        decode_batch(answer(**maps), 200, 1, "na")
    assert decode_batch(answer(result={"nac0": True}), 200, 1, "na").answers == (Answer(result=True),)


def test_null_is_a_result() -> None:
    """A method may answer null; its key is there."""
    assert decode_batch(answer(result={"c0": None}), 200, 1).answers == (Answer(result=None),)


@pytest.mark.parametrize(
    ("time", "timing"),
    [
        pytest.param({}, Timing(), id="absent"),
        pytest.param({"operating": None, "duration": None}, Timing(), id="null"),
        pytest.param({"operating": 0, "duration": 0}, Timing(operating=0.0, duration=0.0), id="whole-numbers"),
        pytest.param({"operating": "1.5", "duration": "2"}, Timing(operating=1.5, duration=2.0), id="texts"),
        pytest.param({"operating": -1, "duration": float("nan")}, Timing(), id="nonsense"),
        pytest.param({"operating": float("inf")}, Timing(), id="endless"),
    ],
)
def test_timings(time: dict[str, Any], timing: Timing) -> None:
    """F15: missing is unknown, which is not zero; F1.2: numbers come whole or not."""
    (only,) = decode_batch(answer(result={"c0": 1}, result_time={"c0": time}), 200, 1).answers
    assert isinstance(only, Answer)
    assert only.timing == timing


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html><h1>502 Bad Gateway</h1></html>", id="html"),
        pytest.param(answer(**FULL)[:40], id="cut"),
        pytest.param(b'"\xff"', id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="nested-without-end"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"7", id="number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="empty-object"),
        pytest.param(b'{"result": {"result": {"c0": 1}}}', id="no-time"),
        pytest.param(answer(time={"date_start": "yesterday"}, **FULL), id="time-not-iso"),
        pytest.param(answer(time={"date_start": "2026-01-01T00:00:00"}, **FULL), id="time-without-zone"),
        pytest.param(answer(time={"date_start": 1767225600}, **FULL), id="time-a-number"),
        pytest.param(answer(time=[BEGAN], **FULL), id="time-a-list"),
        pytest.param(b'{"result": [], "time": {"date_start": "%s"}}' % BEGAN.encode(), id="result-a-list"),
        pytest.param(b'{"result": true, "time": {"date_start": "%s"}}' % BEGAN.encode(), id="result-a-truth"),
        pytest.param(answer(**FULL | {"result": "x"}), id="map-a-text"),
        pytest.param(answer(**FULL | {"result_error": {"c0": "no"}}), id="error-a-text"),
        pytest.param(answer(**FULL | {"result_total": {"c0": "many"}}), id="total-a-word"),
        pytest.param(answer(**FULL | {"result_total": {"c0": float("inf")}}), id="total-endless"),
        pytest.param(answer(**FULL | {"result_time": {"c0": {"operating": "long"}}}), id="timing-a-word"),
        pytest.param(answer(**FULL | {"result_time": {"c0": {"operating": 10**400}}}), id="timing-too-large"),
        pytest.param(answer(**FULL | {"result_time": {"c0": [1]}}), id="timing-a-list"),
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    """F6: HTML, half a body, another shape: something that may pass, and never a value or a traceback."""
    with pytest.raises(NotJsonError) as failure:
        decode_batch(body, 502, 1)
    assert failure.value.status == 502


def test_an_error_answer_is_raised() -> None:
    """F1.2: the envelope of an error; its status is kept for the record."""
    body = json.dumps({"error": "INVALID_CREDENTIALS", "error_description": "Invalid request credentials"}).encode()
    with pytest.raises(AuthorizationError, match="wrong, deleted or expired") as failure:
        decode_batch(body, 401, 1)
    assert (failure.value.code, failure.value.status) == ("INVALID_CREDENTIALS", 401)


@pytest.mark.parametrize("error", [None, ""], ids=["null", "empty"])
def test_an_error_answer_without_a_code(error: str | None) -> None:
    """F6: the code may be empty, and the error an error all the same, also with status 200 (F1.2)."""
    body = json.dumps({"error": error, "error_description": "Access denied."}).encode()
    with pytest.raises(DeniedError):
        decode_batch(body, 200, 1)


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [(None, 0), ("", 0), ("0", 0), (0, 0), ("43", 43), (43, 43), ("007", 7)],
    ids=repr,
)
def test_identifiers(value: Any, number: int) -> None:
    """F2: texts in the lists, numbers elsewhere; null, nothing and "0" are none."""
    assert identifier(value) == number


@pytest.mark.parametrize(
    "value", ["x", "-1", -1, "1.0", 1.0, " 1", "٣", True, [], {}, "9" * 5000], ids=lambda v: repr(v)[:9]
)
def test_no_identifiers(value: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        identifier(value)


def test_moments_keep_their_zone() -> None:
    """F2: the server's offset, whatever it is."""
    assert moment(BEGAN).utcoffset() == timedelta(hours=3)
    with pytest.raises(ValueError, match="zone"):
        moment("2026-01-01T03:00:00")


def test_a_php_array_is_what_the_round_trip_compares() -> None:
    """Guard of the property above: order and kind of keys count."""
    assert parse_str("a[x]=1&a[y]=2") != parse_str("a[y]=2&a[x]=1")
    assert parse_str("a[]=1") == PhpArray({"a": PhpArray(["1"])})
