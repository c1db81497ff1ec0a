"""The command line on a terminal: bars, the question, Ctrl-C."""

from __future__ import annotations

import termios
from typing import TYPE_CHECKING

import pytest
from support.command_line import SMALL, Terminal, interrupt

if TYPE_CHECKING:
    from typing import TextIO

    from support.command_line import Desk, Served

QUESTION = f"Change the owner of {SMALL.drifted} contacts now? [y/N] "


@pytest.mark.parametrize(
    ("typed", "code"),
    [("y\n", 0), ("YES\n", 0), ("n\n", 3), ("\n", 3), ("\x04", 3)],
    ids=["y", "YES", "n", "Enter", "Ctrl-D"],
)
def test_once_asks_before_it_writes(
    typed: str, code: int, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan, then the question; anything but a yes writes nothing and is exit code 3."""
    terminal = Terminal(monkeypatch)
    with terminal.person((QUESTION, typed)):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (code, SMALL.drifted if code else 0)
    assert terminal.shown.index("Plan for 127.0.0.1") < terminal.shown.index(QUESTION)
    assert ("contacts corrected" in terminal.shown) == (code == 0)
    assert ("Refused, nothing written" in terminal.shown) == (code == 3)


def test_a_plan_is_refused_by_ctrl_c(desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the question stands, Ctrl-C ends the run without a write."""
    terminal = Terminal(monkeypatch)
    with terminal.person((QUESTION, interrupt)):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (1, SMALL.drifted)
    assert "stopping after the request under way" in terminal.shown
    assert "Stopped, nothing written" in terminal.shown


def test_the_sentences_of_check_stand_in_a_column(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal breaks them below themselves; elsewhere each thing is one line."""
    lines = desk.run("check").out.splitlines()
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal(monkeypatch, "stdout")
    with terminal.person():
        assert desk.run("check").code == 0
    shown = terminal.shown.replace("\r", "").splitlines()
    assert len(shown) > len(lines) == len([line for line in shown if not line.startswith(" ")])
    assert [line for line in shown if len(line) > 80 and " " in line[33:]] == []  # a path stays whole
    assert {line[:33].strip() for line in shown if line.startswith(" ")} == {""}


def test_what_was_typed_before_the_question_is_no_answer(
    desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys pressed while the plan was made do not let it through."""
    terminal = Terminal(monkeypatch)
    flush = termios.tcflush

    def typed_ahead(stream: TextIO, queue: int) -> None:
        terminal.type("y\n")
        flush(stream, queue)

    monkeypatch.setattr(termios, "tcflush", typed_ahead)
    with terminal.person((QUESTION, "n\n")):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (3, SMALL.drifted)


def test_the_question_is_asked_where_it_can_be_read(
    desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`2>errors.log` takes standard error away, and not the question."""
    terminal = Terminal(monkeypatch, "stdin", "stdout")
    with terminal.person((QUESTION, "n\n")):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (3, SMALL.drifted)


@pytest.mark.parametrize(
    ("arguments", "streams"),
    [
        (("--once", "--yes"), ("stdin", "stdout", "stderr")),
        (("--once", "--json"), ("stdin", "stdout", "stderr")),
        (("--once",), ("stdout", "stderr")),
        (("--once",), ("stdin",)),
    ],
    ids=["--yes", "--json", "no keyboard", "no screen"],
)
def test_once_does_not_ask_where_nobody_is_to_answer(
    arguments: tuple[str, ...],
    streams: tuple[str, ...],
    desk: Desk,
    portal: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--yes, a script, or one of the two missing: no question."""
    terminal = Terminal(monkeypatch, *streams)
    with terminal.person():
        ended = desk.run(*arguments)
    assert (ended.code, portal.portal.drift()) == (0, 0)
    assert "[y/N]" not in terminal.shown + ended.out + ended.err


def test_bars_are_for_terminals(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal reading is shown while it lasts; a pipe gets the plan only, and --json hides the bars."""
    terminal = Terminal(monkeypatch, "stderr")
    with terminal.person():
        assert desk.run("plan").out.startswith("Plan for")
    assert "Reading" in terminal.shown
    silent = Terminal(monkeypatch, "stderr")
    with silent.person():
        assert desk.run("plan", "--json").code == 0
    assert silent.shown == ""


@pytest.mark.parametrize("no_color", [False, True], ids=["colours", "NO_COLOR"])
def test_colours_are_for_terminals(no_color: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets them unless NO_COLOR is set; a pipe never does."""
    desk.run("--once")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(monkeypatch, "stdout")
    with terminal.person():
        desk.run("runs")
    assert ("\x1b[" in terminal.shown) is not no_color
    assert "\x1b[" not in desk.run("runs").out


def test_the_demo_leaves_its_bars_for_each_paragraph(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the story and the bars share a screen."""
    terminal = Terminal(monkeypatch, "stdout", "stderr")
    with terminal.person():
        ended = desk.run("demo", "--companies", "30", "--contacts", "120")
    assert ended.code == 0
    assert "Correcting contacts" in terminal.shown
    assert "The portal's own count: 0 contacts" in terminal.shown
