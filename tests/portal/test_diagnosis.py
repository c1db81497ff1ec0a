"""`check`: each question to the portal, each answer it may get, and what the user reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line, tampered

from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.diagnosis import Finding, State, diagnose

DENIED = {"kind": "command_error"}


def line(**options: Any) -> Line:
    """Return an office with a company of Ann and two contacts of Bob's; the webhook is Ada's, an administrator."""
    office = Office(clock=VirtualClock(Timeline()), **options)
    office.company(5, ANN)
    office.contact(1, BOB, 5)
    office.contact(2, BOB)
    return Line(office)


def check(wire: Line, behind: float = 0) -> dict[str, Finding]:
    """Ask everything; the findings by subject."""
    findings = list(diagnose(wire.client, wire.clock.now() - timedelta(seconds=behind)))
    assert len({finding.subject for finding in findings}) == len(findings)
    return {finding.subject: finding for finding in findings}


def test_all_is_well() -> None:
    """Everything that can be asked is answered; notices and workflows stay a warning."""
    found = check(line())
    assert [finding.subject for finding in found.values()] == [
        "portal",
        "clock",
        "scopes",
        "companies",
        "contacts with a company",
        "users",
        "account",
        "own records",
        "conditional updates",
        "workflows",
        "notices",
    ]
    assert {subject for subject, finding in found.items() if finding.state is not State.OK} == {"workflows", "notices"}
    assert found["portal"].sentence == "acme.bitrix24.ru answers and accepts the webhook"
    assert found["scopes"].sentence == "the webhook has crm, user"
    assert found["companies"].sentence == "1 companies visible"
    assert found["contacts with a company"].sentence == "1 contacts with a company visible"
    assert found["account"].sentence == "user 1 (Ada) is an administrator and sees everything"
    assert found["own records"].sentence == "user 1 (Ada) owns no records"


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        pytest.param([{"kind": "token_revoked"}], "does not accept the webhook", id="wrong-webhook"),
        pytest.param([{"kind": "html_502"}], "gets no answer from it", id="html"),
        pytest.param([{"kind": "cut_before"}], "cannot be reached", id="unreachable"),
        pytest.param([{"kind": "html_502", "request": number} for number in range(2, 9)], "gets no", id="halfway"),
    ],
)
def test_a_portal_that_does_not_answer_is_one_finding(faults: list[dict[str, Any]], sentence: str) -> None:
    """Failed, and the last: nothing else can be asked, and no traceback."""
    (finding,) = check(line(faults=faults)).values()
    assert (finding.subject, finding.state) == ("portal", State.FAILED)
    assert sentence in finding.sentence


@pytest.mark.parametrize(
    ("behind", "state"),
    [(0, State.OK), (60, State.OK), (61, State.WARNING), (-61, State.WARNING), (86_400, State.WARNING)],
)
def test_the_clock(behind: float, state: State) -> None:
    """More than a minute apart is worth a word, either way."""
    finding = check(line(), behind)["clock"]
    assert finding.state is state
    assert f"{abs(behind):.0f} s from this host's" in finding.sentence


@pytest.mark.parametrize("result", [None, "soon", 7, "2026-01-01T00:00:00"], ids=str)
def test_a_clock_of_another_shape(result: Any) -> None:
    """One finding, no traceback."""
    assert check(tampered(line(), "server.time", result))["clock"].state is State.FAILED


@pytest.mark.parametrize(
    ("scopes", "failed"),
    [
        pytest.param(("user",), {"companies", "contacts with a company"}, id="no-crm"),
        pytest.param(("crm",), {"users"}, id="no-user"),
        pytest.param((), {"companies", "contacts with a company", "users"}, id="none"),
        pytest.param(("crm", "user_basic"), set(), id="the-least"),
    ],
)
def test_missing_scopes(scopes: tuple[str, ...], failed: set[str]) -> None:
    """Each says which scope to add, and the rest is told all the same."""
    found = check(line(scopes=scopes))
    assert {subject for subject, finding in found.items() if finding.state is State.FAILED} == failed
    assert all("add" in found[subject].sentence for subject in failed)
    assert found["scopes"].sentence == f"the webhook has {', '.join(scopes) or 'none'}"
    assert ("own records" in found) is ("crm" in scopes)


@pytest.mark.parametrize(
    ("method", "subject"),
    [
        ("server.time", "clock"),
        ("scope", "scopes"),
        ("crm.company.list", "companies"),
        ("crm.contact.list", "contacts with a company"),
        ("user.get", "users"),
        ("profile", "account"),
    ],
)
def test_a_refused_question_is_one_failed_finding(method: str, subject: str) -> None:
    """With what the portal says; the other questions are answered."""
    found = check(line(faults=[DENIED | {"method": method, "code": "SOME_CODE"}]))
    assert found[subject].state is State.FAILED
    assert "SOME_CODE: Access denied." in found[subject].sentence
    assert found["notices"].state is State.WARNING


@pytest.mark.parametrize("result", [{"crm": 1}, None, "crm"], ids=str)
def test_scopes_of_another_shape(result: Any) -> None:
    """Not worth a failure."""
    assert check(tampered(line(), "scope", result))["scopes"].sentence == "the webhook has none"


def test_the_account_is_no_administrator() -> None:
    """F2: what it may not see is neither counted nor corrected."""
    wire = line(user_id=ANN)
    finding = check(wire)["account"]
    assert finding.state is State.WARNING
    assert finding.sentence.startswith("user 7 (Ann) is no administrator")


def test_the_account_owns_records_itself() -> None:
    """Better a dedicated account."""
    finding = check(line(user_id=BOB))["own records"]
    assert finding.state is State.WARNING
    assert finding.sentence.startswith("user 8 (Bob) owns 2 companies and contacts")


@pytest.mark.parametrize("method", ["crm.company.list", "crm.contact.list"])
def test_nobody_can_tell_what_the_account_owns(method: str) -> None:
    """Half a count is none: nothing is said, since the refusal stands above already."""
    assert "own records" not in check(line(faults=[DENIED | {"method": method}]))


@pytest.mark.parametrize("result", [None, [], {}, {"ID": "x"}, {"ID": None}, True], ids=str)
def test_an_account_of_another_shape(result: Any) -> None:
    """Nobody's records are counted then, and not everybody's without an owner."""
    found = check(tampered(line(), "profile", result))
    assert found["account"].state is State.FAILED
    assert "own records" not in found


def test_an_account_without_a_name() -> None:
    """Its number has to do."""
    found = check(tampered(line(), "profile", {"ID": 1, "ADMIN": True, "NAME": "", "LAST_NAME": None}))
    assert found["account"].sentence == "user 1 is an administrator and sees everything"


def templates(*rows: Any) -> Line:
    """Return a line to a portal with workflow templates, which the embedded one does not have."""
    return tampered(line(), "bizproc.workflow.template.list", list(rows))


@pytest.mark.parametrize(
    ("rows", "state", "sentence"),
    [
        pytest.param([], State.OK, "none starts when", id="none"),
        pytest.param([{"ID": "1", "AUTO_EXECUTE": "1"}], State.OK, "none starts when", id="on-create-only"),
        pytest.param([{"ID": "1", "AUTO_EXECUTE": None}], State.OK, "none starts when", id="by-hand"),
        pytest.param(
            [{"ID": "1", "NAME": "Mail", "AUTO_EXECUTE": "2"}, {"ID": 4, "NAME": "", "AUTO_EXECUTE": 3}, "x"],
            State.WARNING,
            "each change starts 2 on edit: Mail, template 4; switch",
            id="on-edit",
        ),
        pytest.param(
            [{"ID": n, "NAME": f"W{n}", "AUTO_EXECUTE": "2"} for n in range(6)],
            State.WARNING,
            "starts 6 on edit: W0, W1, W2, W3, W4, …; switch",
            id="many",
        ),
    ],
)
def test_workflows(rows: list[Any], state: State, sentence: str) -> None:
    """F17: templates that start on each edit start with each of our changes."""
    finding = check(templates(*rows))["workflows"]
    assert finding.state is state
    assert sentence in finding.sentence


def test_workflows_cannot_be_looked_at() -> None:
    """Without the scope bizproc a warning says where to look."""
    finding = check(line())["workflows"]
    assert finding.state is State.WARNING
    assert "without the scope bizproc" in finding.sentence


def test_check_writes_nothing() -> None:
    """The portal is only read."""
    wire = line()
    check(wire)
    assert wire.stats["updates_applied"] == 0
    assert wire.office.portal.history == []


@pytest.mark.parametrize(
    ("options", "faults", "state", "sentence"),
    [
        pytest.param({}, [], State.OK, "the portal itself refuses a write", id="takes-them"),
        pytest.param({"macros": False}, [], State.FAILED, "write.conditional = false", id="takes-none"),
        pytest.param(
            {}, [{"kind": "empty_page", "method": "crm.contact.list"}], State.WARNING, "no contact", id="no-contact"
        ),
        pytest.param({}, [{**DENIED, "method": "crm.contact.list"}], State.WARNING, "not known", id="denied"),
    ],
)
def test_conditional_updates(options: dict[str, Any], faults: list[Any], state: State, sentence: str) -> None:
    """Whether the portal refuses by itself what is not as planned any more; found out without writing."""
    wire = line(**options)
    wire.office.portal.faults.load(faults)
    found = check(wire)["conditional updates"]
    assert (found.state, sentence in found.sentence) == (state, True)
    assert wire.office.portal.history == []
