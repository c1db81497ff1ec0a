"""Bad input: one clear sentence each, the next step, the right exit code, and never the token."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.command_line import TOKEN, closed_port

from reconciler.clock import SystemClock
from reconciler.journal.lease import hold_lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command_line import Desk, Served


@dataclass(frozen=True, kw_only=True)
class Table:
    """What the arrangements of the table work with."""

    desk: Desk
    portal: Served
    tls: Served
    monkeypatch: pytest.MonkeyPatch

    def url(self, url: str) -> None:
        self.desk.env(PORTAL__WEBHOOK_URL=url)

    def setting(self, **values: str) -> None:
        self.desk.env(**values)

    def config(self, text: str) -> None:
        self.desk.config(text)

    def journal(self, path: object) -> None:
        self.desk.env(JOURNAL__URL=f"sqlite:///{path}")


@pytest.fixture
def table(desk: Desk, portal: Served, tls_server: Served, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Lay out what the arrangements need."""
    return Table(desk=desk, portal=portal, tls=tls_server, monkeypatch=monkeypatch)


@contextmanager
def hanging(table: Table) -> Iterator[None]:
    """Listen, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        table.url(f"http://127.0.0.1:{server.getsockname()[1]}/rest/1/{TOKEN}/")
        table.setting(PORTAL__READ_TIMEOUT="0.2")
        yield


@contextmanager
def leased(table: Table) -> Iterator[None]:
    """Be another run on the same journal."""
    table.desk.run("--once", "--yes")
    table.desk.hurry()
    with hold_lease(table.desk.journal, SystemClock(), 0):
        yield


def no_such_host(table: Table) -> None:
    """Let no name be known."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    table.monkeypatch.setattr(socket, "getaddrinfo", unknown)
    table.url(f"https://acme.bitrix24.com/rest/1/{TOKEN}/")


def newer_journal(table: Table) -> None:
    """Let a later version have been here."""
    table.desk.run("--once", "--yes")
    with sqlite3.connect(table.desk.journal) as database:
        database.execute("UPDATE alembic_version SET version_num = '0009'")
    database.close()


def foreign_journal(table: Table) -> None:
    """Point to another program's database."""
    with sqlite3.connect(table.desk.journal) as database:
        database.execute("CREATE TABLE theirs (id INTEGER)")
    database.close()


def text_as_journal(table: Table) -> None:
    """Point to something that is no database."""
    table.desk.journal.write_text("this is a letter, and no database at all\n" * 200)


def wrong_bundle(table: Table) -> None:
    """Name a file that holds no certificate."""
    table.setting(PORTAL__CA_BUNDLE=str(table.desk.config("not a certificate", "ca.pem")))


def proxied(table: Table) -> None:
    """Go through a proxy that is not there."""
    table.setting(PORTAL__PROXY=f"http://agent:pr0xypass@127.0.0.1:{closed_port()}")


def directory_as_config(table: Table) -> None:
    """Have a directory where the settings should be."""
    (table.desk.folder / "config.toml").mkdir()


def directory_as_output(table: Table) -> None:
    """Have a directory where the plan should be written."""
    (table.desk.folder / "plan").mkdir()


def directory_as_journal(table: Table) -> None:
    """Have a directory where the database should be."""
    table.desk.journal.mkdir()


def file_as_directory(table: Table) -> None:
    """Look for the database below a file."""
    table.journal(table.desk.config("", "file") / "journal.sqlite3")


