"""Cassettes: where they are, how they are matched, and how their texts are written so that people can read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vcr
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "cassettes"
DOCUMENTED, RECORDED = FOLDER / "documented", FOLDER / "recorded"
#: Nobody lives there, and the webhook is none: whatever is printed of it harms nobody.
WEBHOOK_URL = "https://portal.example/rest/1/dummytoken0/"
#: vcrpy does not match bodies on its own, and would play any batch for any other.
MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "raw_body")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text and not text.startswith((" ", "\n")) else None
    ),
)


def player() -> vcr.VCR:
    """Return what plays cassettes and never records."""
    tape = vcr.VCR(record_mode="none", match_on=MATCH_ON)
    tape.register_matcher("raw_body", _same_body)
    return tape


def _same_body(first: Any, second: Any) -> None:
    bodies = [body.encode() if isinstance(body, str) else body for body in (first.body, second.body)]
    assert bodies[0] == bodies[1], "the bodies differ"


def interaction(method: str, body: bytes, status: int, answer: str) -> dict[str, Any]:
    """Return a POST of the webhook and its answer, as they stand in a cassette."""
    return {
        "request": {
            "method": "POST",
            "uri": f"{WEBHOOK_URL}{method}",
            "headers": {"Content-Type": ["application/json"]},
            "body": body.decode(),
        },
        "response": {
            "status": {"code": status, "message": "OK" if status == 200 else "Refused"},
            "headers": {"Content-Type": ["application/json; charset=utf-8"]},
            "body": {"string": answer},
        },
    }


def write(path: Path, comment: str, metadata: Mapping[str, Any], interactions: list[dict[str, Any]]) -> None:
    """Write a cassette with a comment at its head that says where it comes from."""
    document = {"version": 1, "metadata": dict(metadata), "interactions": interactions}
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(head + text, encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """Read a cassette."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader


def exchanges(path: Path) -> Iterator[tuple[str, Any, int, Any]]:
    """Yield method, decoded request, status and decoded answer of each interaction."""
    for entry in load(path)["interactions"]:
        request, response = entry["request"], entry["response"]
        method = request["uri"].removeprefix(WEBHOOK_URL)
        yield method, json.loads(request["body"]), response["status"]["code"], json.loads(response["body"]["string"])
