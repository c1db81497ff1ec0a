"""Logs: one pipeline for everybody, nothing secret in it, nothing harmful, and context that ends with its run."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import warnings
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TextIO

import httpx
import pytest
import structlog

from reconciler.cli.context import Shell
from reconciler.cli.options import Common
from reconciler.core.redaction import Redactor
from reconciler.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "k3yk3yk3yk3yk3y0"
ADDRESS = f"https://acme.bitrix24.com/rest/17/{TOKEN}/batch"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def start(level: str = "info", form: Any = "json", stream: io.StringIO | None = None) -> io.StringIO:
    """Configure logging into a buffer."""
    stream = io.StringIO() if stream is None else stream
    logs.configure(level, form, Redactor([TOKEN]), stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read back one JSON object a line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_event_in_json() -> None:
    """Event name, data, level, time in UTC, one line; other alphabets stay readable."""
    stream = start()
    structlog.get_logger().info("sweep.finished", contacts=5, company="Ромашка")
    (event,) = events(stream)
    assert datetime.fromisoformat(event.pop("timestamp")).utcoffset() is not None
    assert event == {"event": "sweep.finished", "contacts": 5, "company": "Ромашка", "level": "info"}
    assert "Ромашка" in stream.getvalue()


def test_a_library_s_record_takes_the_same_way() -> None:
    """A name of the event, its message as text and its logger's name, as one JSON object."""
    stream = start()
    logging.getLogger("somebody").warning("took %d s", 5)
    (event,) = events(stream)
    event.pop("timestamp")
    assert event == {"event": "library.logged", "text": "took 5 s", "logger": "somebody", "level": "warning"}


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
    ids=["auto, piped", "auto, terminal", "json", "console"],
)
def test_the_form_follows_the_terminal_unless_told(form: str, stream: io.StringIO, is_json: bool) -> None:
    """People get lines, collectors get JSON."""
    start("info", form, stream)
    structlog.get_logger().info("run.started", run=3)
    assert stream.getvalue().startswith("{") == is_json
    assert "run.started" in stream.getvalue()


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into a pipe, and not where NO_COLOR is set."""
    shown = []
    for stream, no_color in ((Terminal(), False), (Terminal(), True), (io.StringIO(), False)):
        with monkeypatch.context() as patch:
            patch.delenv("NO_COLOR", raising=False)
            if no_color:
                patch.setenv("NO_COLOR", "1")
            start("info", "console", stream)
        structlog.get_logger().info("run.started")
        shown.append("\x1b[" in stream.getvalue())
    assert shown == [True, False, False]


def test_the_threshold_holds_for_everybody_and_libraries_stay_quiet() -> None:
    """Below the level nothing is written; httpx never tells its requests, not even at debug."""
    stream = start("debug")
    structlog.get_logger().debug("plan.made")
    logging.getLogger("somebody").debug("detail")
    logging.getLogger("httpx").info("HTTP Request: POST %s", ADDRESS)
    logging.getLogger("httpcore.connection").debug("connect")
    logging.getLogger("apscheduler.executors").info("Running job")
    assert [event.get("text", event["event"]) for event in events(stream)] == ["plan.made", "detail"]
    stream = start("error")
    structlog.get_logger().warning("no")
    logging.getLogger("sqlalchemy.engine").warning("no")
    logging.getLogger("httpx").error("yes")
    assert [event["text"] for event in events(stream)] == ["yes"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_token_is_nowhere(form: str) -> None:
    """Not in messages, arguments, values, keys, nested ones, objects, stacks, tracebacks and their causes."""
    stream = start("debug", form)
    log, token = structlog.get_logger(), TOKEN
    request = httpx.Request("POST", ADDRESS)
    log.info(token, url=ADDRESS, nested={"a": [token, (token,)], token: 1}, request=request, stack_info=True)
    logging.getLogger("httpx").warning("HTTP Request: %s %s", "POST", request.url)
    try:
        try:
            httpx.Response(404, request=request).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise ValueError(f"no {token}") from error
    except ValueError:
        log.exception("run.failed")
        logging.getLogger("apscheduler").exception("job %s", token)
    text = stream.getvalue()
    assert TOKEN not in text
    assert text.count("***") >= 10
    assert text.count("Traceback (most recent call last)") == 4
    assert "HTTPStatusError" in text
    assert "locals" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_name_cannot_harm_the_terminal(form: str) -> None:
    """Escape codes and bidirectional marks in values are gone, in tracebacks too; their lines stay."""
    stream = start("info", form)
    nasty = "\x1b[31mACME\u202e\r\nfake line"
    try:
        int(nasty)
    except ValueError:
        names = {"names": [nasty], "by_name": {nasty: nasty}, "pair": (nasty, 1), "odd": {Odd()}}
        structlog.get_logger().exception("x", company=nasty, **names)
    text = stream.getvalue()
    assert not set("\x1b\u202e\r") & set(text)
    assert "[31mACME  fake line" in text
    assert (len(text.splitlines()) == 1) == (form == "json")


class Odd:
    """An object with a nasty repr."""

    def __repr__(self) -> str:
        return "<odd>"


def test_context_belongs_to_its_run() -> None:
    """Each event inside tells the run; nothing of an earlier job is there, nothing is left behind."""
    stream = start()
    structlog.contextvars.bind_contextvars(left_over="by another job")
    log = structlog.get_logger()

    def run() -> None:
        with logs.context(run=7):
            log.info("run.started")
            logging.getLogger("somebody").warning("inside")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run()
    log.info("after")
    assert [(e["event"], e.get("run"), e.get("left_over")) for e in events(stream)] == [
        ("run.started", 7, None),
        ("library.logged", 7, None),
        ("after", None, None),
    ]


def test_configuring_again_replaces_and_does_not_repeat() -> None:
    """The last call holds, and each event is written once."""
    first, second = start(), start()
    structlog.get_logger().info("once")
    logging.getLogger("somebody").warning("once")
    assert first.getvalue() == ""
    assert len(events(second)) == 2


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to the commands' results."""
    logs.configure("info", "json", Redactor())
    structlog.get_logger().info("run.started")
    out, err = capsys.readouterr()
    assert (out, json.loads(err)["event"]) == ("", "run.started")


