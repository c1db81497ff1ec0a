"""Write the cassettes anew: `make cassettes DOCS=<clone of the documentation's repository>`.

Without DOCS only those are written that are recorded from the embedded portal over HTTP.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.cassette_files import DOCUMENTED, RECORDED, interaction, write
from contract.documented_examples import EXAMPLES, Example
from contract.recorded_sessions import SESSIONS, record
from contract.replay import command_of, envelope_of

from reconciler.portal.rest.batch_codec import batch_body

_FENCE = re.compile(r"(?ms)^([ \t]*)```(\w+)[^\n]*\n(.*?)^[ \t]*```")
_CURL = re.compile(r"(?ms)-d '(.*?)' *\\\n")
_STATUS = re.compile(r"(?i)HTTP[- ]status: \*\*(\d+)\*\*")
_MAIL = re.compile(r"[\w.]+@(?!example\.com)[\w.]+")


class Documentation:
    """The repository of the documentation, at one commit."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.commit, self.date = self._git("log", "-1", "--format=%H %cs").split()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", self._folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def page(self, path: str) -> str:
        return self._git("show", f"{self.commit}:{path}")


def answers(page: str, *, refused: bool) -> list[tuple[int, dict[str, Any]]]:
    """Return the page's example answers of one sort, each with the status that stands before it."""
    found = []
    for fence in _FENCE.finditer(page):
        if fence[2] != "json":
            continue
        try:
            answer = json.loads(_MAIL.sub("someone@example.com", fence[3]))
        except ValueError:
            continue  # parts of requests, not answers
        wanted = "error" if refused else "result"
        if isinstance(answer, dict) and wanted in answer and (refused or "time" in answer):
            status = _STATUS.findall(page[: fence.start()])
            found.append((int(status[-1]) if status else 200, answer))
    return found


def request_of(example: Example, page: str) -> Any:
    """Return the request's parameters: the example's own, or those of the page's first curl command."""
    if example.request is not None:
        return example.request
    for fence in _FENCE.finditer(page):
        body = _CURL.search(fence[3])
        if "put_your_webhook_here" in fence[3] and body:
            return json.loads(body[1])
    raise LookupError(f"{example.page} has no request for {example.method}")


def write_documented(documentation: Documentation) -> None:
    """Write a cassette for each documented answer: the call by itself, and the same in a batch of the worker."""
    for example in EXAMPLES:
        page = documentation.page(example.page)
        status, answer = answers(page, refused=example.refused)[example.number]
        request = request_of(example, page)
        metadata = {
            "source": "documentation",
            "repository": "bitrix24/b24restdocs (MIT)",
            "page": example.page,
            "commit": documentation.commit,
            "date": documentation.date,
            "method": example.method,
            "request": example.because or "as on the page",
        }
        comment = (
            f"The example answer of {example.page}, {documentation.date}, for {example.method}.\n"
            "Host and token are dummies. The second exchange, where there is one, is the same answer inside a batch\n"
            "of the worker, as the page on `batch` says that it would stand there."
        )
        text = json.dumps(answer, indent=1, ensure_ascii=False)
        entries = [interaction(example.method, json.dumps(request).encode(), status, text)]
        if example.method != "batch":
            body = batch_body([command_of(example.method, request).encoded])
            entries.append(interaction("batch.json", body, 200, json.dumps(envelope_of(answer), ensure_ascii=False)))
        write(DOCUMENTED / f"{example.name}.yaml", comment, metadata, entries)


def main() -> None:
    """Write what can be written."""
    if len(sys.argv) > 1:
        write_documented(Documentation(sys.argv[1]))
    for session in SESSIONS:
        metadata = {"source": "embedded portal", "session": session.name}
        comment = f"Recorded from the embedded portal over HTTP, not from a portal of Bitrix24: {session.title}."
        write(RECORDED / f"{session.name}.yaml", comment, metadata, record(session))


if __name__ == "__main__":
    main()