#: Name -> what to arrange, the command, its exit code, and part of the sentence.
ROWS: dict[str, tuple[Callable[[Table], object], str, int, str]] = {
    "no settings": (lambda t: t.setting(PORTAL__WEBHOOK_URL=""), "plan", 2, "No webhook address is set"),
    "unknown key": (lambda t: t.config("[portal]\nwebhok_url = 'x'"), "plan", 2, "`portal.webhook_url`?"),
    "unknown variable": (lambda t: t.setting(PORTAL__MARGN="0"), "plan", 2, "RECONCILER_PORTAL__MARGIN?"),
    "bad TOML": (lambda t: t.config("[log]\nlevel = info"), "plan", 2, "config.toml, line 2"),
    "wrong value": (lambda t: t.config("[retry]\nattempts = 0"), "check", 2, "`retry.attempts` (config.toml)"),
    "no such config": (lambda _: None, "plan --config other.toml", 2, "correct --config"),
    "config is a directory": (directory_as_config, "plan", 2, "put the file in its place"),
    "address without rest": (lambda t: t.url("https://acme.bitrix24.com/"), "plan", 2, "/rest/<user>/<code>/"),
    "address in part": (lambda t: t.url(f"https://acme.bitrix24.com/rest/{TOKEN}"), "plan", 2, "copy it whole"),
    "http elsewhere": (lambda t: t.url(f"http://acme.example/rest/1/{TOKEN}/"), "plan", 2, "write https://"),
    "wrong token": (lambda t: t.url(t.portal.url.replace(TOKEN, TOKEN[::-1])), "plan", 1, "new inbound webhook"),
    "wrong token, writing": (
        lambda t: t.url(t.portal.url.replace(TOKEN, TOKEN[::-1])),
        "--once --yes",
        1,
        "new inbound",
    ),
    "no scope crm": (lambda t: t.portal.set(scopes=("user",)), "plan", 1, "add it to the webhook"),
    "no scope user": (lambda t: t.portal.set(scopes=("crm",)), "--once --yes", 1, "add the scope user_basic"),
    "port closed": (
        lambda t: t.url(f"http://127.0.0.1:{closed_port()}/rest/1/{TOKEN}/"),
        "plan",
        1,
        "(Connection refused); check portal.webhook_url",
    ),
    "no such host": (no_such_host, "plan", 1, "(Name or service not known); check portal.webhook_url"),
    "never answers": (hanging, "plan", 1, "is the portal up?"),
    "HTML": (lambda t: t.portal.set(maintenance=True), "plan", 1, "(HTTP 502); is the portal up?"),
    "moved": (lambda t: t.portal.set(moved_to="other.example"), "plan", 1, "put its address into portal.webhook_url"),
    "https wanted": (lambda t: t.portal.set(https_required=True), "plan", 1, "portal.webhook_url to https://"),
    "certificate not trusted": (lambda t: t.url(t.tls.url), "plan", 1, "set portal.ca_bundle"),
    "wrong bundle": (wrong_bundle, "plan", 2, "should be a PEM file"),
    "no bundle": (lambda t: t.setting(PORTAL__CA_BUNDLE="ca.pem"), "plan", 2, "should be a file that can be read"),
    "no proxy there": (proxied, "plan", 1, "portal.proxy"),
    "journal below a file": (file_as_directory, "--once --yes", 1, "file is not a directory; set `journal.url`"),
    "journal in no directory": (
        lambda t: t.journal("no/where.sqlite3"),
        "--once --yes",
        1,
        "create it, or set `journal.url`",
    ),
    "journal is a directory": (directory_as_journal, "--once --yes", 1, "set `journal.url` to a file in it"),
    "journal not writable": (lambda t: t.journal("/proc/journal.sqlite3"), "--once --yes", 1, "set `journal.url`"),
    "journal is a letter": (text_as_journal, "--once --yes", 1, "set `journal.url` to another file"),
    "journal of others": (foreign_journal, "--once --yes", 1, "set `journal.url` to another file"),
    "journal newer": (newer_journal, "--once --yes", 1, "install the newer program"),
    "journal newer, reading": (newer_journal, "runs", 1, "install the newer program"),
    "another run": (leased, "--once --yes", 5, "wait until it ends, or stop it"),
    "no such company": (lambda _: None, "plan --company 4000", 2, "check --company"),
    "no such owner": (lambda _: None, "--once --yes --owner 4000", 2, "check --owner"),
    "output in no directory": (lambda _: None, "plan --output no/plan.html", 2, "another file with --output"),
    "output is a directory": (directory_as_output, "plan --output plan", 2, "another file with --output"),
    "output with a long name": (lambda _: None, f"plan --output {'x' * 300}.csv", 2, "another file with --output"),
    "no share": (lambda _: None, "demo --skew much", 2, "'--skew': should be a valid number; `reconciler demo -h`"),
    "output of no format": (lambda _: None, "plan --output plan.xlsx", 2, ".csv, .html, .htm; name the file otherwise"),
    "output on a full disk": (lambda _: None, "plan --output /dev/full", 2, "another file with --output"),
    "run is no number": (lambda _: None, "show x", 2, "`latest`"),
    "run beyond any": (lambda _: None, f"show {'9' * 5000}", 2, "`latest`"),
    "no run yet": (lambda _: None, "show latest", 1, "the first one makes the journal"),
    "no such run": (lambda t: t.desk.run("--once", "--yes"), "show 7", 2, "`reconciler runs` lists them"),
    "unknown command": (lambda _: None, "plann", 2, "Did you mean 'plan'?"),
    "unknown option": (lambda _: None, "plan --jsn", 2, "`reconciler plan -h` tells more"),
    "no number": (lambda _: None, "plan --limit 0", 2, "'--limit': 0 is no number from 1 on"),
    "no choice": (lambda _: None, "plan --format pdf", 2, "'text', 'json', 'markdown', 'csv', 'html'"),
    "a token as an argument": (lambda _: None, f"check https://x.example/rest/1/{TOKEN}/", 2, "rest/1/***/"),
    "company twice, one unknown": (lambda _: None, "plan --company 5 --company 999", 2, "no company 999 is visible"),
    "limit twice": (lambda _: None, "plan --limit 1 --limit 2", 2, "--limit is given more than once"),
    "digest twice": (
        lambda _: None,
        "--once --approve aaaaaa --approve bbbbbb",
        2,
        "--approve is given more than once",
    ),
    "contact twice": (lambda _: None, "undo --contact 1 --contact 2", 2, "--contact is given more than once"),
    "no word for a run": (lambda _: None, "show last", 2, "a run is a number from 1 on, or `latest`; last is neither"),
    "not with a command": (lambda _: None, "--once plan", 2, "--once does not go before the command plan"),
    "not without --once": (lambda _: None, "--company 3", 2, "--company goes with --once"),
    "two formats": (lambda _: None, "--json plan --format csv", 2, "give one of them"),
    "impossible share": (lambda _: None, "demo --drift 2", 2, "between 0 and 1"),
    "port taken": (lambda _: None, "simulate --port {taken}", 2, "--port 0 takes a free one"),
}


