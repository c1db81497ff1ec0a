"""The container files say what a hardened, one-command start relies on; building and running them needs an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.settings.model import Settings
from reconciler.simulator.options import PortalOptions

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
BUILD, FINAL = re.split(r"(?m)^(?=FROM )", DOCKERFILE)[1:]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def settings_in(environment: dict[str, str]) -> set[str]:
    """Return the dotted names of the settings that an environment sets."""
    return {name.removeprefix("RECONCILER_").lower().replace("__", ".") for name in environment}


def test_all_that_is_downloaded_has_a_hash() -> None:
    """Nothing but the two locks is installed from an index, and without resolving: an index moves, a lock does not."""
    for command in re.findall(r"pip\S* (?:--python \S+ )?(install|wheel)([^&\n]*)", BUILD):
        assert "--no-deps --require-hashes -r requirements" in command[1] or "--no-index" in command[1], command


def test_the_final_stage_only_takes_over_what_was_built() -> None:
    """No compiler, no package manager, no sources of ours: one folder is copied, and a folder is made."""
    assert re.findall(r"(?m)^(?:COPY|ADD) .*", FINAL) == ["COPY --from=build /opt/reconciler /opt/reconciler"]
    assert re.findall(r"(?m)^RUN .*", FINAL) == ["RUN install -d -o 10001 -g 10001 -m 0750 /data"]
    assert FINAL.startswith("FROM ${PYTHON_IMAGE}\n")


def test_bytecode_is_read_where_it_was_written() -> None:
    """Nothing can be written beside the sources, and the base image has none: each start would compile 700 modules."""
    folder = "PYTHONPYCACHEPREFIX=/opt/reconciler/bytecode "
    written = BUILD.index(f"export {folder}")
    for command in ("compileall", "walk_packages", "reconciler demo"):
        assert BUILD.index(command, written) > written
    assert folder in FINAL
    assert "--no-compile" in BUILD[:written]


def test_the_image_runs_as_a_number_in_exec_form_and_is_looked_after() -> None:
    """An orchestrator can see that it is not root, and signals reach the program."""
    assert re.search(r"(?m)^USER 10001:10001$", FINAL)
    assert re.search(r'(?m)^ENTRYPOINT \["reconciler"\]$', FINAL)
    assert re.search(r'(?m)^HEALTHCHECK .* CMD \["reconciler", "health"\]$', FINAL)
    assert re.search(r'(?m)^VOLUME \["/data"\]$', FINAL)


def test_the_image_is_labelled() -> None:
    """By the names that registries and scanners know."""
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", FINAL))
    assert labels >= {"title", "description", "licenses", "version", "revision", "created"}


def test_the_settings_of_the_image_exist() -> None:
    """A variable that no setting answers to would end each start with an error."""
    names = settings_in(dict(re.findall(r"(RECONCILER_\w+)=(\S+)", FINAL)))
    assert names
    for name in names:
        section, _, key = name.partition(".")
        assert key in type(getattr(Settings(), section)).model_fields, name


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_service_is_hardened(name: str) -> None:
    """Root file system read-only, no capability, no new privileges, bounded memory and processes, and time to end."""
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "ports" not in service


def test_the_worker_has_its_secret_its_volume_and_time_to_end() -> None:
    """The address is a file, the journal outlives the container, and 90 seconds are more than the 80 it may take."""
    worker = COMPOSE["services"]["reconciler"]
    assert worker["secrets"] == ["portal__webhook_url"]
    assert worker["volumes"] == ["journal:/data"]
    assert worker["stop_grace_period"] == "90s"
    assert worker["restart"] == "unless-stopped"
    assert "environment" not in worker


def test_up_starts_the_worker_and_the_profile_demo_needs_no_secret() -> None:
    """`.env` chooses the worker; `--profile demo` starts a portal and a worker of its own in its place."""
    chosen = dict(
        line.split("=") for line in (ROOT / ".env").read_text(encoding="utf-8").splitlines() if line[0] != "#"
    )
    assert chosen == {"COMPOSE_PROFILES": "worker"}
    profiles = {name: service["profiles"] for name, service in COMPOSE["services"].items()}
    assert profiles == {"reconciler": ["worker"], "portal": ["demo"], "demo": ["demo"]}
    demo = COMPOSE["services"]["demo"]
    assert "secrets" not in demo
    assert demo["depends_on"] == {"portal": {"condition": "service_healthy"}}
    options = PortalOptions()
    webhook = f"http://portal:8024/rest/{options.user_id}/{options.token}/"
    assert demo["environment"]["RECONCILER_PORTAL__WEBHOOK_URL"] == webhook
    assert settings_in(demo["environment"]) == {"portal.webhook_url", "portal.http_hosts", "service.interval_minutes"}


def test_no_secret_can_slip_into_the_build() -> None:
    """What is not named does not get into the build's context."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        *("LICENSE", "README.md", "pyproject.toml", "reconciler", "requirements-build.lock", "requirements.lock")
    }
