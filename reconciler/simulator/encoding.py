"""How the portal writes its answers: JSON with its own escapes, or XML for an address that ends in `.xml` (F1)."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape

from reconciler.simulator.php import EmptyObject, PhpArray, strval

# Quotes inside text are written \u0022 and slashes \/ (F1.2); PHP escapes <, >, & and ' with the same set of options.
_ESCAPES = {
    '\\"': "\\u0022",
    "/": "\\/",
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "'": "\\u0027",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_TO_ESCAPE = re.compile(r"\\.|[/<>&'\u2028\u2029]")


def encode_json(value: Any) -> bytes:
    """Encode as the portal does: equal JSON, other bytes than most encoders write.

    Raises UnicodeEncodeError for half a letter.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_encodable, allow_nan=False)
    return _TO_ESCAPE.sub(lambda match: _ESCAPES.get(match[0], match[0]), text).encode()


def _encodable(value: object) -> object:
    if isinstance(value, PhpArray):
        return value.values() if value.is_list() else {str(key): item for key, item in value.items()}
    if isinstance(value, EmptyObject):
        return {}
    raise TypeError(f"no JSON for {type(value).__name__}")


def encode_xml(value: Any) -> bytes:
    """Encode as the portal does: keys are tags, numbers among them the tag `item`; an empty value is an empty tag."""
    return _tags({"response": value}).encode()


def _tags(value: Any) -> str:
    if isinstance(value, list):
        value = PhpArray(value)
    if not isinstance(value, PhpArray | dict):
        return "" if isinstance(value, EmptyObject) else escape(strval(value), {'"': "&quot;"})
    tags = (("item" if isinstance(key, int) else key, _tags(inner)) for key, inner in value.items())
    return "".join(f"<{tag}>{inner}</{tag}>" for tag, inner in tags)
