r"""Secrets out of everything that is written: logs, tracebacks, errors, reports.

By value and by shape: a webhook's code after `/rest/<user>/`, also of a webhook that is not ours (a redirect's target).
Both are looked for in the text as a reader sees it in the end: percent-encoding, escapes of JSON and Python, and
entities of HTML are decoded, in any nesting (`%252F`, `\u002f`, `&amp;#x2f;`), and what is invisible is left out: a
secret with a soft hyphen inside shows whole on a screen. Each character keeps its place: only the secret is masked.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MASK = "***"
#: A shorter secret protects nothing, and masking it would blank out half of every line.
SHORTEST = 4
#: Deeper structures are written as text; also the end of one that contains itself.
_DEEPEST = 20
#: How many layers of escapes are decoded. A text with more is masked as a whole.
_LAYERS = 12

#: A webhook's address up to the code, and the code; `api` is the REST 3.0 form (F1.1).
_CODE_BY_SHAPE = re.compile(r"/rest/(?:api/)?[0-9]+/(?P<code>[^\s\"'<>\\?#&%,;)/]+)", re.IGNORECASE)

_HEX = "[0-9a-fA-F]"
_NEXT = rf"%[89abAB]{_HEX}"
_ESCAPES = rf"""
    (?:%[0-7]{_HEX}|%[cCdD]{_HEX}{_NEXT}|%[eE]{_HEX}{_NEXT}{_NEXT}|%[fF]{_HEX}{_NEXT}{_NEXT}{_NEXT})
    |\\(?:u{_HEX}{{4}}|U{_HEX}{{8}}|x{_HEX}{{2}}|["'/bfnrt\\])
    |&(?:\#[0-9]{{1,9}}|\#[xX]{_HEX}{{1,8}}|[a-zA-Z][a-zA-Z0-9]{{1,31}});?
    |[\ud800-\udbff][\udc00-\udfff]
"""
#: What stands for another character; and besides that whatever may be invisible, or another form of a character.
_ESCAPED = re.compile(_ESCAPES, re.VERBOSE)
_ESCAPED_OR_UNSEEN = re.compile(rf"{_ESCAPES}|[^\x20-\x7e]", re.VERBOSE)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
#: Categories of characters that show nothing, or only a mark on the one before. And the blank letters
#: of some scripts, and what stands where a decoder found nothing.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Mn", "Me", "Zl", "Zp"})
_BLANK = "\ufffd\u115f\u1160\u2800\u3164\uffa0"


def _meaning(escape: str) -> str:
    """Return what an escape stands for, and of a character by itself what is seen of it."""
    if len(escape) == 1:
        return _seen(escape)
    match escape[0]:
        case "%":
            return bytes.fromhex(escape.replace("%", "")).decode(errors="replace")
        case "\\" if escape[1] in "uUx":
            code = int(escape.lstrip("\\uUx"), 16)
            return chr(code) if code <= 0x10FFFF else ""  # noqa: PLR2004 - the last character there is
        case "\\":
            return _LETTERS.get(escape[1], escape[1])
        case "&":
            return html.unescape(escape)
    return escape.encode("utf-16", "surrogatepass").decode("utf-16")


@lru_cache(maxsize=1024)  # of one character, which tells nobody the secret
def _seen(character: str) -> str:
    """Return the plain form of a character: a letter without its marks, nothing for what is invisible."""
    plain = unicodedata.normalize("NFKD", character)
    return "".join(c for c in plain if c not in _BLANK and unicodedata.category(c) not in _UNSEEN)


class _TooDeepError(Exception):
    """A text has more layers of escapes than are decoded."""


def _views(text: str, escaped: re.Pattern[str]) -> Iterator[tuple[str, Sequence[int], Sequence[int]]]:
    """Yield the text, and after each layer of escapes what it stands for.

    With each: where its characters begin and end in the text as it was written. Raises _TooDeepError.
    """
    starts: Sequence[int] = range(len(text))
    ends: Sequence[int] = range(1, len(text) + 1)
    yield text, starts, ends
    for _ in range(_LAYERS):
        parts: list[str] = []
        begun: list[int] = []
        ended: list[int] = []
        at = 0
        for match in escaped.finditer(text):
            if (meaning := _meaning(match[0])) != match[0]:
                parts += text[at : match.start()], meaning
                begun += [*starts[at : match.start()], *[starts[match.start()]] * len(meaning)]
                ended += [*ends[at : match.start()], *[ends[match.end() - 1]] * len(meaning)]
                at = match.end()
        if not at:
            return
        text, starts, ends = "".join([*parts, text[at:]]), [*begun, *starts[at:]], [*ended, *ends[at:]]
        yield text, starts, ends
    raise _TooDeepError


def _plain(secret: str) -> str:
    """Return a secret as a reader would see it at last; itself where it has too many layers for one."""
    try:
        *_, (plain, _, _) = _views(secret, _ESCAPED_OR_UNSEEN)
    except _TooDeepError:
        return secret
    return plain


def _any_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for the secrets, in any case; a space may be a plus.

    The longest first: of two secrets that begin alike the rest of the longer would stay.
    """
    wanted = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
    patterns = [re.escape(secret).replace(r"\ ", "[ +]") for secret in wanted]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


class Redactor:
    """Masks the given secrets, and webhook codes by their shape, in text and in nested values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {secret: _plain(secret) for secret in secrets if len(secret) >= SHORTEST}
        self._plain = _any_of(forms.values())
        #: Those that are not plain themselves are looked for as they are, too.
        self._exact = _any_of(secret for secret, plain in forms.items() if secret != plain)

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        try:
            spans = sorted(self._spans(text))
        except _TooDeepError:
            return MASK
        parts: list[str] = []
        at = 0
        for start, end in spans:
            if start >= at:
                parts += text[at:start], MASK
            at = max(at, end)
        return "".join([*parts, text[at:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where a secret begins and ends. Raises _TooDeepError."""
        searches = [(_ESCAPED_OR_UNSEEN, (self._plain, _CODE_BY_SHAPE)), (_ESCAPED, (self._exact,))]
        for escaped, patterns in searches:
            wanted = [pattern for pattern in patterns if pattern is not None]
            for view, starts, ends in _views(text, escaped) if wanted else ():
                for pattern in wanted:
                    for match in pattern.finditer(view):
                        start, end = match.span("code" if pattern is _CODE_BY_SHAPE else 0)
                        yield starts[start], ends[end - 1]

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
