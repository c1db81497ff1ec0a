"""Whether the settings fit portal and machine: each kind of mistake has its line, today and not on some later day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line, tampered

from reconciler.cli.exclusion_checks import void_exclusions
from reconciler.cli.machine_checks import settings_on_machine
from reconciler.cli.portal_checks import settings_in_portal
from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.diagnosis import Finding, State
from reconciler.settings.model import Settings

if TYPE_CHECKING:
    from pathlib import Path

CAROL, DAVE = 9, 10


def line(**options: Any) -> Line:
    """Return an office where Carol is dismissed, and Dave in no department."""
    office = Office(clock=VirtualClock(Timeline()), **options)
    office.user(CAROL, active=0, name="Carol")
    office.user(DAVE, departments="[]", name="Dave")
    office.company(2, ANN, company_type="UC_OLD")
    office.contact(1, BOB, 2)
    return Line(office)


def settings(**values: Any) -> Settings:
    """Make settings of dotted names."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, {})[key] = value
    return Settings(**tables)


def found(office: Line, **values: Any) -> dict[str, Finding]:
    """Return the lines about these settings, by subject."""
    return {finding.subject: finding for finding in settings_in_portal(office.client, settings(**values))}


#: A setting -> the subject of its line, its state, a part of the sentence.
SETTINGS: dict[str, tuple[dict[str, str], str, str, str]] = {
    "no such successor": (
        {"policy.dismissed_owner": "successor", "policy.successor": "999"},
        *("successor", "failed", "the portal shows no user 999, so what dismissed owners had is left alone; name an"),
    ),
    "a dismissed successor": (
        {"policy.dismissed_owner": "successor", "policy.successor": "9"},
        *("successor", "failed", ") is dismissed, so what dismissed owners had is left alone; name an"),
    ),
    "a successor in no department": (
        {"policy.dismissed_owner": "successor", "policy.successor": "10"},
        *("successor", "failed", "the portal shows no user 10, so what dismissed owners had is left alone; name an"),
    ),
    "a successor": (
        {"policy.dismissed_owner": "successor", "policy.successor": "7"},
        *("successor", "ok", ") is active and may own records"),
    ),
    "heads without the scope": (
        {"policy.dismissed_owner": "head"},
        *("scope department", "failed", "missing: policy.dismissed_owner needs it to find heads of departments; add"),
    ),
    "notices without the scope": (
        {"notify.users": "7"},
        *("scope im", "failed", "missing: notify.users needs it to send notices; add it to the webhook in the portal"),
    ),
    "nobody to notify": (
        {"notify.users": "9999,9"},
        *("notify.users", "failed", "the portal shows no user 9999, user 9 ("),
    ),
    "one to notify": (
        {"notify.users": "9999,7"},
        *("notify.users", "warning", "the portal shows no user 9999: the others get the notices; name active users"),
    ),
    "notices": ({"notify.users": "7"}, "notify.users", "ok", "1 user, active"),
    "companies of nowhere": (
        {"policy.leave_companies": "2,4242"},
        *(
            "leave_companies",
            "warning",
            "the portal does not show 1 of 2 companies (4242); correct or remove the numbers",
        ),
    ),
    "companies": ({"policy.leave_companies": "2"}, "leave_companies", "ok", "1 company, there"),
    "an allow-list of nothing": (
        {"policy.only_companies": "4242,4343"},
        *(
            "only_companies",
            "failed",
            "the portal does not show 2 of 2 companies (4242, 4343), so no company is looked after;",
        ),
    ),
    "contacts of nowhere": (
        {"policy.leave_contacts": ",".join(map(str, range(7_001, 7_013)))},
        *(
            "leave_contacts",
            "warning",
            "the portal does not show 12 of 12 contacts (7001, 7002, 7003, 7004, 7005, 7006, 7007,",
        ),
    ),
    "owners of nowhere": (
        {"policy.leave_owners": "7,9999"},
        *("leave_owners", "warning", "the portal does not show 1 of 2 users (9999); correct or remove the numbers"),
    ),
    "departments without the scope": (
        {"policy.leave_departments": "1"},
        *("settings: departments", "warning", "cannot be looked up without the scope department; add it to the web"),
    ),
    "a type by its name": (
        {"policy.leave_company_types": "Client"},
        *("leave_company_types", "failed", "has the code Client, so none is left alone by it; write CUSTOMER, the "),
    ),
    "a type in small letters": (
        {"policy.leave_company_types": "partner"},
        *("leave_company_types", "failed", "write PARTNER, the code of the type Partner"),
    ),
    "a type of nowhere": (
        {"policy.leave_contact_types": "zzz"},
        *("leave_contact_types", "failed", "the codes are CLIENT, SUPPLIER, PARTNER, OTHER"),
    ),
    "a type": (
        {"policy.leave_company_types": "PARTNER"},
        *("leave_company_types", "ok", "0 companies of the type PARTNER"),
    ),
    "a type that was deleted": (
        {"policy.leave_company_types": "UC_OLD"},
        *("leave_company_types", "ok", "1 company of the type UC_OLD"),
    ),
    "a field of nowhere": (
        {"policy.leave_contact_field": "UF_CRM_NONE"},
        *("leave_contact_field", "failed", "contacts have no field UF_CRM_NONE, so no run gets through; correct the"),
    ),
    "a field": (
        {"policy.leave_company_field": "UF_CRM_OWNER_FIXED"},
        *("leave_company_field", "ok", "UF_CRM_OWNER_FIXED is a yes/no field of companies"),
    ),
}


