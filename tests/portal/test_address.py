"""The webhook address: what people paste is understood, the rest is refused in one sentence without the token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import UsageError
from reconciler.settings.address import Webhook, canonical_host, parse_webhook

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
        f"\u201chttps://acme.bitrix24.com/rest/17/{TOKEN}/\u201d",
        f"\u00abhttps://acme.bitrix24.com/rest/17/{TOKEN}/\u00bb",
    ],
    ids=[
        "whole",
        "no last slash",
        "with a method",
        "method and slash",
        "capitals and spaces",
        "quoted",
        "in brackets",
        "typographic",
        "guillemets",
    ],
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
    ("host", "canonical"),
    [
        ("Acme.Bitrix24.COM", "acme.bitrix24.com"),
        ("portal.intra.", "portal.intra"),
        ("портал.рф", "xn--80awhdgm.xn--p1ai"),
        ("ПОРТАЛ.РФ.", "xn--80awhdgm.xn--p1ai"),
        ("\u043f\u043e\u0440\u0442\u0430\u043b\u3002\u0440\u0444", "xn--80awhdgm.xn--p1ai"),
        ("XN--80AWHDGM.рф", "xn--80awhdgm.xn--p1ai"),
        ("\uff45xample.com", "example.com"),
        ("fa\u00df.de", "xn--fa-hia.de"),
        ("\u2603.net", "xn--n3h.net"),
        ("my_portal.intra", "my_portal.intra"),
        ("пор_тал.рф", "xn--_-8sb7ajehp.xn--p1ai"),
        ("xn---7sbexample1g.bitrix24.ru", "xn---7sbexample1g.bitrix24.ru"),
        ("10.0.0.1", "10.0.0.1"),
        ("0:0:0::1", "::1"),
        ("[FE80::A]", "fe80::a"),
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a" * 64, None),
        (".".join(["a" * 63] * 4), None),
        ("a/b", None),
        ("пор@тал.рф", None),
        ("пор/тал.рф", None),
        ("zz::1", None),
    ],
    ids=ascii,
)
def test_a_host_has_one_form(host: str, canonical: str | None) -> None:
    """Letters of any script and case, a final dot and a long form of IPv6 are one; what is no host is none."""
    assert canonical_host(host) == canonical
    if canonical is not None:
        assert canonical_host(canonical) == canonical


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("https://Портал.рф", "xn--80awhdgm.xn--p1ai"),
        ("https://портал.рф.:443", "xn--80awhdgm.xn--p1ai"),
        ("https://xn--80awhdgm.xn--p1ai", "xn--80awhdgm.xn--p1ai"),
        ("http://портал.рф", "xn--80awhdgm.xn--p1ai"),
        ("http://портал.рф:80", "xn--80awhdgm.xn--p1ai"),
        ("https://портал.рф:80", "xn--80awhdgm.xn--p1ai:80"),
        ("https://портал.рф:8443", "xn--80awhdgm.xn--p1ai:8443"),
        ("http://[0::1]:80", "[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://[fe80::1%eth0]", "[fe80::1%25eth0]"),
        ("https://intra.example/portal", "intra.example/portal"),
        ("https://intra.example:8443/a/b.c", "intra.example:8443/a/b.c"),
    ],
)
def test_a_portal_has_one_name(start: str, name: str) -> None:
    """Two spellings of an address are one portal, and two ports of a host are two; the address that is used says so."""
    webhook = parse_webhook(f"{start}/rest/1/{TOKEN}/", ["ПОРТАЛ.рф."])
    assert webhook.name == name
    assert webhook.base_url == f"{start.partition('://')[0]}://{name}/rest/1/{TOKEN}/"


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
        (f"https://acme.bitrix24.com/../rest/1/{TOKEN}/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/a%2f/rest/1/{TOKEN}/", "is without /rest/<user>/<code>/"),
        (f"https://acme.bitrix24.com/a/rest/api/1/{TOKEN}/", "without /api/"),
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
