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
        (("--once",), ("stdin", "stdout", "stderr")),
        (("--once", "--json"), ("stdin", "stdout", "stderr")),
        (("--once",), ("stdout", "stderr")),
        (("--once",), ()),
    ],
    ids=["a terminal", "--json", "no keyboard", "no terminal"],
)
def test_yes_is_an_answer_without_a_question(
    arguments: tuple[str, ...],
    streams: tuple[str, ...],
    desk: Desk,
    portal: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--yes` writes at once, wherever it is given."""
    terminal = Terminal(monkeypatch, *(streams or ("stdin",)))
    with terminal.person():
        ended = desk.run(*arguments, "--yes")
    assert (ended.code, portal.portal.drift()) == (0, 0)
    assert "[y/N]" not in terminal.shown + ended.out + ended.err


@pytest.mark.parametrize(
    ("arguments", "streams"),
    [
        (("--once",), ("stdout", "stderr")),
        (("--once",), ("stdin",)),
        (("--once", "--json"), ("stdin", "stdout")),
        (("--once", "--json"), ("stderr",)),
        (("--once", "--approve", "abcdefabcdef"), ("stdin",)),
        (("undo", "latest"), ("stdin",)),
    ],
    ids=["no keyboard", "no screen", "--json and no screen", "--json and no keyboard", "--approve", "undo"],
)
def test_nothing_is_written_where_nobody_can_say_yes(
    arguments: tuple[str, ...],
    streams: tuple[str, ...],
    desk: Desk,
    portal: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2 at once, and the sentence says what to add; the portal is not even asked."""
    terminal = Terminal(monkeypatch, *streams)
    with terminal.person():
        ended = desk.run(*arguments)
    assert (ended.code, portal.portal.drift(), portal.portal.stats()["requests"]) == (2, SMALL.drifted, 0)
    shown = terminal.shown + ended.out + ended.err
    assert "there is no terminal to ask on; add --yes to write without a question" in shown
    assert "[y/N]" not in shown


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 3)], ids=["yes", "no"])
def test_json_changes_the_form_of_the_answer_and_not_whether_it_asks(
    typed: str, code: int, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question stands on standard error, one object on standard output."""
    terminal = Terminal(monkeypatch, "stdin", "stderr")
    with terminal.person((QUESTION, typed)):
        ended = desk.run("--once", "--json")
    assert (ended.code, portal.portal.drift()) == (code, SMALL.drifted if code else 0)
    assert ended.json["status"] == ("refused" if code else "applied")


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
    desk.run("--once", "--yes")
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
