"""Dates in and out of the portal."""

from __future__ import annotations

import pytest

from reconciler.simulator.dates import iso, strtotime

#: 2026-01-01T12:00:00Z, which is 15:00 on the server.
NOON, OFFSET = 1_767_268_800, 10_800
MIDNIGHT = 1_767_225_600


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-01-01T15:00:00+03:00", NOON, id="offset"),
        pytest.param("2026-01-01T12:00:00Z", NOON, id="zulu"),
        pytest.param("2026-01-01T12:00:00 UTC", NOON, id="utc"),
        pytest.param("2026-01-01T10:00:00-0200", NOON, id="offset-without-colon"),
        pytest.param("2026-01-01T15:00:00+03", NOON, id="offset-hours-only"),
        pytest.param("2026-01-01T12:00:00.999Z", NOON, id="fraction-lost"),
        pytest.param("2026-01-01 15:00", NOON, id="server-zone"),
        pytest.param("01.01.2026 15:00:00", NOON, id="german"),
        pytest.param("1/1/2026 15:00:00", NOON, id="american"),
        pytest.param("2026-01-01", MIDNIGHT - OFFSET, id="day"),
        pytest.param("@1767268800", NOON, id="epoch"),
        pytest.param("now", NOON, id="now"),
        pytest.param("today", MIDNIGHT - OFFSET, id="today"),
        pytest.param("Tomorrow", MIDNIGHT - OFFSET + 86400, id="tomorrow"),
        pytest.param("-10 minutes", NOON - 600, id="relative"),
        pytest.param("+1 day -2 hours", NOON + 86400 - 7200, id="relative-sum"),
        pytest.param("3 days ago", NOON - 3 * 86400, id="ago"),
        pytest.param("2026-01-01T15:00:00 03:00", None, id="plus-lost-on-the-way"),
        pytest.param("2025-12-32", None, id="no-such-day"),
        pytest.param("2025-13-01", None, id="no-such-month"),
        pytest.param("2025-11-31T03:00:00+03:00", MIDNIGHT - 31 * 86400, id="day-runs-over"),
        pytest.param("soon", None, id="word"),
        pytest.param("1 day or so", None, id="relative-with-rest"),
        pytest.param("about 1 day", None, id="relative-with-start"),
        pytest.param("", None, id="empty"),
    ],
)
def test_strtotime(text: str, moment: int | None) -> None:
    """F2: PHP's strtotime; an explicit offset counts, otherwise the server's zone, in whole seconds."""
    assert strtotime(text, NOON, OFFSET) == moment


def test_dates_carry_the_servers_offset() -> None:
    """F2: out go ISO dates with the server's offset and whole seconds."""
    assert iso(NOON + 0.9, OFFSET) == "2026-01-01T15:00:00+03:00"
    assert iso(NOON, -18_000) == "2026-01-01T07:00:00-05:00"
