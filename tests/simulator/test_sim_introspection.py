"""Methods about the interface, the plan and the office: F1.3, F6, F9, F10, F11.24 and F17."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from support.portal_fixture import ADMIN, ANN, BOB, Office, command

from reconciler.simulator.methods import METHODS
from reconciler.simulator.workflows import Template

TEMPLATES = (
    Template(id=3, name="Check", auto_execute=2),
    Template(id=5, name="Welcome", auto_execute=1, entity="company"),
    Template(id=9, name="By hand"),
)


def as_application(office: Office, method: str, **params: Any) -> Any:
    """Call with the token of an application."""
    query = urlencode({"auth": "simulatedaccess0"} | params)
    return office.send("", path=f"/rest/{method}", query=query)


def test_methods() -> None:
    """F11.24: those of the caller's scopes and the free ones; of one scope; or all."""
    office = Office(scopes=("department",))
    own = office.call("methods").result
    assert {"department.get", "profile", "batch", "methods"} <= set(own)
    assert "crm.contact.list" not in own
    assert set(office.call("methods", scope="crm").result) == {name for name in METHODS if name.startswith("crm.")}
    assert "department.get" not in office.call("methods", scope="").result
    assert set(office.call("methods", FULL="1").result) == {*METHODS, "batch"}


@pytest.mark.parametrize(
    ("name", "existing", "available"),
    [
        ("crm.contact.list", True, True),
        ("user.get", True, False),
        ("profile", True, True),
        ("batch", True, True),
        ("CRM.contact.list", False, False),
        ("crm.deal.list", False, False),
        ("", False, False),
    ],
)
def test_method_get(name: str, existing: bool, available: bool) -> None:
    """F11.24: whether a method exists, and whether the scopes are enough; its name counts as written."""
    result = Office(scopes=("crm",)).call("method.get", name=name).result
    assert result == {"isExisting": existing, "isAvailable": available}


def test_app_info() -> None:
    """F11.24: to a webhook its scopes and the plan, to an application itself."""
    office = Office()
    assert office.call("app.info").result == {"SCOPE": ["crm", "user"], "LICENSE": "de_ent250"}
    info = as_application(office, "app.info").result
    assert (info["STATUS"], info["INSTALLED"], info["DAYS"]) == ("L", True, None)


def test_features_and_names() -> None:
    """F7: feature.get needs no scope; names of access codes, unknown ones left out."""
    office = Office(scopes=())
    assert office.call("feature.get", code="rest_offline_extended").result == {"value": "Y"}
    assert office.call("feature.get").error == ("CODE_EMPTY", "CODE can't be empty")
    names = office.call("access.name", ACCESS=["G2", "U7", "U99", "X"]).result
    assert {code: entry["name"] for code, entry in names.items()} == {"G2": "All visitors", "U7": "Ann"}
    assert office.call("access.name").result == []


@pytest.mark.parametrize(("codes", "has"), [(["U7"], True), (["AU"], True), (["U8"], False), ("U7", False)])
def test_access(codes: Any, has: bool) -> None:
    """F9: user.access tells what an ordinary user has; an administrator has everything."""
    assert Office(user_id=ANN).call("user.access", ACCESS=codes).result is has
    assert Office().call("user.access", ACCESS=codes).result is True


@pytest.mark.parametrize("name", [name for name in METHODS if name.startswith("event")])
def test_events_are_for_applications(name: str) -> None:
    """F6, F8: WRONG_AUTH_TYPE 403 for a webhook, and inside its batch."""
    office = Office()
    answer = office.call(name)
    assert (answer.status, answer.error[0]) == (403, "WRONG_AUTH_TYPE")
    assert office.batch({"a": name})["result_error"]["a"]["error"] == "WRONG_AUTH_TYPE"


def test_what_applications_learn_of_events() -> None:
    """F8: which there are, and that none is bound at first."""
    office = Office()
    assert "ONCRMCONTACTUPDATE" in as_application(office, "events").result
    assert as_application(office, "event.get").result == []
    assert as_application(office, "event.offline.get").error[0] == "WRONG_AUTH_TYPE"
    refused = as_application(office, "department.get").error
    assert refused == ("insufficient_scope", "The request requires higher privileges than provided by the access token")


ONLINE = {"event": "onCrmContactUpdate", "handler": "https://app.example.org/hook"}


