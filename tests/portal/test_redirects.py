"""A renamed portal is followed once, inside its family, with the same request; anything else is told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.portal_fixture import Office
from support.portal_line import TOKEN, Line, Script, batch_answer, client_on

from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import MovedError, UnreachableError
from reconciler.portal.rest.batch_codec import Command
from reconciler.simulator.transport import InProcessTransport

TIME = Command("server.time", {})
PATH = f"/rest/1/{TOKEN}/batch.json"


def moved(location: str, status: int = 302) -> httpx.Response:
    """Return a redirect."""
    return httpx.Response(status, headers={"Location": location})


def webhook(host: str) -> str:
    """Return a webhook's address at a host."""
    return f"https://{host}/rest/1/{TOKEN}/"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (PATH, "redirects to the same address again and again, as a firewall does"),
        (f"{PATH}?retry=1", "redirects to the same address again and again"),
        ("/auth/?backurl=%2Frest%2F", "redirects to another page of its own, such as a login; free the path /rest/"),
        (f"/{TOKEN}/", "redirects to another page of its own"),
        (f"https://crm.example:8443{PATH}", r"redirects to https://crm\.example:8443, which is not followed"),
        (f"http://crm.example{PATH}", r"redirects to http://crm\.example, which is not followed"),
    ],
)
def test_a_redirect_that_leads_nowhere(location: str, says: str) -> None:
    """Each kind says what it is: one request, and no part of where it leads that may be the token."""
    script = Script(moved(location))
    with pytest.raises(MovedError, match=says) as refusal:
        script.client(webhook=webhook("crm.example")).read([TIME])
    assert len(script.requests) == 1
    assert TOKEN not in str(refusal.value)


