"""`make audit`: what of it needs no network always holds; what the service says is read right."""

from __future__ import annotations

import json
from email.message import Message

import audit
import pytest


def test_every_lock_has_versions_and_hashes_and_no_addresses() -> None:
    """What is installed is what was looked at, from wherever it comes."""
    assert list(audit.wrong_locks()) == []
    assert len(audit.LOCKS) == 5
    assert all(len(audit.pins(lock)) for lock in audit.LOCKS)


def test_what_runs_may_be_used() -> None:
    """Every package of the run-time lock has a licence that is on the list."""
    assert list(audit.wrong_licences()) == []


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ([("License-Expression", "MIT")], {"MIT"}),
        ([("License-Expression", "MIT AND GPL-3.0-only")], {"MIT", "GPL-3.0-only"}),
        ([("License-Expression", "GPL-3.0-only OR (Apache-2.0)")], {"Apache-2.0"}),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "x")], {"BSD License"}),
        ([("License", "ISC\nmore")], {"ISC"}),
        ([], set()),
    ],
    ids=["expression", "both", "either", "classifier", "old", "none"],
)
def test_licences_as_packages_write_them(fields: list[tuple[str, str]], licences: set[str]) -> None:
    """Three places, of which the newest wins; of two to choose from one that is allowed will do."""
    about = Message()
    for name, value in fields:
        about[name] = value
    assert audit.licences(about) == licences


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("", ["l: the service of known vulnerabilities cannot be reached; run this where the network is"]),
        (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}), []),
        (
            json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "V-1", "fix_versions": []}]}]}),
            ["l: a 1: V-1, mended in none"],
        ),
        (
            json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]}),
            ["l: the service of known vulnerabilities answers for 0 of 1 packages only; run this where it has all"],
        ),
    ],
    ids=["silence", "clean", "found", "unknown"],
)
def test_what_the_service_says(output: str, lines: list[str]) -> None:
    """A package that it does not know was not audited: that is no good news."""
    assert audit.told(output, "l") == lines