def test_an_application_binds_a_handler() -> None:
    """F8: once for each event, address and user; unbound by event and address, and gone after a reset."""
    office = Office()
    assert as_application(office, "event.bind", **ONLINE).result is True
    again = as_application(office, "event.bind", **ONLINE)
    assert (again.status, again.error) == (
        400, ("ERROR_CORE", "Unable to set event handler: Handler already binded")
    )  # fmt: skip
    assert as_application(office, "event.bind", **ONLINE, auth_type=BOB).result is True
    assert as_application(office, "event.bind", event="ONCRMCOMPANYUPDATE", event_type="offline").result is True
    event, handler = "ONCRMCONTACTUPDATE", ONLINE["handler"]
    assert as_application(office, "event.get").result == [
        {"event": event, "handler": handler, "auth_type": "0", "offline": 0},
        {"event": event, "handler": handler, "auth_type": str(BOB), "offline": 0},
        {"event": "ONCRMCOMPANYUPDATE", "connector_id": "", "offline": 1},
    ]
    assert as_application(office, "event.unbind", **ONLINE, auth_type=BOB).result == {"count": 1}
    assert as_application(office, "event.unbind", **ONLINE).result == {"count": 1}
    assert as_application(office, "event.unbind", event="ONCRMCOMPANYUPDATE", event_type="offline").result == {
        "count": 1
    }
    as_application(office, "event.bind", **ONLINE)
    office.portal.reset()
    assert as_application(office, "event.get").result == []


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"handler": "https://app.example.org"}, "ERROR_ARGUMENT"),
        ({"event": "ONCRMCONTACTUPDATE"}, "ERROR_ARGUMENT"),
        (ONLINE | {"event": "ONSOMETHING"}, "ERROR_EVENT_NOT_FOUND"),
        (ONLINE | {"handler": "ftp://app.example.org"}, "ERROR_UNSUPPORTED_PROTOCOL"),
        (ONLINE | {"handler": "https://localhost/hook"}, "ERROR_WRONG_HANDLER_URL"),
    ],
    ids=str,
)
def test_handlers_that_cannot_be_bound(params: dict[str, Any], error: str) -> None:
    """F8: an unknown event, and an address that nothing can be sent to."""
    answer = as_application(Office(), "event.bind", **params)
    assert (answer.status, answer.error[0]) == (400, error)


@pytest.mark.parametrize("params", [{"auth_type": BOB}, {"event_type": "offline"}], ids=str)
def test_handlers_of_an_administrator(params: dict[str, Any]) -> None:
    """F8: another user's, and queues, are for administrators."""
    office = Office()
    office.database.write("UPDATE user SET is_admin = 0")
    assert as_application(office, "event.bind", **ONLINE | params).error[0] == "ACCESS_DENIED"
    assert as_application(office, "event.bind", **ONLINE).result is True


@pytest.mark.parametrize(
    ("query", "all_of_them"), [("full=1", True), ("full=false", True), ("full=0", False), ("full", False), ("", False)]
)
def test_scopes_in_full(query: str, all_of_them: bool) -> None:
    """F11.24: with `full` all that the documentation lists; the text `false` is true, as everywhere in PHP."""
    found = Office(scopes=("crm",)).send("scope", query=query).result
    assert {"crm", "task", "telephony", "bizproc"} <= set(found) if all_of_them else found == ["crm"]
    assert "basic" not in found


@pytest.mark.parametrize(
    ("params", "result"),
    [
        ({}, [{"ID": "3"}, {"ID": "5"}, {"ID": "9"}]),
        ({"SELECT": ["NAME", "NOPE"], "ORDER": {"ID": "DESC"}}, [{"NAME": n} for n in ("By hand", "Welcome", "Check")]),
        ({"filter": {"AUTO_EXECUTE": [2, 3]}}, [{"ID": "3"}]),
        ({"filter": {">auto_execute": 0}, "order": {"name": "desc"}}, [{"ID": "5"}, {"ID": "3"}]),
        ({"filter": {"<=ID": 5, "!DOCUMENT_TYPE": "COMPANY", "NOPE": 1}}, [{"ID": "3"}]),
    ],
)
def test_workflow_templates(params: dict[str, Any], result: list[dict[str, str]]) -> None:
    """F17: bizproc.workflow.template.list shows AUTO_EXECUTE, by default only ids."""
    answer = Office(scopes=("bizproc",), workflow_templates=TEMPLATES).call("bizproc.workflow.template.list", **params)
    assert (answer.result, answer.json["total"]) == (result, len(result))


def test_workflow_templates_in_full() -> None:
    """F17: what a template is about; for administrators only, with the scope bizproc; -1 counts nothing."""
    office = Office(scopes=("bizproc",), workflow_templates=TEMPLATES)
    select = ["ID", "ENTITY", "DOCUMENT_TYPE", "AUTO_EXECUTE", "TEMPLATE", "MODIFIED"]
    first = office.call("bizproc.workflow.template.list", select=select, start=-1)
    assert first.json["total"] == 0
    assert first.result[0] == {
        "ID": "3",
        "ENTITY": "CCrmDocumentContact",
        "DOCUMENT_TYPE": "CONTACT",
        "AUTO_EXECUTE": "2",
        "TEMPLATE": [],
        "MODIFIED": None,
    }
    assert Office().call("bizproc.workflow.template.list").error[0] == "insufficient_scope"
    person = Office(scopes=("bizproc",), user_id=ANN).call("bizproc.workflow.template.list")
    assert (person.status, person.error) == (403, ("ACCESS_DENIED", "Access denied!"))