@pytest.mark.parametrize("row", SETTINGS)
def test_what_a_setting_needs_is_looked_at(row: str) -> None:
    """One line with the state and the next step."""
    values, subject, state, sentence = SETTINGS[row]
    finding = found(line(), **values)[subject]
    assert (finding.state, sentence in finding.sentence) == (state, True), finding


def test_a_command_is_found_on_the_path() -> None:
    """As it is when it is run."""
    lines = {one.subject: one for one in settings_on_machine(Settings(notify={"on_event": ["sh", "-c", "x"]}), None)}
    assert lines["notify.on_event"].sentence == "sh can be run"
    lines = {one.subject: one for one in settings_on_machine(Settings(notify={"on_event": ["no-such-program"]}), None)}
    assert (
        lines["notify.on_event"].sentence
        == "no-such-program is not there, so it will not be run; correct notify.on_event"
    )


def test_no_setting_no_question() -> None:
    """On the defaults nothing is asked."""
    office = line()
    assert found(office) == {}
    assert office.stats["requests"] == 0


def test_departments() -> None:
    """With the scope: numbers, and whether each department has a head who may own records."""
    office = line(scopes=("crm", "user", "department"))
    office.office.database.insert("department", id=1, name="Firm", head=ANN)
    office.office.database.insert("department", id=2, name="Sales", parent=1, head=CAROL)
    values = {"policy.dismissed_owner": "head", "policy.leave_departments": "1,99"}
    lines = found(office, **values)
    assert lines["scope department"].sentence == "there: policy.dismissed_owner needs it to find heads of departments"
    assert lines["heads"].sentence == "each of 2 departments has a head, there or above, who may own records"
    assert lines["leave_departments"].state is State.WARNING
    assert lines["leave_departments"].sentence.startswith(
        "the portal does not show 1 of 2 departments (99); correct or remove"
    )
    office.office.database.insert("department", id=3, name="Office of the board", head=BOB)
    office.office.database.write("UPDATE department SET head = ? WHERE id = 1", (CAROL,))
    lines = found(office, **values)
    assert lines["heads"].state is State.WARNING
    assert lines["heads"].sentence.startswith(
        "2 of 3 departments (1, 2) have no head, there or above, who may own records: where somebody leaves there, con"
    )
    office.office.database.write("UPDATE department SET head = NULL")
    assert found(office, **values)["heads"].state is State.FAILED


