import io
import logging
import re
from collections.abc import Callable

import pytest

from reconciler.telemetry.progress import QUIET, Progress, meter


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def plain(self) -> str:
        """What was written, without the codes."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def ticking() -> Callable[[], float]:
    """Return a clock that a test moves by hand."""

    class Ticking:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    return Ticking()


def test_bars_only_on_a_terminal_that_wants_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe, a file and --json get nothing."""
    assert isinstance(meter(wanted=True, stream=Terminal()), Progress)
    assert meter(wanted=False, stream=Terminal()) is QUIET
    assert meter(wanted=True, stream=io.StringIO()) is QUIET
    assert meter(wanted=True) is QUIET
    with QUIET as shown:
        shown.read("contacts", 1, 2)
        shown.write(1, 2)
        with shown.aside():
            pass
    assert capsys.readouterr() == ("", "")


def test_bars_show_counts_rate_and_time_left(ticking: Callable[[], float]) -> None:
    """A fifth done in ten seconds: forty to go."""
    out = Terminal()
    with Progress(out, monotonic=ticking, width=110) as progress:
        progress.read("contacts", 0, 10_000)
        ticking.now += 5
        progress.read("contacts", 1_000, 10_000)
        ticking.now += 5
        progress.read("contacts", 2_000, 10_000)
    assert "Reading contacts" in out.plain
    assert "20 %" in out.plain
    assert "2,000 of 10,000 IDs, 200/s" in out.plain
    assert "00:40" in out.plain


def test_slow_writes_have_a_rate_by_the_minute(ticking: Callable[[], float]) -> None:
    """Nobody can read 0.2 a second."""
    out = Terminal()
    with Progress(out, monotonic=ticking, width=110) as progress:
        progress.write(0, 100)
        for done in (3, 6):
            ticking.now += 15
            progress.write(done, 100)
    assert "Correcting contacts" in out.plain
    assert "6 of 100 contacts, 12/min" in out.plain


def test_the_total_may_grow_and_may_be_nothing(ticking: Callable[[], float]) -> None:
    """New contacts appear while the portal is read; an empty portal is read at once."""
    out = Terminal()
    with Progress(out, monotonic=ticking, width=110) as progress:
        progress.read("companies", 0, 0)
        progress.read("contacts", 100, 90)
        progress.read("contacts", 110, 200)
    assert "0 of 0 IDs" in out.plain
    assert "110 of 200 IDs" in out.plain
    assert "55 %" in out.plain


def test_bars_leave_nothing_behind(ticking: Callable[[], float]) -> None:
    """The last thing written erases them and gives the cursor back."""
    out = Terminal()
    with Progress(out, monotonic=ticking, width=80) as progress:
        progress.write(1, 2)
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")
    assert "\x1b[?25h" in out.getvalue()


def test_logs_are_printed_above_the_bars(ticking: Callable[[], float]) -> None:
    """Whole lines, their colours kept, and to the terminal itself again afterwards."""
    out, other = Terminal(), Terminal()
    here, there = logging.StreamHandler(out), logging.StreamHandler(other)
    root = logging.getLogger()
    root.addHandler(here)
    root.addHandler(there)
    try:
        with Progress(out, monotonic=ticking, width=40) as progress:
            progress.write(1, 2)
            root.warning("a line [red]longer[/red] than forty cells, \x1b[31mwith a colour\x1b[0m of its own")
            assert here.stream is not out
            assert there.stream is other
        assert here.stream is out
    finally:
        root.removeHandler(here)
        root.removeHandler(there)
    assert "a line [red]longer[/red] than forty cells, with a colour of its own\n" in out.plain
    assert "\x1b[31mwith a colour" in out.getvalue()
    assert other.plain == "a line [red]longer[/red] than forty cells, with a colour of its own\n"


def test_a_question_between_the_bars_stays_on_the_screen(ticking: Callable[[], float]) -> None:
    """What is said aside is neither torn nor erased, and the bars of before do not come back."""
    out = Terminal()
    with Progress(out, monotonic=ticking, width=80) as progress:
        progress.read("companies", 2, 2)
        progress.read("contacts", 2, 2)
        with progress.aside():
            out.write("Write 500 changes?\n")
        assert out.getvalue().endswith("Write 500 changes?\n\x1b[?25l")
        progress.write(1, 2)
    after = out.getvalue().split("Write 500 changes?\n")[1]
    assert "Reading" not in after
    assert "Correcting contacts" in after
    assert after.count("\x1b[1A") == 1


def test_bars_end_with_an_error_too(ticking: Callable[[], float]) -> None:
    """The error is the caller's to tell, on a clean line."""
    out = Terminal()
    with pytest.raises(TypeError), Progress(out, monotonic=ticking, width=80) as progress:
        progress.write(1, "two")
    assert "\x1b[?25h" in out.getvalue()
