"""Large documents are written row by row: the same text, without ever standing in memory as a whole."""

import io
import json
import tracemalloc

import pytest
from report_values import a_plan, a_run, row

from reconciler.reporting.build import as_json, render, write

REPORTS = {
    "a plan": a_plan(3),
    "a plan without rows": a_plan(0, skips=False),
    "a run": a_run(row(contact_name="Zoë\u2028", result="gone", detail="deleted"), row()),
    "a run without rows": a_run(),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("format_", ["text", "markdown", "csv", "html", "json"])
def test_what_is_written_is_what_would_be_printed(format_, report):
    """A file differs from the screen in nothing."""
    file = io.StringIO()
    write(report, format_, file)
    assert file.getvalue() == render(report, format_)


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_json_has_a_row_on_each_line(report):
    """`grep` finds a contact with all there is about it, and the whole is still one document."""
    text = render(report, "json")
    assert json.loads(text) == as_json(report)
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    assert [json.loads(line) for line in lines if line.startswith('{"contact"')] == [
        *as_json(report)["changes"],
        *as_json(report).get("skipped", []),
    ]


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_a_long_plan_is_written_in_little_memory(format_):
    """2,000 rows are half a megabyte of text; of them only a line is ever there."""

    class Nowhere(io.StringIO):
        def write(self, text):
            return len(text)

    report = a_plan(2_000)
    write(a_plan(1), format_, Nowhere())  # what is imported on the way does not count
    tracemalloc.start()
    try:
        write(report, format_, Nowhere())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000
