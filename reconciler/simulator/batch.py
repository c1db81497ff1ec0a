"""`batch`: commands one after another, macros between them, and five maps as PHP writes them (F1.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.simulator import errors
from reconciler.simulator.errors import Refusal, RestError
from reconciler.simulator.php import PhpArray, array_key, from_python, parse_str, strval, truthy

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.simulator.executor import Answer
    from reconciler.simulator.writes import Moment

#: Its name as a method.
NAME = "batch"
MAX_COMMANDS = 50
# Compared as written, so `Batch` is refused further on, as an unknown method.
_FORBIDDEN = {NAME, "download", "upload"}
_MACRO = re.compile(r"\$(result|next|total|time|error)(\S*)", re.IGNORECASE)
_INDEX = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Maps:
    """The five maps of an answer, each by the commands' keys."""

    result: PhpArray = field(default_factory=PhpArray)
    error: PhpArray = field(default_factory=PhpArray)
    total: PhpArray = field(default_factory=PhpArray)
    next: PhpArray = field(default_factory=PhpArray)
    time: PhpArray = field(default_factory=PhpArray)

    def named(self, name: str) -> PhpArray | None:
        """Return what a macro's prefix means; a prefix in other than lower case means nothing."""
        return {
            "result": self.result,
            "error": self.error,
            "total": self.total,
            "next": self.next,
            "time": self.time,
        }.get(name)

    def answer(self) -> dict[str, PhpArray]:
        return {
            "result": self.result,
            "result_error": self.error,
            "result_total": self.total,
            "result_next": self.next,
            "result_time": self.time,
        }

    def add(self, key: int | str, answer: Answer) -> None:
        """Enter a command that succeeded; `total` and `next` only where there are any."""
        self.result.put(key, answer.result.value)
        if answer.result.total is not None:
            self.total.put(key, answer.result.total)
        if answer.result.next is not None:
            self.next.put(key, answer.result.next)
        self.time.put(key, answer.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command stands in its batch."""

    #: From 1, in the order of `cmd`.
    number: int
    key: str
    #: How many commands before it have succeeded.
    succeeded: int
    #: When the command was carried out that its `id` was taken from; None for an `id` without a macro.
    condition: Moment | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of `cmd`, taken apart as PHP's `parse_url` does: a `#` ends it."""

    method: str
    query: str

    @classmethod
    def parse(cls, text: str) -> Command:
        method, _, query = text.split("#", 1)[0].partition("?")
        return cls(method, query)


def commands(params: PhpArray) -> list[tuple[int | str, str]]:
    """Return the commands that are texts, of those that may run; others are skipped without a trace."""
    cmd = params.upper_keys().get("CMD")
    entries = list(cmd.items())[:MAX_COMMANDS] if isinstance(cmd, PhpArray) else []
    return [(key, text) for key, text in entries if isinstance(text, str)]


def run_batch(
    params: PhpArray,
    run: Callable[[str, PhpArray, Place], Answer],
    *,
    max_input_vars: int,
    macros: bool = True,
    rejected: Callable[[Refusal], None],
    only_first: int | None = None,
) -> dict[str, PhpArray]:
    """Run the commands in their order and return the five maps; nothing is rolled back, ever.

    `run` carries out a method with parameters at its place; `only_first` stops early (a fault). Without `macros` they
    are left as text.
    """
    query = params.upper_keys()
    cmd, halt = query.get("CMD"), truthy(query.get("HALT"))
    maps = Maps()
    moments: dict[str, Moment] = {}
    for position, (key, text) in enumerate(cmd.items() if isinstance(cmd, PhpArray) else ()):
        if position == only_first:
            break
        if position < MAX_COMMANDS and not isinstance(text, str):
            continue
        try:
            if position >= MAX_COMMANDS:
                _refuse(errors.BATCH_TOO_LONG)
            command = Command.parse(text)
            arguments = parse_str(command.query, max_input_vars)
            source = _substitute(command, arguments, maps) if macros else ""
            if command.method in _FORBIDDEN:
                _refuse(errors.BATCH_NOT_ALLOWED)
            # The limiter's first sub-result is the first that succeeded (F15).
            place = Place(
                number=position + 1, key=str(key), succeeded=len(maps.time), condition=moments.get(source)
            )  # fmt: skip
            answer = run(command.method.lower(), arguments, place)
            moments[place.key] = answer.moment
            if not answer.hidden:
                maps.add(key, answer)
        except RestError as error:
            maps.error.put(key, error.refusal.body())
            rejected(error.refusal)
            if halt:
                break
    return maps.answer()


def _refuse(refusal: Refusal) -> None:
    raise RestError(refusal)


def _substitute(command: Command, arguments: PhpArray, maps: Maps) -> str:
    """Replace the macros in a command's arguments; return the key of the command that its `id` comes from."""
    if "$" not in command.query and "%24" not in command.query:
        return ""  # hundreds of IDs, and no macro among them
    source = id_source(arguments)
    for name, value in arguments.items():
        arguments.data[name] = substituted(value, maps)
    return source


def id_source(arguments: PhpArray) -> str:
    """Return the key of the command whose result the `id` of another one is taken from, or nothing."""
    value = arguments.get("id", arguments.get("ID"))
    macro = _MACRO.search(value) if isinstance(value, str) else None
    path = _INDEX.findall(macro[2]) if macro is not None else []
    return path[0] if path else ""


def substituted(value: Any, maps: Maps) -> Any:
    """Replace macros in a value, and inside arrays in every value; never in keys."""
    if isinstance(value, PhpArray):
        return PhpArray({key: substituted(inner, maps) for key, inner in value.items()})
    if not isinstance(value, str) or "$" not in value:
        return value
    text = value
    for macro in _MACRO.finditer(value):
        path = _INDEX.findall(macro[2])
        if not path:
            continue
        found = _walk(maps.named(macro[1]), path)
        if macro[0] == text:
            # The whole value is the macro: the thing itself, an array too.
            return from_python(found)
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            text = text.replace(macro[0], strval(found))
    return text


def _walk(value: Any, path: list[str]) -> Any:
    """Follow a path as far as it goes; where it ends early, *that* value is the answer, not nothing (F1.3)."""
    for key in path:
        inner = _inside(value, key)
        if inner is None:
            break
        value = inner
    return value


def _inside(value: Any, key: str) -> Any:
    own = array_key(key)
    if isinstance(value, PhpArray):
        return value.get(own)
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list | str) and isinstance(own, int) and 0 <= own < len(value):
        return value[own]
    return None
