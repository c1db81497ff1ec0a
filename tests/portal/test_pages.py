"""Answers that are none of the REST interface: each says what stands there, and what to do."""

from __future__ import annotations

import re

import httpx
import pytest
from support.portal_line import TOKEN, Script, batch_answer, error_answer

from reconciler.errors import NotJsonError, PortalError, UnreachableError
from reconciler.portal.rest.batch_codec import Command
from reconciler.portal.rest.pages import proxy_refusal

TIME = Command("server.time", {})
WARNING = (
    '<br />\n<b>Warning</b>:  Undefined array key "A" in <b>/local/php_interface/init.php</b> on line <b>7</b><br />\n'
)
GOOD = batch_answer().content


def refusal(answer: httpx.Response) -> PortalError:
    """Return what the client makes of an answer."""
    with pytest.raises(PortalError) as caught:
        Script(answer).client(attempts=1).read([TIME])
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, "<html>401</html>", "the web server wants a name and a password of its own"),
        (403, "<html><title>403 Forbidden</title>", "such as a firewall, forbids the request"),
        (403, '{"message": "Forbidden"}', "such as a firewall, forbids the request"),
        (404, "<html>", "there is no REST interface at this address"),
        (407, "", r"the proxy wants a name and a password.*portal\.proxy"),
        (429, "<html>", "too many requests from this address"),
        (502, "<html>", "gets no answer from it"),
        (503, "<html>", "overloaded or closed for maintenance"),
        (504, "<html>", "waited too long for it"),
        (200, "", "the answer is empty"),
        (200, " \n", "the answer is empty"),
        (200, "<!doctype html><title>Log in</title>", "a page for people answers.*a captcha"),
        (418, "\n <html>", "a page for people answers"),
        (200, "OK", "something that is not the REST interface answers"),
        (500, '{"result": {"resu', "something that is not the REST interface answers, or not to the end"),
        (500, "[]", "unknown shape"),
        (200, "{}", "unknown shape"),
        (500, "{}", "something that is not the REST interface answers"),
    ],
)
def test_what_answers_in_the_portals_place(status: int, body: str, says: str) -> None:
    """The sentence names the status, and has a next step; it is an error that may pass."""
    error = refusal(httpx.Response(status, content=body.encode()))
    assert isinstance(error, NotJsonError)
    assert error.status == status
    assert re.search(says, str(error))
    assert f"HTTP {status}" in str(error) or "unknown shape" in str(error)


@pytest.mark.parametrize(
    "answer", [batch_answer(), error_answer(401, "expired_token"), batch_answer({"c0": "<b>"})], ids=str
)
def test_a_warning_before_the_answer(answer: httpx.Response) -> None:
    """It is shown without its tags; the answer behind it is not used, because nothing says that it is whole."""
    error = refusal(httpx.Response(answer.status_code, content=WARNING.encode() + answer.content))
    assert isinstance(error, NotJsonError)
    assert "a text stands before the portal's answer" in str(error)
    assert 'Warning: Undefined array key "A" in /local/php_interface/init.php on line 7; see' in str(error)
    assert "display_errors" in str(error)


def test_a_long_text_before_the_answer_is_shortened_and_masked() -> None:
    """It may repeat the address that was asked."""
    text = f"Notice: /rest/1/{TOKEN}/batch.json " + "x" * 200
    error = str(refusal(httpx.Response(200, content=text.encode() + GOOD)))
    assert "Notice: /rest/1/***/batch.json xxx" in error
    assert TOKEN not in error
    assert "x…;" in error


@pytest.mark.parametrize("rest", [b'{"result": ', b'{"result": [' + b"[" * 100_000, b'{"results": {}}', GOOD[:-1]])
def test_what_looks_like_a_text_before_an_answer(rest: bytes) -> None:
    """No answer of the portal stands behind it: it is something else."""
    assert "a text stands before" not in str(refusal(httpx.Response(200, content=b"Notice " + rest)))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("407 Proxy Authentication Required", r"name and a password \(HTTP 407\); write them into portal\.proxy"),
        ("403 Forbidden", r"does not connect to the portal \(HTTP 403\); check portal\.proxy"),
        ("502 Bad", r"does not connect to the portal \(HTTP 502\)"),
        ("", "does not connect to the portal;"),
        ("٣٣٣ x", "does not connect to the portal;"),
    ],
)
def test_what_a_proxy_says(said: str, says: str) -> None:
    """Its status decides; its own words are not repeated."""
    assert re.search(says, proxy_refusal(said))
    with pytest.raises(UnreachableError, match=says):
        Script(httpx.ProxyError(said)).client(attempts=1).read([TIME])


@pytest.mark.parametrize(
    ("coding", "name"), [("br", "br"), ("gzip, gzip", "gzip, gzip"), ("x" * 50, "something"), ("<b>", "something")]
)
def test_an_unknown_packing_is_named(coding: str, name: str) -> None:
    """As far as it is a word, with what was asked for."""
    answer = httpx.Response(200, headers={"Content-Encoding": coding}, stream=httpx.ByteStream(b"x"))
    with pytest.raises(
        NotJsonError, match=rf"packed as {name}, which was not asked for \(gzip, deflate, in one layer\)"
    ):
        Script(lambda _: answer).client(attempts=1).read([TIME])


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_told_to_be_unused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs use it, and this one wants a setting."""
    for other in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
    unreachable = Script(httpx.ConnectError("no")).client(attempts=1)
    with pytest.raises(UnreachableError, match=r"portal\.proxy where one is set"):
        unreachable.read([TIME])
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match=rf"portal\.proxy \({name} in the environment is not used\)"):
        unreachable.read([TIME])
