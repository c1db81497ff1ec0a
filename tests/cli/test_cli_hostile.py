"""Any arguments: one of the documented exit codes, a sentence, and never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from support.command_line import Desk

#: Commands that answer without a portal or end at once; `simulate` and `demo` would serve, the service would run.
COMMANDS = ("runs", "show", "approve", "undo", "exceptions", "exceptions release", "health", "plan", "check", "--once")
WORDS = (
    *(
        "--json",
        "--yes",
        "--approve",
        "--company",
        "--owner",
        "--limit",
        "--contact",
        "--config",
        "--output",
        "--format",
    ),
    *(
        "-v",
        "--verbose",
        "--log-format",
        "json",
        "--standing",
        "--withdraw",
        "latest",
        "-h",
        "--version",
        "--",
        "-",
        "",
    ),
    *(
        "1",
        "0",
        "-1",
        "9" * 18,
        "9" * 30,
        "9" * 5000,
        "1.5",
        "1e3",
        "٣",
        "x",
        "a" * 12,
        "0" * 64,
        "g" * 64,
        "%",
        "_" * 12,
    ),
    *("\x1b[2J", "\u202egnp", "\udcff", "[red]", "=1+1", "'; DROP TABLE run; --", "/dev/null", "/nowhere/x"),
    *("https://x.example/rest/1/k3yk3yk3yk3y0/", "$(id)", "line\nbreak", "\ufeff", "é", "💣"),
)
arguments = st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=5)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(COMMANDS), words=arguments)
@example(command="approve", words=["a" * 5000])
@example(command="exceptions release", words=["9" * 18])
@example(command="undo", words=["--contact", "9" * 18])
@example(command="undo", words=["9" * 18])
@example(command="show", words=["latest", "--format", "html", "--output", "/dev/full"])
@example(command="plan", words=["--config", "/dev/zero"])
@example(command="plan", words=["--config", "\udcff"])
def test_any_arguments(command: str, words: list[str], desk: Desk) -> None:
    """Whatever is typed, pasted or passed on by a script."""
    if not desk.journal.exists():
        assert desk.run("--once", "--yes").code == 0
        desk.env(PORTAL__WEBHOOK_URL="https://127.0.0.1:9/rest/1/k3yk3yk3yk3y1/")
    ended = desk.run(*command.split(), *words)
    assert ended.code in range(6), ended
    shown = ended.out + ended.err
    assert "Traceback" not in shown or {"-v", "--verbose"} & {*words}
    assert "unforeseen" not in shown, shown
    assert "k3yk3yk3yk3y" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
