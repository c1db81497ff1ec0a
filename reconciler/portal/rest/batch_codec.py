"""Commands and batches as the portal wants them, and its answers as values (F1.2, F1.3).

No layer above sees a decoded JSON object that was not checked here.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.errors import ForeignAnswerError, NotJsonError, PortalError, ServerFaultError
from reconciler.portal.rest.error_codes import classify
from reconciler.portal.rest.pages import ERRORS, no_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: The largest number that a record may have, and a count be: what a database holds.
LARGEST = 2**63 - 1
_MOST_DIGITS = len(str(LARGEST))
#: Lists, objects and commas in an answer: fifty pages of users with a hundred fields each have 300,000. Each takes up
#: to a hundred bytes once it is decoded, so that a body within its limit could still fill the memory.
MOST_VALUES = 1_000_000
#: Seconds beyond which a measurement is none: a request ends after 60 (F5.3), and a moment in the year 5138.
_DAY, _FAR = 86_400.0, 1e11
#: What the portal would replace inside a text, wherever the text comes from (F1.3).
_MACRO = re.compile(r"\$(?=(?:result|next|total|time|error)\S*\[)", re.IGNORECASE)
#: Where a command's text refers to another command of its batch. Everything else has its braces encoded.
_REFERENCE = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A number that the portal takes from the answer to an earlier command of the same batch; 0 if it is not there.

    The text begins with a `0`, which is essential. A parameter that consists of the macro alone is replaced by whatever
    is found, also by a list, which PHP casts to 1: where the earlier command failed, the bare macro would write record
    1. Inside a longer text only numbers and texts are put in; else it stays as it is, and is cast to 0.
    """

    #: Position of that command in the batch, from 0.
    command: int
    #: Where the number stands in its answer, for example `(0, "ID")`.
    path: tuple[int | str, ...]


#: What a parameter may hold. Booleans, null and empty lists cannot be expressed on this wire (F1.3).
Value = int | str | Found | list[int] | list[str] | dict[str, "Value"]


@dataclass(frozen=True)
class Command:
    """One REST call of a batch."""

    method: str
    params: Mapping[str, Value]

    @cached_property  # asked for to measure it, and again to send it
    def encoded(self) -> str:
        """`method?query` as PHP's `parse_str` reads it, each value percent-encoded once.

        Raises ValueError for a value that the wire cannot carry: an empty list would be dropped by the portal,
        and the condition with it (F2). References to other commands are still open: see `batch_body`.
        """
        query = "&".join(pair for name, value in self.params.items() for pair in _pairs(name, value))
        return f"{self.method}?{query}" if query else self.method


def _pairs(name: str, value: Value) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _pairs(f"{name}[{_quoted(key)}]", inner)
    elif isinstance(value, list) and value:
        start = f"{name}[]="
        for item in value:
            yield start + _quoted(item)
    else:
        yield f"{name}={_quoted(value)}"


def _quoted(value: object) -> str:
    if type(value) is int:  # a bool is another type
        return str(value)
    if isinstance(value, Found):
        tail = "".join(f"[{step}]" for step in value.path)
        return f"{_quoted_text('0$result[', macro=True)}{{{value.command}}}{_quoted_text(']' + tail)}"
    if not isinstance(value, str):
        raise ValueError(f"cannot be sent: {value!r}")  # noqa: TRY004 - ValueError is what `encoded` promises
    return _quoted_text(value)


@lru_cache(maxsize=256)  # the names of fields come again in each window of a sweep
def _quoted_text(text: str, *, macro: bool = False) -> str:
    # There is no way to escape a macro; a space behind its `$` makes it a text.
    return quote(text if macro else _MACRO.sub("$ ", text), safe="")


def fresh_nonce() -> str:
    """Draw what the keys of a batch begin with, so that no other batch has the same keys."""
    return f"n{secrets.token_hex(4)}"


def batch_keys(count: int, nonce: str) -> list[str]:
    """Return the keys of a batch's commands, in order.

    They are not numeric: PHP answers numeric ones with lists that lose their positions (F1.3).
    """
    return [f"{nonce}c{index}" for index in range(count)]


def batch_body(commands: Sequence[str], nonce: str = "") -> bytes:
    """Return the JSON body of a batch of encoded commands, their references to each other filled in.

    The answer repeats the keys, which begin with `nonce`: that tells it from the answer to another request. Raises
    ValueError for a reference to a command that does not come earlier.
    """
    keys = batch_keys(len(commands), nonce)
    filled = {
        key: _referring(command, keys[:index]) for index, (key, command) in enumerate(zip(keys, commands, strict=True))
    }
    return json.dumps({"halt": 0, "cmd": filled}).encode()


