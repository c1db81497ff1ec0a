"""The setting `journal.url` has one reader: the settings, the journal and `reconciler health` agree about the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.errors import UsageError
from reconciler.journal.store import open_journal
from reconciler.settings.journal_url import locate
from reconciler.settings.model import Journal as JournalSettings
from reconciler.settings.model import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.clock import VirtualClock


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///j.db", "j.db"),
        ("sqlite:///./sub/../j.db", "j.db"),
        ("sqlite:///~/j.db", "home/j.db"),
        ("sqlite:///sub/a%20b.db", "sub/a b.db"),
        ("sqlite:///100%.db", "100%.db"),
        ("sqlite:///a%3Fb.db", "a?b.db"),
        ("sqlite+pysqlite:///j.db", "j.db"),
    ],
)
def test_settings_and_journal_mean_the_same_file(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, url: str, file: str
) -> None:
    """With a home, with an encoded character, with a relative path."""
    for folder in ("home", "sub"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECONCILER_JOURNAL__URL", url)
    settings = load_settings(None).journal
    assert not settings.is_there
    with open_journal(settings.url, clock) as journal:
        assert journal.path == tmp_path / file
    assert settings.path.samefile(tmp_path / file)
    assert settings.is_there


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "should begin with sqlite:///"),
        ("journal.db", "should begin with sqlite:///"),
        ("postgresql://user:geheim@host:port/journal", "should begin with sqlite:///"),
        ("sqlite+aiosqlite:///journal.db", "should begin with sqlite:///"),
        ("sqlite://", "should have three slashes"),
        ("sqlite://geheim@host/journal.db", "should have three slashes"),
        ("sqlite:journal.db", "should have three slashes"),
        ("sqlite:///", "should name a file: "),
        ("sqlite:////var/lib/", "should name a file: "),
        ("sqlite:///a%00b", "should name a file: "),
        ("sqlite:///:memory:", "should name a file, because a journal in memory is lost at the end"),
        ("sqlite:///journal.db?mode=ro", "should have no options after `?`"),
    ],
)
def test_what_is_no_sqlite_file_is_refused_alike_everywhere(url: str, words: str) -> None:
    """The sentence shows the right form, and not the value, which may hold a password."""
    with pytest.raises(UsageError, match=r"^The setting `journal\.url` should .*write sqlite:///") as refusal:
        locate(url)
    assert words in str(refusal.value)
    with pytest.raises(UsageError, match=r"^`journal\.url` \(command line\) should ") as refused:
        load_settings(None, {"journal.url": url})
    assert words in str(refused.value)
    assert "geheim" not in f"{refusal.value}{refused.value}"


def test_a_path_that_leads_nowhere_is_a_wrong_setting(tmp_path: Path) -> None:
    """A link to itself, and the home of a user who does not exist."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (f"{tmp_path}/loop", "~nobody-at-all/journal.db"):
        with pytest.raises(UsageError, match=r"`journal\.url` names a path that leads nowhere"):
            locate(f"sqlite:///{path}")


def test_an_empty_file_is_no_journal_yet(tmp_path: Path) -> None:
    """As `touch` makes it, so that a container engine mounts a file."""
    file = tmp_path / "journal.db"
    settings = JournalSettings(url=f"sqlite:///{file}")
    file.touch()
    assert not settings.is_there
    file.write_bytes(b"x")
    assert settings.is_there
    assert not JournalSettings(url=f"sqlite:///{file}/below").is_there


def test_a_journal_that_may_not_be_looked_at_counts_as_there(unprivileged: Path) -> None:
    """Opening it then says why it cannot be used."""
    (unprivileged / "closed").mkdir(mode=0)
    assert JournalSettings(url=f"sqlite:///{unprivileged}/closed/journal.db").is_there