def test_a_type_without_a_code() -> None:
    """Records that have no type are a type of their own."""
    lines = [*settings_in_portal(line().client, Settings(policy={"leave_company_types": [""]}))]
    assert [finding.sentence for finding in lines] == ["companies without a type"]


def test_a_field_of_another_type() -> None:
    """It works until it holds something else than yes or no."""
    described = {"UF_CRM_KIND": {"type": "string"}}
    office = tampered(line(), "crm.company.fields", described)
    finding = found(office, **{"policy.leave_company_field": "UF_CRM_KIND"})["leave_company_field"]
    assert finding.state is State.WARNING
    assert finding.sentence == (
        "UF_CRM_KIND is of the type string, and a run ends where it holds more than yes or no; name a yes/no field"
    )


def test_a_name_of_the_portal_is_harmless() -> None:
    """Types are named by people."""
    office = tampered(line(), "crm.status.list", [{"STATUS_ID": "UC_1", "NAME": "Партнёр\x1b[2J"}], total=1)
    finding = found(office, **{"policy.leave_company_types": "партнёр"})["leave_company_types"]
    assert finding.sentence.endswith("write UC_1, the code of the type Партнёр[2J")


@pytest.mark.parametrize(
    ("scopes", "subjects"),
    [
        (("crm",), {"scope im", "leave_companies"}),
        (("user", "im"), {"scope im", "notify.users", "leave_owners", "settings: companies"}),
    ],
    ids=["no user scope", "no crm"],
)
def test_what_the_portal_refuses(scopes: tuple[str, ...], subjects: set[str]) -> None:
    """One line for it, unless another line of `check` names the missing scope."""
    values = {"notify.users": "7", "policy.leave_companies": "2", "policy.leave_owners": "7"}
    assert set(found(line(scopes=scopes), **values)) == subjects


def test_a_refusal_for_another_reason() -> None:
    """With what the portal says."""
    office = line(faults=[{"kind": "command_error", "method": "crm.status.list", "code": "SOME_CODE"}])
    finding = found(office, **{"policy.leave_company_types": "PARTNER"})["settings: types of companies"]
    assert finding.state is State.WARNING
    assert "what the settings name of these could not be looked up (" in finding.sentence
    assert "SOME_CODE" in finding.sentence


def test_a_plan_does_without_the_remark() -> None:
    """What cannot be looked up is no reason to withhold a plan."""
    office = line(faults=[{"kind": "html_502"}])
    policy = {"leave_company_types": ["partner"]}
    assert void_exclusions(office.client, Settings(policy=policy), None) == []
    assert "write PARTNER" in void_exclusions(line().client, Settings(policy=policy), None)[0]
    assert void_exclusions(line().client, Settings(), frozenset()) == []


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0, "is not there"),
        ("#!/bin/sh\n", 0o600, "is not executable"),
        ("#!/bin/sh\n", 0o700, ""),
        ("#! /usr/bin/env python3 -u\n", 0o700, ""),
        ("\x7fELF", 0o700, ""),
        ("echo\n", 0o700, "is no program, and no script that begins with #!"),
        ("", 0o700, "is no program, and no script that begins with #!"),
        ("#!\n", 0o700, "begins with #!, which is not there"),
        ("#!/usr/bin/no-such-shell -x\n", 0o700, "begins with #!/usr/bin/no-such-shell, which is not there"),
        ("#!/bin/sh\r\n", 0o700, "has Windows line breaks, which its first line must not have"),
    ],
)
def test_the_command_of_an_event(
    content: str | None, mode: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody runs it to find out."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tell"
    if content is not None:
        path.write_bytes(content.encode())
        path.chmod(mode)
    (finding,) = [
        one
        for one in settings_on_machine(Settings(notify={"on_event": [str(path)]}), None)
        if one.subject == "notify.on_event"
    ]
    expected = f"{path} {reason}, so it will not be run; correct notify.on_event" if reason else f"{path} can be run"
    assert (finding.state, finding.sentence) == (State.FAILED if reason else State.OK, expected)