def forms() -> Iterator[tuple[str, str]]:
    """Each row as text, and one of each kind as JSON."""
    for row in ROWS:
        yield row, "text"
    for row in ("no settings", "wrong token, writing", "another run", "no such run", "no choice", "impossible share"):
        yield row, "json"


@pytest.mark.parametrize(("row", "form"), list(forms()))
def test_bad_input_is_told_in_one_sentence(row: str, form: str, table: Table) -> None:
    """One line on standard error, or one object on standard output; the next step; the exit code; never the token."""
    arrange, command, code, way_out = ROWS[row]
    arranged = arrange(table)
    arguments = command.replace("{taken}", str(table.portal.address.port)).split()
    with arranged if isinstance(arranged, AbstractContextManager) else nullcontext():
        ended = table.desk.run(*arguments, *(["--json"] if form == "json" else []))
    assert ended.code == code, ended
    shown = ended.out + ended.err
    assert TOKEN not in shown
    assert TOKEN[::-1] not in shown
    assert "pr0xypass" not in shown
    if form == "json" or "--json" in arguments:
        assert not ended.err
        document = ended.json
        assert document["schema"] == 1
        assert document["status"] == "failed"
        sentence = document["error"]
    else:
        assert ended.err.startswith("reconciler: ")
        assert ended.err.count("\n") == 1
        sentence = ended.err
        assert len(ended.out.splitlines()) == (1 if "Failed, nothing written" in ended.out else 0)
    assert way_out in sentence
