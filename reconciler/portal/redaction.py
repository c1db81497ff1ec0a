r"""Secrets out of everything that is written: logs, tracebacks, errors, reports.

By value, in the spellings that URLs and JSON give to a character (`/`, `%2F`, `%2f`, `%252F`, `\/`, `\u002f`),
and by shape: a webhook's code after `/rest/<user>/`, also of a webhook nobody told us about (a redirect's target).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
#: A shorter secret protects nothing, and masking it would blank out half of every line.
SHORTEST = 4
#: Deeper structures are written as text; also the end of one that contains itself.
_DEEPEST = 20

#: As many backslashes as an escape gathers when JSON is put into JSON; no more, or a run of them costs its square.
_ESCAPE = r"\\{1,16}"
_SLASH = rf"(?:(?:{_ESCAPE})?/|%(?:25)*2f|{_ESCAPE}u002f)"
#: A webhook's address up to the code; `api` is the REST 3.0 form (F1.1).
_CODE_BY_SHAPE = re.compile(
    rf"({_SLASH}rest{_SLASH}(?:api{_SLASH})?[0-9]+{_SLASH})(?:(?!{_SLASH})(?:{_ESCAPE}u[0-9a-f]{{4}}|[^\s\"'<>\\?#&,;)]))+",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)  # of one character, which tells nobody the secret
def _spellings(character: str) -> str:
    """Return a pattern for one character of a secret, however it was escaped on the way."""
    encoded = character.encode("utf-8", "surrogatepass")
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in encoded)
    units = character.encode("utf-16-be", "surrogatepass")
    unicode = "".join(rf"{_ESCAPE}u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    letter = re.escape(json.dumps(character, ensure_ascii=False)[-2])  # the n of a line feed; itself otherwise
    plus = r"|\+" if character == " " else ""
    return rf"(?:(?:{_ESCAPE})?{re.escape(character)}|{_ESCAPE}{letter}|{percent}|{unicode}{plus})"


class Redactor:
    """Masks the given secrets, and webhook codes by their shape, in text and in nested values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: of two secrets that begin alike the rest of the longer would stay.
        wanted = sorted({s for s in secrets if len(s) >= SHORTEST}, key=len, reverse=True)
        patterns = ["".join(map(_spellings, secret)) for secret in wanted]
        self._secrets = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        return _CODE_BY_SHAPE.sub(rf"\g<1>{MASK}", text)

    def __call__(self, value: Any) -> Any:
        """Return the value with every secret in it masked; containers are copied, an exception becomes its text."""
        return self._value(value, 0)

    def _value(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one return for each kind of value
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case bytes() | bytearray():
                return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            case BaseException():
                return self.text(str(value))
        if depth < _DEEPEST:
            match value:
                case Mapping():
                    return {self._value(key, depth + 1): self._value(item, depth + 1) for key, item in value.items()}
                case list():
                    return [self._value(item, depth + 1) for item in value]
                case tuple():
                    return tuple(self._value(item, depth + 1) for item in value)
                case set() | frozenset():
                    return {self._value(item, depth + 1) for item in value}
        return self._object(value)

    def _object(self, value: object) -> object:
        # Renderers write an unknown object's `repr` or `str` after us: if either tells a secret, it becomes text here.
        for shown in (repr(value), str(value)):
            if (safe := self.text(shown)) != shown:
                return safe
        return value
