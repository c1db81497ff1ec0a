"""The units for a VPS say what they promise, and systemd finds nothing wrong with them where it can be asked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.service import heartbeat
from reconciler.settings.model import load_settings

UNITS = Path(__file__).parent.parent.parent / "deploy" / "systemd"
SERVICES = ("reconciler.service", "reconciler-once.service")
TIMER = "reconciler-once.timer"
PROGRAM = "/opt/reconciler/bin/reconciler"
SYSTEMD = shutil.which("systemd-analyze")
#: On a scale from 0 (safe) to 10, by systemd's own count.
MOST_EXPOSURE = 1.5


def keys(name: str) -> dict[str, list[str]]:
    """Return each key of a unit with its values; a section is not told apart, no key stands in two."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_nothing_but_its_work(name: str) -> None:
    """A user of its own, one folder to write to, no capability, and the address as a credential."""
    unit = keys(name)
    wanted = {
        "DynamicUser": "yes",
        "User": "reconciler",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "StateDirectory": "reconciler",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "LoadCredential": "portal__webhook_url:/etc/reconciler/portal__webhook_url",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "MemoryDenyWriteExecute": "yes",
        "TimeoutStopSec": "90",
        "KillMode": "mixed",
    }
    assert {key: unit.get(key) for key in wanted} == {key: [value] for key, value in wanted.items()}
    assert unit["ExecStart"][0].split()[0] == PROGRAM


def test_the_service_comes_back_but_not_with_wrong_settings() -> None:
    """No crash loop: what cannot start by its settings, or for want of the credential, is left to a person."""
    unit = keys("reconciler.service")
    assert (unit["Restart"], unit["RestartPreventExitStatus"]) == (["on-failure"], ["2 CREDENTIALS"])
    assert int(unit["RestartSec"][0]) >= 10


def test_the_service_is_up_when_it_says_so_and_started_anew_when_it_says_nothing() -> None:
    """The watchdog waits longer than a request (80 s) and its beat; what it ends leaves no memory on the disk."""
    unit = keys("reconciler.service")
    assert (unit["Type"], unit["WatchdogSignal"]) == (["notify"], ["SIGKILL"])
    assert int(unit["WatchdogSec"][0]) >= 80 + heartbeat.STALE


def test_the_timer_runs_the_one_shot_unit_in_the_place_of_the_service() -> None:
    """Every ten minutes; a lease that is held is no failure, and never both at once."""
    once, timer = keys("reconciler-once.service"), keys(TIMER)
    assert once["Type"] == ["oneshot"]
    # Without --json: the journal would take each line of the answer for a record.
    assert once["ExecStart"] == [f"{PROGRAM} --once --yes"]
    assert once["SuccessExitStatus"] == ["5"]
    assert timer["OnCalendar"] == ["*:0/10"]
    assert timer["Conflicts"] == ["reconciler.service"]
    assert keys("reconciler.service")["Conflicts"] == [TIMER]


def test_both_services_and_the_tool_beside_them_mean_the_same_worker() -> None:
    """One user, one journal, one credential: what is approved by hand is what the service looks at."""
    tool = (UNITS / "reconcilerctl").read_text(encoding="utf-8")
    first, second = (keys(name) for name in SERVICES)
    for key in ("DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask", "WorkingDirectory"):
        assert first[key] == second[key]
        assert f"--property={key}={first[key][0]}" in tool
    assert first["LoadCredential"] == second["LoadCredential"]
    assert f"--property=LoadCredential={first['LoadCredential'][0]}" in tool
    [journal] = [value for value in first["Environment"] if value.startswith("RECONCILER_")]
    assert journal in second["Environment"]
    assert f"--setenv={journal}" in tool
    # Its own /tmp would be gone with it: what is written there would be lost without a word.
    assert '--property=ReadOnlyPaths="/tmp /var/tmp"' in tool
    assert (UNITS / "reconcilerctl").stat().st_mode & 0o111 == 0o111
    subprocess.run(["/bin/sh", "-n", UNITS / "reconcilerctl"], check=True)


def test_the_credential_and_the_variable_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd hands them on: the name of the credential is that of the secret file."""
    unit = keys("reconciler.service")
    name = unit["LoadCredential"][0].split(":")[0]
    (tmp_path / name).write_text("https://portal.bitrix24.de/rest/1/simulatedtoken0/\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for variable in unit["Environment"]:
        key, _, value = variable.partition("=")
        monkeypatch.setenv(key, value)
    settings = load_settings(None)
    assert settings.portal.webhook().origin == "https://portal.bitrix24.de"
    assert str(settings.journal.path) == f"/var/lib/{unit['StateDirectory'][0]}/reconciler.sqlite3"


@pytest.mark.skipif(SYSTEMD is None, reason="NO SYSTEMD HERE: the units are not verified by systemd itself")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Neither a key that it does not know nor one that exposes more than it must."""
    assert SYSTEMD is not None
    names = [*SERVICES, TIMER]
    for name in names:
        text = (UNITS / name).read_text(encoding="utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = [str(tmp_path / name) for name in names]
    verified = subprocess.run(
        [SYSTEMD, "verify", "--man=no", *paths], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in verified.stderr.splitlines() if str(tmp_path) in line or "reconciler" in line]
    assert (verified.returncode, complaints) == (0, [])
    for name in SERVICES:
        told = subprocess.run(
            [SYSTEMD, "security", "--offline=true", "--no-pager", str(tmp_path / name)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)
        if exposure is None:
            pytest.skip(f"THIS SYSTEMD TELLS NO EXPOSURE: {told.stderr.strip()}")
        assert float(exposure[1]) <= MOST_EXPOSURE, name
