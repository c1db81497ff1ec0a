"""The documentation's own example answers: the worker reads them, and the embedded portal gives them in shape."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from contract.cassette_files import DOCUMENTED, WEBHOOK_URL, exchanges, load, player
from contract.deviations import DEVIATIONS, Deviation
from contract.documented_examples import EXAMPLES, OTHER_STATUS, WITHOUT_EXAMPLE, Example, ask
from contract.replay import client, command_of, http, sent
from contract.shapes import Difference, differences
from vcr.errors import CannotOverwriteExistingCassetteException

from reconciler.portal.rest.batch_codec import Answer, decode_batch
from reconciler.simulator.methods import METHODS

SINGLE = [example for example in EXAMPLES if example.method != "batch"]
BATCHES = [example for example in EXAMPLES if example.method == "batch"]


def first(example: Example) -> tuple[Any, int, Any]:
    """Return a documented request, its status and its answer."""
    _, request, status, answer = next(exchanges(DOCUMENTED / f"{example.name}.yaml"))
    return request, status, answer


def named(example: Example) -> str:
    """Return the test's id."""
    return example.name


@pytest.mark.parametrize("example", SINGLE, ids=named)
def test_the_worker_reads_each_documented_answer(example: Example) -> None:
    """Inside a batch, which is all that the worker sends: the result untouched, or an error where there is one."""
    request, _, documented = first(example)
    with player().use_cassette(str(DOCUMENTED / f"{example.name}.yaml")) as tape:
        (answer,) = sent(client(), [command_of(example.method, request)])
    assert tape.play_count == 1
    if example.refused:
        name, sentence = answer
        assert name.endswith("Error")
        assert documented["error_description"].rstrip(".") in sentence or documented["error"] in sentence
    else:
        assert isinstance(answer, Answer)
        assert (answer.result, answer.total) == (documented["result"], documented.get("total"))
        assert answer.timing.duration == documented["time"]["duration"]
        assert answer.timing.operating == documented["time"].get("operating")


@pytest.mark.parametrize("example", BATCHES, ids=named)
def test_the_worker_reads_the_documented_batches(example: Example) -> None:
    """The documented batch over HTTP; its keys get the worker's names before they are decoded."""
    request, _, documented = first(example)
    with player().use_cassette(str(DOCUMENTED / f"{example.name}.yaml")):
        response = http().post(f"{WEBHOOK_URL}batch", content=json.dumps(request).encode())
    text = response.text
    for position, key in enumerate(request["cmd"]):
        text = text.replace(f'"{key}":', f'"c{position}":')
    decoded = decode_batch(text.encode(), response.status_code, len(request["cmd"]))
    for key, answer in zip(request["cmd"], decoded.answers, strict=True):
        if isinstance(answer, Answer):
            assert answer.result == documented["result"]["result"][key]
        else:
            assert key in documented["result"]["result_error"] or example.number == 2


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_the_embedded_portal_answers_in_the_documented_shape(example: Example) -> None:
    """F1.2, F3: keys, types, nulls, list or object, the error's code and the status; what differs is in the table."""
    request, status, documented = first(example)
    answer = ask(example, documented.get("result"), request)
    unexplained = [
        difference
        for difference in differences(documented, answer.json)
        if not any(deviation.covers(example.name, difference) for deviation in DEVIATIONS)
    ]
    assert unexplained == []
    assert documented.get("error") == answer.json.get("error")
    if example.name not in OTHER_STATUS:
        assert answer.status == status


def test_each_deviation_is_still_there() -> None:
    """The table tells of nothing that has been mended, and its places are no wider than what differs."""
    found = [(example.name, difference) for example in EXAMPLES for difference in deviating(example)]
    for deviation in DEVIATIONS:
        for path in deviation.paths.split():
            one = Deviation(deviation.examples, path, deviation.reason, deviation.only_missing)
            assert any(one.covers(name, difference) for name, difference in found), one


def deviating(example: Example) -> list[Difference]:
    """Return where the embedded portal's answer differs."""
    request, _, documented = first(example)
    return differences(documented, ask(example, documented.get("result"), request).json)


def test_each_method_has_a_documented_answer() -> None:
    """None of the embedded portal's methods stands without an example, but those that no webhook may call."""
    assert {example.method for example in EXAMPLES} | WITHOUT_EXAMPLE == {"batch", *METHODS}


def test_a_batch_is_not_played_for_another() -> None:
    """The body is compared too; what is printed of the address is a dummy."""
    with (
        player().use_cassette(str(DOCUMENTED / "profile.yaml")),
        pytest.raises(CannotOverwriteExistingCassetteException) as refused,
    ):
        client().send([command_of("profile", {"other": 1})])
    assert "dummytoken0" in str(refused.value)
    with (
        player().use_cassette(str(DOCUMENTED / "profile.yaml")),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        http().get(f"{WEBHOOK_URL}profile")


def test_each_cassette_says_where_it_comes_from() -> None:
    """Page, date and commit; one cassette an example; hosts and tokens are dummies."""
    paths = {path.stem: path for path in DOCUMENTED.glob("*.yaml")}
    assert set(paths) == {example.name for example in EXAMPLES}
    for example in EXAMPLES:
        text = paths[example.name].read_text(encoding="utf-8")
        metadata = load(paths[example.name])["metadata"]
        assert text.startswith(f"# The example answer of {metadata['page']}, {metadata['date']}")
        assert (metadata["page"], metadata["method"]) == (example.page, example.method)
        assert len(metadata["commit"]) == 40
        assert set(re.findall(r"https?://[^/\s\"]+", text)) == {"https://portal.example"}


@pytest.mark.parametrize(
    ("documented", "portal", "expected"),
    [
        ({"a": 1}, {"a": 2.5}, []),
        ({"a": None}, {"a": "x"}, [("a", "null", "text")]),
        ({"a": []}, {"a": {}}, [("a", "list", "object")]),
        ([{"a": 1}, {"b": 1}], [{"a": 1}], [("[].b", "number", "absent")]),
        ([{"a": 1}, {"a": None}], [{"a": 1}], [("[].a", "null or number", "number")]),
        ([], [{"a": 1}], []),
        ({"t": "2026-01-01T00:00:00+03:00"}, {"t": "today"}, [("t", "moment", "text")]),
        ({"time": {"operating": 1}}, {"time": {}}, []),
        ({"time": {"operating": 1}}, {"time": {"operating": "1"}}, [("time.operating", "number", "text")]),
        (True, 1, [("", "boolean", "number")]),
    ],
    ids=str,
)
def test_shapes_are_told_apart(documented: Any, portal: Any, expected: list[tuple[str, str, str]]) -> None:
    """What counts as another shape, so that the tests above can fail."""
    assert differences(documented, portal) == [Difference(*place) for place in expected]
