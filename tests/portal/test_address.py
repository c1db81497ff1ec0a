"""The webhook address: what people paste is understood, the rest is refused in one sentence without the token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import UsageError
from reconciler.portal.address import Webhook, parse_webhook

TOKEN = "k3yk3yk3yk3yk3y0"


@pytest.mark.parametrize(
    "text",
    [
        f"https://acme.bitrix24.com/rest/17/{TOKEN}/",
        f"https://acme.bitrix24.com/rest/17/{TOKEN}",
        f"https://acme.bitrix24.com/rest/17/{TOKEN}/profile.json",
        f"https://acme.bitrix24.com/rest/17/{TOKEN}/crm.contact.list/",
        f"  HTTPS://Acme.Bitrix24.com/rest/17/{TOKEN}/\n",
        f'"https://acme.bitrix24.com/rest/17/{TOKEN}/"',
        f"<https://acme.bitrix24.com/rest/17/{TOKEN}/>",
    ],
    ids=["whole", "no last slash", "with a method", "method and slash", "capitals and spaces", "quoted", "in brackets"],
)
def test_the_address_as_people_paste_it(text: str) -> None:
    """Slash, method, quotes and spaces make no difference."""
    assert parse_webhook(text) == Webhook(
        base_url=f"https://acme.bitrix24.com/rest/17/{TOKEN}/", host="acme.bitrix24.com", user_id=17, token=TOKEN
    )


@pytest.mark.parametrize(
    ("start", "host"),
    [
        ("http://localhost:8080", "localhost"),
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080", "::1"),
        ("http://[::1]", "::1"),
        ("http://portal.intra", "portal.intra"),
        ("https://crm.example:8443", "crm.example"),
    ],
)
def test_origin_keeps_the_port_and_http_is_for_near_or_named_hosts(start: str, host: str) -> None:
    """Links to cards start with the origin; plain HTTP passes for loopback and for the hosts of the setting."""
    webhook = parse_webhook(f"{start}/rest/1/{TOKEN}/", ["Portal.Intra"])
    assert (webhook.origin, webhook.host) == (start, host)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"acme.bitrix24.com/rest/1/{TOKEN}/", "has no https:// in front"),
        (TOKEN, "has no https:// in front"),
        ("", "has no https:// in front"),
        (f"ftp://acme.bitrix24.com/rest/1/{TOKEN}/", "does not begin with https://"),
        (f"http://acme.bitrix24.com/rest/1/{TOKEN}/", "portal.http_hosts"),
        (f"http://10.0.0.1/rest/1/{TOKEN}/", "portal.http_hosts"),
        (f"https://user:{TOKEN}@acme.bitrix24.com/rest/1/{TOKEN}/", "up to the @"),
        (f"https://acme.bitrix24.com/rest/1/{TOKEN}/?auth={TOKEN}", "leave out that part"),
        (f"https://acme.bitrix24.com/rest/1/{TOKEN}/#{TOKEN}", "leave out that part"),
        (f"https://acme.bitrix24.com/{TOKEN}/", "is without /rest/<user>/<code>/"),
        ("https://acme.bitrix24.com", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/{TOKEN}/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/{TOKEN}/1/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/0/{TOKEN}/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/1/{TOKEN}%2F/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/1/{TOKEN}/a/b", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/rest/1/{TOKEN}/a b", "has a space"),
        (f"https://acme.bitrix24.com/rest/1/\n{TOKEN}/", "has a space or an unprintable character"),
        (f"https://acme.bitrix24.com/rest/api/1/{TOKEN}/", "without /api/"),
        (f"https://acme.bitrix24.com:{TOKEN}/rest/1/{TOKEN}/", "no port number"),
        (f"https://acme.bitrix24.com:99999/rest/1/{TOKEN}/", "no port number"),
        (f"https://[{TOKEN}/rest/1/{TOKEN}/", "no host name"),
        (f"https:///rest/1/{TOKEN}/", "no host name"),
        (f"https://a%2f{TOKEN}/rest/1/{TOKEN}/", "no host name"),
    ],
)
def test_a_wrong_address_is_refused_in_one_sentence_without_the_token(text: str, says: str) -> None:
    """Each mistake has its own sentence, and none of them, nor a cause, repeats what was pasted."""
    with pytest.raises(UsageError) as refusal:
        parse_webhook(text)
    sentence = str(refusal.value)
    assert says in sentence
    assert sentence.endswith("Inbound webhook.")
    assert TOKEN not in sentence
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_repr_never_shows_the_token() -> None:
    """A webhook that ends up in a log or a traceback tells host and user only."""
    shown = repr(parse_webhook(f"https://acme.bitrix24.com/rest/1/{TOKEN}/"))
    assert shown == "Webhook(host='acme.bitrix24.com', user_id=1)"


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    """Nothing that can be typed makes the parser fail otherwise."""
    for candidate in (text, f"https://{text}/rest/1/{TOKEN}/", f"https://a.b/rest/{text}/"):
        try:
            webhook = parse_webhook(candidate)
        except UsageError:
            continue
        assert parse_webhook(webhook.base_url) == webhook
