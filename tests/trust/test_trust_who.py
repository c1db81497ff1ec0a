"""Who is named as the one who approved."""

from __future__ import annotations

import os

import pytest

from reconciler.engine import approval as gate


def test_the_account_of_this_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name where it has one."""
    monkeypatch.setenv("LOGNAME", "anna")
    assert gate.who() == "anna"


@pytest.mark.parametrize("error", [KeyError("uid not found: 10001"), OSError("No username set in the environment")])
def test_an_account_without_a_name_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The numeric user of a container stands in no list of accounts."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr(gate, "getuser", nobody)
    assert gate.who() == f"user {os.getuid()}"