def _referring(command: str, earlier: Sequence[str]) -> str:
    """Fill in the keys of the commands that this one refers to."""
    if "{" not in command:
        return command
    if max(int(position) for position in _REFERENCE.findall(command)) >= len(earlier):
        raise ValueError("a command refers to one that does not come earlier in its batch")
    return _REFERENCE.sub(lambda found: earlier[int(found[1])], command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The portal's own measurements. None: it did not say, which is not the same as zero (F15)."""

    #: Seconds the call took.
    duration: float | None = None
    #: Seconds of this method in the ten-minute window, this call included; cumulative.
    operating: float | None = None
    #: Epoch second at which the oldest part of the window falls away.
    operating_reset_at: float | None = None
    #: The portal's clock when the call began, as it writes it.
    began: str = ""
    #: Epoch seconds of the portal's clock when the call began and ended.
    start: float | None = None
    finish: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one command."""

    result: Any
    #: Rows that match, on whatever page; None: not a list method, or not counted.
    total: int | None = None
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """The answers of a batch in the order of its commands; an error stands where a command failed."""

    answers: tuple[Answer | PortalError, ...]
    timing: Timing
    #: The portal's clock when it began, for watermarks (F2).
    began: datetime


def decode_batch(
    body: bytes, status: int, count: int, nonce: str = "", mask: Callable[[str], str] = str
) -> BatchAnswer:
    """Decode the answer to a batch of `count` commands; `mask` takes secrets out of what its errors say.

    Raises what `classify` makes of an error answer, and `NotJsonError` for anything that is not an answer of the
    REST interface: HTML, half a body, JSON of another shape. Raises `ForeignAnswerError` for the answer to another
    batch.
    """
    envelope = _parse(body, status, mask)
    if "error" in envelope:
        raise _refusal(envelope, status, mask)
    try:
        maps = envelope["result"]
        results, failures, totals, times = (
            _section(maps, name) for name in ("result", "result_error", "result_total", "result_time")
        )
        began = moment(envelope["time"]["date_start"])
        keys = batch_keys(count, nonce)
        if not {*results, *failures}.issubset(keys):
            raise ForeignAnswerError("the answer to another request came; this one's is lost", status=status)
        answers = tuple(
            # Present is failed: the code itself may be empty (F6).
            _refusal(failures[key], None, mask) if key in failures else _answer(key, results, totals, times)
            for key in keys
        )
        return BatchAnswer(answers=answers, timing=_timing(envelope["time"]), began=began)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
        if "result" not in envelope and status in ERRORS:
            raise no_answer(body, status, mask) from cause
        raise NotJsonError("the portal's answer to a batch has an unknown shape", status=status) from cause


def _parse(body: bytes, status: int, mask: Callable[[str], str]) -> dict[str, Any]:
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise NotJsonError(f"the portal's answer holds more than {MOST_VALUES:,} values", status=status)
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as cause:
        raise no_answer(body, status, mask) from cause
    if not isinstance(envelope, dict):
        raise NotJsonError(f"the portal's answer has an unknown shape (HTTP {status})", status=status)
    return envelope


def _section(maps: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return one of the five maps; PHP writes an empty one as a list (F1.3)."""
    section = maps.get(name, {})
    if section == []:
        return {}
    if not isinstance(section, dict):
        raise TypeError(name)
    return section


def _answer(
    key: str,
    results: Mapping[str, Any],
    totals: Mapping[str, Any],
    times: Mapping[str, Any],
) -> Answer | PortalError:
    if key not in results:
        return ServerFaultError("the portal left a command of the batch unanswered")
    total = totals.get(key)
    return Answer(
        result=results[key], total=None if total is None else identifier(total), timing=_timing(times.get(key) or {})
    )


def _refusal(failure: Mapping[str, Any], status: int | None, mask: Callable[[str], str]) -> PortalError:
    # Masked before it is shortened: of half a secret it would not be known that it is one.
    code, description = (mask(label(failure.get(name))) for name in ("error", "error_description"))
    return classify(code, description, status=status)


def label(value: Any) -> str:
    """Return a text that only explains: what an error says, a name. Of a list or an object it is empty."""
    return "" if isinstance(value, list | dict) else text(value)


def _timing(time: Mapping[str, Any]) -> Timing:
    return Timing(
        duration=_seconds(time.get("duration"), _DAY),
        operating=_seconds(time.get("operating"), _DAY),
        operating_reset_at=_seconds(time.get("operating_reset_at"), _FAR),
        began=text(time.get("date_start")),
        start=_moment(time.get("start")),
        finish=_moment(time.get("finish")),
    )


def _seconds(value: Any, most: float) -> float | None:
    """Read a measurement; one that cannot be is unknown."""
    if value is None:
        return None
    seconds = float(value)
    return seconds if 0 <= seconds <= most else None


def _moment(value: Any) -> float | None:
    """Read an epoch second that only explains: one that is none stops nothing."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= _FAR else None


def text(value: Any) -> str:
    """Return a text of the portal as one that can be written everywhere; null is an empty one.

    Half of a surrogate pair, which JSON can spell and no file or database can hold, becomes a question mark. Raises
    ValueError for a list or an object.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, list | dict):
        raise ValueError("a list or an object where a text should be")  # noqa: TRY004 - as the others here
    return "" if value is None else str(value)


def identifier(value: Any) -> int:
    """Return a record's number; null, "" and "0" all mean none, which is 0 (F2).

    Raises ValueError for anything else that is not a whole number, and for one that no database holds.
    """
    if value is None or value == "":
        return 0
    # A list is not asked for its text: one that is nested deeply has none.
    digits = str(value) if isinstance(value, int | str) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and int(digits) <= LARGEST):
        raise ValueError("not an identifier")
    return int(digits)


def readable_identifier(value: Any) -> int | None:
    """Return a record's number; None where it cannot be read."""
    try:
        return identifier(value)
    except ValueError:
        return None


def moment(value: str) -> datetime:
    """Return a time of the portal, which carries the server's zone (F2).

    Raises ValueError where it does not, and for the first and the last years, which do not exist in every zone.
    """
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError("a time without zone")
    if not MINYEAR < time.year < MAXYEAR:
        raise ValueError("a time that nobody lived in")
    return time


def readable_moment(value: Any) -> datetime | None:
    """Return a time of the portal; None where it cannot be read, as MySQL's zero date, which PHP writes as year -1."""
    try:
        return moment(value)
    except (ValueError, TypeError):
        return None
