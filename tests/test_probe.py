"""The health check of a container answers like the whole program, and loads no library for it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command_line import Desk

from reconciler.cli import health as probe
from reconciler.service import heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

#: Said by those of the two journals whose service is not well.
SICK = "the run under way has heard nothing for an hour"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Return a folder with the heartbeats of a service that is well, and of one that is not."""
    desk = Desk(tmp_path, monkeypatch, capsys)
    monkeypatch.delenv("RECONCILER_JOURNAL__URL", raising=False)
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, wrong in (("reconciler.sqlite3", ""), ("sick.db", SICK), ("home/sick.db", SICK)):
        beat = heartbeat.Beat(process=1, boot=heartbeat.this_boot(), at=time.monotonic(), wrong=wrong)
        heartbeat.write(heartbeat.beat_file(tmp_path / name), beat)
    return desk


def _nothing(_: pytest.MonkeyPatch) -> None:
    pass


def _file(_: pytest.MonkeyPatch) -> None:
    Path("config.toml").write_text('[journal]\nurl = "sqlite:///sick.db"\n')


def _secret_over_file(_: pytest.MonkeyPatch) -> None:
    Path("config.toml").write_text('[journal]\nurl = "sqlite:///reconciler.sqlite3"\n')
    Path("journal__url").write_text("sqlite:///sick.db\n")


def _environment_over_all(patch: pytest.MonkeyPatch) -> None:
    _file(patch)
    Path("journal__url").write_text("sqlite:///sick.db")
    patch.setenv("RECONCILER_JOURNAL__URL", "sqlite:///reconciler.sqlite3")


def _empty_variable(patch: pytest.MonkeyPatch) -> None:
    _file(patch)
    patch.setenv("RECONCILER_JOURNAL__URL", "")


def _home(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("RECONCILER_JOURNAL__URL", "sqlite:///~/sick.db")


def _other_file(patch: pytest.MonkeyPatch) -> None:
    Path("other.toml").write_text('[journal]\nurl = "sqlite:///sick.db"\n')
    patch.setenv("RECONCILER_CONFIG", "other.toml")


def _no_service(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("RECONCILER_JOURNAL__URL", "sqlite:///nobody.db")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (_nothing, "alive"),
        (_file, SICK),
        (_secret_over_file, SICK),
        (_environment_over_all, "alive"),
        (_empty_variable, SICK),
        (_home, SICK),
        (_other_file, SICK),
        (_no_service, "holds no heartbeat"),
    ],
)
def test_it_answers_as_the_whole_program(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: Callable[[pytest.MonkeyPatch], None],
    words: str,
) -> None:
    """Wherever the settings say where the journal is."""
    settings(monkeypatch)
    whole = desk.run("health")
    assert (probe.answer(["health"]), capsys.readouterr().out) == (whole.code, whole.out)
    assert words in whole.out


def test_a_settings_file_may_be_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the command and after it."""
    (desk.folder / "other.toml").write_text('[journal]\nurl = "sqlite:///sick.db"\n')
    for arguments in (["health", "--config", "other.toml"], ["--config", "other.toml", "health"]):
        whole = desk.run(*arguments)
        assert (
            (probe.answer(arguments), capsys.readouterr().out) == (whole.code, whole.out) == (1, f"not alive: {SICK}\n")
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECONCILER_JOURNAL", '{"url": "sqlite:///sick.db"}'),
        ("reconciler_journal__url", "sqlite:///sick.db"),
        ("RECONCILER_JOURNAL__URL", "mysql://host/journal"),
        ("RECONCILER_CONFIG", "nowhere.toml"),
    ],
)
@pytest.mark.usefixtures("desk")
def test_what_is_unusual_is_left_to_the_whole_program(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """It also says what is wrong."""
    monkeypatch.setenv(name, value)
    assert probe.answer(["health"]) is None


@pytest.mark.usefixtures("desk")
def test_an_odd_table_and_other_options_are_left_to_the_whole_program() -> None:
    """As are all other commands."""
    for arguments in (["health", "--json"], ["health", "-h"], ["plan"], []):
        assert probe.answer(arguments) is None
    for text in ("journal = 5\n", "[journal]\nurl = 5\n"):
        Path("config.toml").write_text(text)
        assert probe.answer(["health"]) is None


@pytest.mark.usefixtures("desk")
def test_it_loads_the_standard_library_only() -> None:
    """Neither what parses options and settings, nor what speaks to portals and databases."""
    script = (
        "import sys; sys.argv = ['reconciler', 'health']\n"
        "from reconciler.__main__ import main\n"
        "try:\n main()\n"
        "except SystemExit as end:\n code = end.code\n"
        "ours = {'typer', 'click', 'pydantic', 'sqlalchemy', 'httpx', 'structlog', 'rich'}\n"
        "print(code, *sorted(ours & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["alive", "0"]