def test_crashes_and_warnings_take_the_same_way() -> None:
    """An uncaught error in the main thread or another, one nobody can catch, and a library's warning: all masked."""
    stream = start()
    logs.install_hooks()

    def fail() -> None:
        raise ValueError(ADDRESS)

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(ADDRESS), None)
    sys.unraisablehook(SimpleNamespace(exc_type=ValueError, exc_value=ValueError(ADDRESS), exc_traceback=None))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(ADDRESS, stacklevel=1)
    assert [event["event"] for event in events(stream)] == [
        "thread.crashed",
        "process.crashed",
        "process.unraisable",
        "python.warning",
    ]
    assert events(stream)[0]["thread"] == "worker"
    assert events(stream)[3]["logger"] == "py.warnings"
    assert "ValueError" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_being_told_to_end_is_no_crash() -> None:
    """Ctrl-C and a thread's SystemExit are not logged."""
    stream = start()
    logs.install_hooks()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))
    assert stream.getvalue() == ""
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError(), None, None)))
    assert events(stream)[0]["thread"] is None


def test_a_record_that_cannot_be_written_is_not_printed_raw(capsys: pytest.CaptureFixture[str]) -> None:
    """The standard library would print message and arguments to standard error."""
    stream = start()
    (handler,) = (h for h in logging.getLogger().handlers if type(h).__module__ == logs.__name__)
    handler.handle(logging.makeLogRecord({"name": "somebody", "msg": "%d", "args": (TOKEN,)}))
    stream.close()
    handler.handle(logging.makeLogRecord({"name": "somebody", "msg": "closed %s", "args": (TOKEN,)}))
    err = capsys.readouterr().err
    assert err == (
        "a log record of somebody could not be written (TypeError)\n"
        "a log record of somebody could not be written (ValueError)\n"
    )


def test_a_closed_pipe_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """`reconciler ... 2>&1 | head` ends without a word."""

    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    start("info", "json", Closed())
    structlog.get_logger().info("run.started")
    assert capsys.readouterr().err == ""


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """Open a file that is to be taken for systemd's journal."""
    with (tmp_path / "journal").open("w+", encoding="utf-8") as file:
        there = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        yield file


def written(file: TextIO) -> list[str]:
    """Return the lines of a file that is open."""
    file.flush()
    return Path(file.name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("level", "mark"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)])
def test_in_the_journal_each_line_has_its_priority(journal: TextIO, level: str, mark: int) -> None:
    """As sd-daemon(3) has it, so that `journalctl -p warning` finds what went wrong; behind it the line is JSON."""
    logs.configure("debug", "json", Redactor([TOKEN]), journal)
    getattr(structlog.get_logger(), level)("something.happened")
    (line,) = written(journal)
    assert line.startswith(f"<{mark}>")
    assert json.loads(line[3:])["level"] == level


def test_in_the_journal_each_line_of_a_traceback_has_its_priority(journal: TextIO) -> None:
    """For people a record has several lines, and the journal takes each for itself."""
    logs.configure("debug", "console", Redactor([TOKEN]), journal)
    structlog.get_logger().error("something.broke", exc_info=ValueError("two\nlines"))
    lines = written(journal)
    assert len(lines) > 2
    assert {line[:3] for line in lines} == {"<3>"}


@pytest.mark.parametrize("named", [None, "", "1:1", "nonsense"])
def test_elsewhere_no_line_has_a_mark(journal: TextIO, monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    """Also in a process that inherited the variable, and writes to a file of its own."""
    if named is None:
        monkeypatch.delenv("JOURNAL_STREAM")
    else:
        monkeypatch.setenv("JOURNAL_STREAM", named)
    logs.configure("debug", "json", Redactor([TOKEN]), journal)
    structlog.get_logger().error("something.happened")
    assert [line[0] for line in written(journal)] == ["{"]


@pytest.mark.parametrize(("code", "mark"), [(2, 3), (0, 4)])
def test_the_sentence_of_a_failure_has_its_priority_too(
    journal: TextIO, monkeypatch: pytest.MonkeyPatch, code: int, mark: int
) -> None:
    """Wrong settings are told before there are logs."""
    monkeypatch.setattr(sys, "stderr", journal)
    Shell(Common()).fail("the settings are wrong", code)
    assert written(journal) == [f"<{mark}>reconciler: the settings are wrong"]
