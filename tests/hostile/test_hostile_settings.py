"""Settings of any shape, from any source: they are usable, or the sentence says what is wrong; never a traceback."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.clock import VirtualClock
from reconciler.engine.planning import rules_of
from reconciler.engine.wiring import chunk_limits, connect, tactics
from reconciler.errors import UsageError
from reconciler.settings.loading import PREFIX, _names
from reconciler.settings.model import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_trust = cache(httpx.create_ssl_context)
EXAMPLE = "config.example.toml"
NAMES = sorted(name for name, _ in _names(Settings))
#: Values as they stand in a settings file.
LITERALS = (
    *("0", "-1", "1", "0.5", "1.5", "1e-320", "1e308", "inf", "-inf", "nan", "9" * 19, "9" * 400, "9" * 5000, "0x10"),
    *(
        '""',
        '"x"',
        '"\\u0000"',
        '"1"',
        "''",
        f'"{"a" * 9000}"',
        "true",
        "[]",
        "[1]",
        "[-1]",
        '["a", "b"]',
        "[[1]]",
        "{}",
    ),
    *("[" * 300 + "]" * 300, "[" * 9000 + "]" * 9000, "{a = 1}", "2026-01-01", "2026-13-01", "10:00:00", "[nan]"),
    *('"https://a.bitrix24.ru/rest/1/simulatedtoken0/"', '"sqlite:///x"', '"cloud"', '"previous-owner"', "{burst = 2}"),
)
#: And in the environment.
WORDS = (
    *("0", "-1", "nan", "inf", "1e400", "9" * 5000, "[", "[" * 9000, '{"a":' * 9000, "null", '{"x": 1}', ",,", "1,2,x"),
    *("x" * 5000, "\udcff", "\x1b[2J", "\u202e", "True", " ", "[1]", '"'),
)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty folder, with no settings around."""
    monkeypatch.chdir(tmp_path)
    # Made anew for each of thousands of settings, it would be most of the time.
    monkeypatch.setattr("httpx.create_ssl_context", _trust)
    for name in [*os.environ]:
        if name.startswith((PREFIX, "CREDENTIALS_DIRECTORY")):
            monkeypatch.delenv(name)
    return tmp_path


def usable(load: Callable[[], Settings]) -> bool:
    """Load settings and make of them all that is ever made; False: a sentence says why not."""
    try:
        made = load()
        rules_of(made), chunk_limits(made), tactics(made), made.portal.secrets(), made.portal.resolved_limits
        with connect(made, VirtualClock(), patient=False):
            return True
    except UsageError as error:
        sentence = str(error)
        assert "simulatedtoken0" not in sentence
        assert sentence.isprintable(), sentence
        assert 0 < len(sentence) < 20_000
        return False


@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_any_setting(name: str, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file, in the environment, in a secret file."""
    table, _, key = name.rpartition(".")
    file = alone / "c.toml"
    made = []
    for literal in LITERALS:
        file.write_text(f"[{table}]\n{key} = {literal}\n" if table else f"{key} = {literal}\n")
        made.append(usable(lambda: load_settings(file, _webhook_unless(name))))
    variable = PREFIX + name.replace(".", "__").upper()
    for word in WORDS:
        with monkeypatch.context() as patch:
            patch.setenv(variable, word.replace("\0", ""))
            made.append(usable(lambda: load_settings(None, _webhook_unless(name))))
    secrets = alone / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    for content in (b"", b"\xff\xfe", b"\0", b"1\n", b"x" * 3_000_000, "\ufeff0".encode()):
        (secrets / name.replace(".", "__")).write_bytes(content)
        made.append(usable(lambda: load_settings(None, _webhook_unless(name))))
    assert not all(made)


def _webhook_unless(name: str) -> dict[str, Any]:
    return (
        {} if name == "portal.webhook_url" else {"portal.webhook_url": "https://a.bitrix24.ru/rest/1/simulatedtoken0/"}
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_a_settings_file(content: bytes, alone: Path) -> None:
    """A file that is no TOML, or says nothing of ours."""
    file = alone / "c.toml"
    file.write_bytes(content)
    usable(lambda: load_settings(file))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    spoilt=st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 9), st.binary(max_size=3)), min_size=1, max_size=4)
)
def test_the_example_spoilt(spoilt: list[tuple[int, int, bytes]], alone: Path, request: pytest.FixtureRequest) -> None:
    """Slips of somebody who edits it."""
    content = (request.config.rootpath / EXAMPLE).read_bytes()
    for place, length, put in spoilt:
        content = content[:place] + put + content[place + length :]
    file = alone / "c.toml"
    file.write_bytes(content)
    usable(lambda: load_settings(file))


def test_a_settings_file_without_end(alone: Path) -> None:
    """A device, or the wrong file of a gigabyte: read so far as settings can be, and no further."""
    with pytest.raises(UsageError, match=r"longer than 4,000,000 bytes"):
        load_settings(Path("/dev/zero"))
    file = alone / "large.toml"
    file.write_text("# " + "x" * 5_000_000)
    with pytest.raises(UsageError, match=r"large\.toml cannot be read \(longer than 4,000,000 bytes\)"):
        load_settings(file)


@pytest.mark.parametrize("value", ["[" * 100_000, json.dumps({"limits": {"per_second": 1e-300, "burst": 2}})])
def test_a_whole_table_in_the_environment(value: str, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested without end, or with a rate at which no request would ever leave."""
    monkeypatch.setenv("RECONCILER_PORTAL", value)
    assert alone.is_dir()
    with pytest.raises(UsageError, match=r"no JSON object|`portal\.limits"):
        load_settings(None)