def test_a_redirect_of_the_cloud_to_itself() -> None:
    """It is followed once, as every redirect inside the family, and then said to be without end."""
    script = Script(moved(PATH))
    with pytest.raises(MovedError, match="redirects to the same address again and again"):
        script.client(webhook=webhook("a.bitrix24.ru")).read([TIME])
    assert len(script.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_rename_is_followed_with_the_same_request(status: int) -> None:
    """F6: as POST, with its body, whatever the status; the new host is used from then on."""
    script = Script(moved(f"https://new.bitrix24.ru{PATH}", status), batch_answer({"c0": 7}))
    client = script.client(webhook=webhook("old.bitrix24.ru"))
    assert client.read([TIME])[0].result == 7
    client.read([TIME])
    assert [request.url.host for request in script.requests] == [
        "old.bitrix24.ru",
        "new.bitrix24.ru",
        "new.bitrix24.ru",
    ]
    assert {request.method for request in script.requests} == {"POST"}
    assert {request.url.path for request in script.requests} == {PATH}
    assert len({request.content for request in script.requests}) == 1
    assert (client.host, client.origin) == ("new.bitrix24.ru", "https://new.bitrix24.ru")
    assert (client.usage.requests, client.usage.commands) == (3, 2)


def test_the_embedded_portal_moves() -> None:
    """F6: the old name answers 302, the new one works."""
    timeline = Timeline()
    old = Line(Office(clock=VirtualClock(timeline), moved_to="new.bitrix24.ru"))
    new = Office(clock=VirtualClock(timeline))

    class Both(httpx.BaseTransport):
        """One name each."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            portal = new.portal if request.url.host == "new.bitrix24.ru" else old.office.portal
            return InProcessTransport(portal).handle_request(request)

    client = client_on(Both(), old.clock, webhook=webhook("old.bitrix24.ru"))
    assert client.read([TIME])[0].result.startswith("2026-01-01T03:00:00")
    assert new.portal.stats()["commands"] == {"server.time": 1}


@pytest.mark.parametrize(
    ("old", "location"),
    [
        pytest.param("a.bitrix24.com.br", f"https://b.bitrix24.com.br{PATH}", id="two-part-country"),
        pytest.param("a.bitrix24.ru", f"https://B.Bitrix24.RU{PATH}", id="any-case"),
        pytest.param("a.bitrix24.ru", f"https://b.bitrix24.ru:443{PATH}", id="the-usual-port"),
        pytest.param("a.bitrix24.ru", f"https://a.bitrix24.ru{PATH}", id="the-same-host"),
    ],
)
def test_inside_the_family(old: str, location: str) -> None:
    """The same country's cloud."""
    script = Script(moved(location), batch_answer({"c0": 7}))
    assert script.client(webhook=webhook(old)).read([TIME])[0].result == 7


@pytest.mark.parametrize(
    ("old", "location", "named"),
    [
        pytest.param("a.bitrix24.ru", f"https://a.bitrix24.de{PATH}", "https://a.bitrix24.de", id="other-country"),
        pytest.param("a.bitrix24.ru", f"https://evil.example{PATH}", "https://evil.example", id="other-host"),
        pytest.param(
            "a.bitrix24.ru", f"https://b.bitrix24.ru.evil.example{PATH}", "https://b.bitrix24.ru.evil", id="look-alike"
        ),
        pytest.param("a.bitrix24.ru", f"https://evilbitrix24.ru{PATH}", "https://evilbitrix24.ru", id="no-dot"),
        pytest.param("a.bitrix24.ru", f"https://x.y.bitrix24.ru{PATH}", "https://x.y.bitrix24.ru", id="below"),
        pytest.param("a.bitrix24.ru", f"https://me@evil.example{PATH}", "https://evil.example", id="user-in-front"),
        pytest.param("a.bitrix24.ru", f"http://b.bitrix24.ru{PATH}", "http://b.bitrix24.ru", id="http"),
        pytest.param("a.bitrix24.ru", f"https://b.bitrix24.ru:8443{PATH}", "https://b.bitrix24.ru", id="port"),
        pytest.param("a.bitrix24.ru", "https://www.bitrix24.ru/", "https://www.bitrix24.ru", id="page-for-people"),
        pytest.param(
            "a.bitrix24.ru", f"https://b.bitrix24.ru/rest/2/{TOKEN}/batch.json", "https://b.bitrix24.ru", id="user"
        ),
        pytest.param("a.bitrix24.ru", f"//evil.example{PATH}", "https://evil.example", id="without-scheme"),
        pytest.param("a.bitrix24.ru", "ftp:/x", "ftp://a.bitrix24.ru", id="without-host"),
        pytest.param("crm.example", f"https://crm2.example{PATH}", "https://crm2.example", id="self-hosted"),
        pytest.param("crm.example", f"https://b.bitrix24.ru{PATH}", "https://b.bitrix24.ru", id="self-hosted-to-cloud"),
    ],
)
def test_not_followed(old: str, location: str, named: str) -> None:
    """The token does not leave for there; the sentence names the setting, once, without a second request."""
    script = Script(moved(location), batch_answer())
    client = script.client(webhook=webhook(old))
    with pytest.raises(MovedError, match=r"put its address into portal\.webhook_url") as failure:
        client.read([TIME])
    assert str(failure.value).startswith(f"{old} redirects to {named}")
    assert len(script.requests) == 1
    assert client.host == old


def test_two_redirects_in_a_row() -> None:
    """One hop only."""
    script = Script(moved(f"https://b.bitrix24.ru{PATH}"), moved(f"https://c.bitrix24.ru{PATH}"))
    with pytest.raises(MovedError, match=r"redirects to https://c\.bitrix24\.ru, which is not followed"):
        script.client(webhook=webhook("a.bitrix24.ru")).read([TIME])
    assert len(script.requests) == 2


def test_a_second_rename_is_told() -> None:
    """The settings still hold the first name: somebody should look."""
    script = Script(moved(f"https://b.bitrix24.ru{PATH}"), batch_answer(), moved(f"https://c.bitrix24.ru{PATH}"))
    client = script.client(webhook=webhook("a.bitrix24.ru"))
    client.read([TIME])
    with pytest.raises(MovedError, match=r"b\.bitrix24\.ru redirects to https://c\.bitrix24\.ru"):
        client.read([TIME])


@pytest.mark.parametrize("location", ["https://[::1/", "https://b.bitrix24.ru:x/", "https://b\x01.example/"])
def test_a_redirect_to_no_address(location: str) -> None:
    """As if the portal had not answered."""
    with pytest.raises(UnreachableError, match="cannot be reached"):
        Script(moved(location)).client(attempts=1).read([TIME])


@pytest.mark.parametrize("answer", [httpx.Response(302), httpx.Response(304, headers={"Location": "/x"})], ids=str)
def test_a_redirect_that_leads_nowhere_is_no_redirect(answer: Any) -> None:
    """Read like any other answer that is not the REST interface's."""
    script = Script(answer, batch_answer({"c0": 7}))
    assert script.client().read([TIME])[0].result == 7