def test_pages_of_workflow_templates() -> None:
    """F17: fifty a page."""
    templates = tuple(Template(id=number) for number in range(1, 61))
    office = Office(scopes=("bizproc",), workflow_templates=templates)
    first, second = (office.call("bizproc.workflow.template.list", start=start).json for start in (0, 50))
    assert (len(first["result"]), first["next"], first["total"]) == (50, 50, 60)
    assert (len(second["result"]), "next" in second) == (10, False)


def test_notifications() -> None:
    """F10: the id; the same TAG replaces the older one, for that person; a personal one has a sender."""
    office = Office(scopes=("im",))
    ring = {"USER_ID": ANN, "MESSAGE": " hello ", "TAG": "t", "CLIENT_ID": "me"}
    assert [office.call("im.notify.system.add", **ring).result for _ in range(2)] == [1, 2]
    assert office.call("im.notify.personal.add", **ring | {"USER_ID": BOB}).result == 3
    shown = [(bell.id, bell.user_id, bell.by, bell.message) for bell in office.portal.bell.shown]
    assert shown == [(2, ANN, None, "hello"), (3, BOB, ADMIN, "hello")]


def test_a_tag_needs_an_application() -> None:
    """F10: through a webhook TAG counts only with CLIENT_ID."""
    office = Office(scopes=("im",))
    for _ in range(2):
        office.call("im.notify.system.add", USER_ID=ANN, MESSAGE="x", TAG="t")
    assert len(office.portal.bell.shown) == 2
    cmd = {"a": command("im.notify.system.add", {"USER_ID": ANN, "MESSAGE": "x", "TAG": "t", "CLIENT_ID": "c"})}
    assert office.batch(cmd)["result"] == {"a": 3}


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"MESSAGE": "x"}, "USER_ID_EMPTY"),
        ({"USER_ID": ANN, "MESSAGE": "  "}, "MESSAGE_EMPTY"),
        ({"USER_ID": ANN, "MESSAGE": "x", "ATTACH": "x" * 60_001}, "ATTACH_OVERSIZE"),
        ({"USER_ID": ANN, "MESSAGE": "x", "ATTACH": "no json"}, "ATTACH_ERROR"),
        ({"USER_ID": ANN, "MESSAGE": "x", "ATTACH": '[{"MESSAGE":"y"}]'}, None),
        ({"USER_ID": ANN, "MESSAGE": "x", "ATTACH": [{"MESSAGE": "y"}]}, None),
    ],
)
def test_wrong_notifications(params: dict[str, Any], error: str | None) -> None:
    """F10: the codes of im.notify; nobody is rung who does not exist."""
    office = Office(scopes=("im",))
    answer = office.call("im.notify.system.add", **params)
    assert (answer.status, answer.json.get("error")) == ((400, error) if error else (200, None))
    assert office.call("im.notify.system.add", USER_ID=99, MESSAGE="x").result is False


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({"NAME": "a"}, [ADMIN, ANN, 30]),
        ({"FIND": "lin"}, [BOB]),
        ({"FIND": "sales"}, [ADMIN, ANN, BOB, 30]),
        ({"FIND": "ein bob"}, [BOB]),
        ({"FIND": "inst"}, []),
        ({"NAME": "bo", "WORK_POSITION": "chief"}, []),
        ({"NAME": "an", "ACTIVE": "Y"}, [ANN]),
        ({"ID": [ANN, 30], "FIND": "an"}, [ANN, 30]),
        ({"UF_DEPARTMENT_NAME": "sal"}, [ADMIN, ANN, BOB, 30]),
        ({"!NAME": "Ann", "SECOND_NAME": ""}, [ADMIN, BOB, 30]),
        ({}, [ADMIN, ANN, BOB, 30]),
    ],
)
def test_user_search(conditions: dict[str, str], ids: list[int]) -> None:
    """F9: as `user.get`, and by the beginnings of words; FIND looks in all of them; who left is found, too."""
    office = Office()
    office.database.write("UPDATE user SET last_name = 'Einstein Lindt' WHERE id = ?", (BOB,))
    office.user(30, name="Anton", active=0)
    office.database.insert("department", id=1, name="Sales")
    assert office.call("user.search", FILTER=conditions).ids == ids


def test_fields_of_people() -> None:
    """F17: user.fields names what the scope shows; department.fields what a department has."""
    assert "USER_TYPE" in Office(scopes=("user",)).call("user.fields").result
    assert "EMAIL" not in Office(scopes=("user_brief",)).call("user.fields").result
    fields = Office(scopes=("department",)).call("department.fields").result
    assert list(fields) == ["ID", "NAME", "SORT", "PARENT", "UF_HEAD"]
