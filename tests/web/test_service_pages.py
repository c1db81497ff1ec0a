"""The pages of a really running service, over HTTP: from its start to its end."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from support.command_line import TOKEN

from reconciler.service.heartbeat import beat_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from support.command_line import Desk, Ended, Served

    Serve = Callable[[Callable[[httpx.Client], object]], Ended]


def test_a_service_shows_its_pages_and_beats(serve: Serve, desk: Desk) -> None:
    """Alive, ready and with a status page while it runs; then nothing is left of it, neither thread nor heartbeat."""
    seen: dict[str, str] = {}
    health: list[int] = []

    def look(client: httpx.Client) -> None:
        for path in ("/", "/healthz", "/readyz", "/metrics"):
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            seen[path] = answer.text
        health.append(beat_file(desk.journal).stat().st_size)

    ended = serve(look)
    assert (ended.code, ended.out) == (0, "")
    assert (seen["/healthz"], seen["/readyz"]) == ("alive\n", "ready\n")
    assert "10 applied" in seen["/"]
    assert "/crm/contact/details/" in seen["/"]
    assert TOKEN not in "".join(seen.values())
    assert health == [1024]
    assert not beat_file(desk.journal).exists()
    assert [thread.name for thread in threading.enumerate() if thread.name in {"web", "work"}] == []
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert "web.started" in [event["event"] for event in events]


def test_what_the_guard_holds_back_is_listed(serve: Serve, desk: Desk, portal: Served) -> None:
    """Each contact that drifts in the portal, under the link of the status page; nothing to be done on the page."""
    desk.env(GUARD__CHANGES="1", GUARD__SHARE="0.0001", GUARD__SHARE_FROM="0")
    seen: list[str] = []

    def look(client: httpx.Client) -> None:
        page = client.get("/").text
        (link,) = re.findall(r'href="(/held-back/[0-9a-f]{12})"', page)
        seen.extend((page, client.get(link).text))
        unknown = client.get("/held-back/abcdefabcdef")
        assert unknown.status_code == 404
        assert unknown.text.startswith("no changes with this digest were held back here; ")
        assert client.get(link, headers={"Host": "evil.example"}).status_code == 421

    assert serve(look).code == 0
    page, listed = seen
    data = json.loads(listed.split('id="data">')[1].split("</script>")[0])
    drifting = portal.portal.database.rows(
        "SELECT contact.id, company_id FROM contact JOIN company ON company.id = company_id"
        " WHERE contact.assigned_by_id <> company.assigned_by_id AND is_my_company = 'N'"
        " AND contact.category_id = 0 AND company.category_id = 0"
    )
    assert {(row[0], row[2]) for row in data["rows"]["changes"]} == {(row["id"], row["company_id"]) for row in drifting}
    assert f'<h2 id="waiting-1">{len(drifting)} changes wait for approval</h2>' in page
    assert "By person" in page
    assert "<form" not in page
    assert TOKEN not in page + listed


def test_a_service_that_is_not_let_in(serve: Serve, portal: Served) -> None:
    """Not ready, with the reason in one line; alive all the same."""
    portal.fail({"kind": "token_revoked"})
    said: list[tuple[int, str]] = []

    def look(client: httpx.Client) -> None:
        said.extend((client.get(path).status_code, client.get(path).text) for path in ("/healthz", "/readyz", "/"))

    assert serve(look).code == 0
    assert said[0] == (200, "alive\n")
    assert said[1][0] == 503
    assert said[1][1].startswith("not ready: no sweep has been complete yet; the portal does not let the worker in: ")
    assert said[1][1].count("\n") == 1
    assert "The service does not do its work." in said[2][1]


def test_the_pages_can_be_left_out(desk: Desk, serve: Serve) -> None:
    """The service works as well without them, and still beats."""
    desk.env(WEB__ENABLED="false")
    beats: list[bool] = []

    def look(client: httpx.Client) -> None:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((client.base_url.host, client.base_url.port or 0))
        beats.append(beat_file(desk.journal).exists())

    ended = serve(look)
    assert (ended.code, beats) == (0, [True])
    assert "web.started" not in ended.err


def test_a_port_that_is_taken(desk: Desk, portal: Served) -> None:
    """One sentence with the next step, exit code 2, and no sweep."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        desk.env(WEB__PORT=str(port))
        before = portal.portal.stats()["requests"]
        ended = desk.run()
        assert portal.portal.stats()["requests"] == before
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == (
        f"reconciler: The pages of the service cannot listen on 127.0.0.1, port {port} (Address already in use): "
        "set web.port to another one (0 takes a free one), or web.enabled to false."
    )


def test_an_address_of_another_machine(desk: Desk) -> None:
    """Another port would not help: the setting that is wrong is named."""
    desk.env(WEB__ADDRESS="192.0.2.1", WEB__PORT="0")
    ended = desk.run()
    assert ended.code == 2
    assert "set web.address to an address of this machine (0.0.0.0 is all of them)" in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WEB__ADDRESS", "localhost", "should be an IP address of this machine, as 127.0.0.1 or 0.0.0.0 for all"),
        ("WEB__ALLOWED_HOSTS", "https://x", "should be host names without scheme and port, as reconciler.example"),
        ("WEB__PORT", "70000", "web.port"),
    ],
)
def test_settings_that_cannot_be(name: str, value: str, says: str, desk: Desk) -> None:
    """Told before anything is begun, by the setting's name."""
    desk.env(**{name: value})
    ended = desk.run()
    assert ended.code == 2
    assert says in ended.err
    assert name.lower().replace("__", ".") in ended.err
