"""Where settings come from: file, secret files, environment, flags; and the sentences for what is wrong in them.

Each source becomes a `Layer` of dotted names, so that an error can say where the wrong value stands.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, SettingsError

from reconciler.errors import UsageError
from reconciler.ops.display import display
from reconciler.portal.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails
    from pydantic_settings import BaseSettings

PREFIX = "RECONCILER_"
DEFAULT_FILE = Path("config.toml")
#: Where container engines mount secrets.
DEFAULT_SECRETS = Path("/run/secrets")
#: Bytes of a file of settings. The example, with a comment to each setting, has 8,000; an allow-list of 400,000
#: companies with numbers of eight digits has all of these. A device has no end.
_LONGEST_FILE = 4_000_000
_EXAMPLE = "config.example.toml lists them all"
_OWN_VARIABLES = frozenset({"RECONCILER_CONFIG", "RECONCILER_SECRETS_DIR"})
#: What Kubernetes puts into every container when a Service is called "reconciler": none of our business.
_SERVICE_LINK = re.compile(r"RECONCILER_(SERVICE_HOST|(SERVICE_)?PORT(_\w+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says."""

    #: Dotted name -> value.
    values: Mapping[str, Any]
    #: Tells a person where the setting of a dotted name stands.
    place: Callable[[str], str]


def collect(model: type[BaseSettings], path: Path | None, flags: Mapping[str, Any]) -> list[Layer]:
    """Return the layers, the weakest first. Raises `UsageError` for what cannot be read and for unknown names."""
    names = dict(_names(model))
    _check_variables(names)
    layers = [_file(path), _secret_files(names), _environment(model), _flags(flags)]
    _check_names(names, layers)
    return layers


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """Lay the layers over each other, the strongest on top; tables are merged setting by setting."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            nested = value
            for key in reversed(name.split(".")):
                nested = {key: nested}
            result = _over(result, nested)
    return result


def sentence(error: ValidationError, layers: Sequence[Layer]) -> str:
    """Say which setting has which wrong kind of value, and where it stands; the value itself is never told."""
    first, *others = error.errors(include_url=False, include_context=False, include_input=False)
    name, entry = _named(first)
    place = next((f" ({layer.place(name)})" for layer in reversed(layers) if _holds(layer, name)), "")
    told = dict.fromkeys(f"`{other}`" for other, _ in map(_named, others) if other != name)
    return f"`{name}`{place}{entry} {_expected(first)}" + (f"; wrong too: {', '.join(told)}." if told else ".")


def _named(error: ErrorDetails) -> tuple[str, str]:
    """Return the dotted name of the setting, and which entry of its list is meant."""
    entries = [part for part in error["loc"] if isinstance(part, int)]
    name = ".".join(part for part in error["loc"] if isinstance(part, str))
    return name, f", entry {entries[0] + 1}," if entries else ""


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "tuple_type":
        return "should be a list, in square brackets"
    # pydantic says "Input should be ...", "String should have ..." or, for our own checks, "Value error, should ...".
    expected = re.sub(r"^(Input|String|Value error,) ", "", error["msg"]).partition(", unable to parse")[0]
    return re.sub(r"\d+\.\d{5,}", lambda found: f"{float(found[0]):.4g}", expected)


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Yield each dotted name, and whether it must be a table."""
    for key, info in model.model_fields.items():
        table = isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        # `portal.limits` has fields, and may be a name as well.
        yield prefix + key, table and not info.metadata
        if table:
            yield from _names(info.annotation, f"{prefix}{key}.")  # type: ignore[arg-type] # `table` says so


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return result


def _holds(layer: Layer, name: str) -> bool:
    return any(f"{name}.".startswith(f"{given}.") or given.startswith(f"{name}.") for given in layer.values)


def _file(path: Path | None) -> Layer:
    chosen = path or (Path(named) if (named := os.environ.get("RECONCILER_CONFIG")) else None)
    # Nobody asked for the default one: a folder that may not be entered holds none for us, where `exists` would raise.
    if chosen is None and not os.access(DEFAULT_FILE, os.F_OK):
        return Layer(values={}, place=str)
    chosen = chosen or DEFAULT_FILE
    shown = display(str(chosen))
    try:
        # Windows editors put a byte order mark in front, which TOML does not know.
        text = _read(chosen).decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"The settings file {shown} does not exist: mend --config or RECONCILER_CONFIG.") from None
    except OSError as error:
        raise UsageError(
            f"The settings file {shown} cannot be read ({error.strerror}): name a readable file."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"The settings file {shown} is not in UTF-8: save it in that encoding.") from None
    try:
        # With a line break at its end, so that a mistake in the last line is told by its line too.
        values = tomllib.loads(text + "\n")
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).removesuffix(")").rpartition(" (at ")
        where = where if where.startswith("line") else f"line {text.count(chr(10)) + 1}"
        raise UsageError(f'{shown}, {where}: {what}; texts stand in quotes, as in level = "info".') from None
    except (ValueError, RecursionError):
        # A number of more digits than Python reads, a list in a list in a list: no setting is like that.
        raise UsageError(f"{shown} holds a number or a list that is no setting's; {_EXAMPLE}.") from None
    return Layer(values=dict(_flatten(values)), place=lambda _: shown)


def _read(file: Path) -> bytes:
    """Read a file of settings. Raises OSError, also for one that is too long to be any."""
    with file.open("rb") as stream:
        content = stream.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE:
        raise OSError(errno.EFBIG, f"longer than {_LONGEST_FILE:,} bytes")
    return content


def _secret_files(names: Mapping[str, bool]) -> Layer:
    folder = _secrets_folder()
    found = {name: _secret(folder / _file_name(name)) for name in names} if folder else {}
    return Layer(
        values={name: value for name, value in found.items() if value is not None},
        place=lambda name: f"secret file {_file_name(name)}",
    )


def _file_name(name: str) -> str:
    return name.replace(".", "__")


def _secret(file: Path) -> str | None:
    try:
        return _read(file).decode("utf-8-sig").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"The secret file {display(str(file))} cannot be read ({error.strerror}): "
            f"give the worker's user ({os.geteuid()}) the right to read it."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"The secret file {display(str(file))} is not text: write the plain value into it.") from None


def _secrets_folder() -> Path | None:
    if named := os.environ.get("RECONCILER_SECRETS_DIR"):
        folder = Path(named)
        if not folder.is_dir():
            raise UsageError(f"RECONCILER_SECRETS_DIR names {display(named)}, which is no folder: mend the variable.")
        return folder
    if named := os.environ.get("CREDENTIALS_DIRECTORY"):
        return Path(named)
    # Nobody asked for this one: a folder that only root may enter holds nothing for us.
    return DEFAULT_SECRETS if os.access(DEFAULT_SECRETS, os.X_OK) else None


def _environment(model: type[BaseSettings]) -> Layer:
    try:
        # An empty variable is what compose files pass on for one that is not set.
        values = EnvSettingsSource(model, env_ignore_empty=True)()
    except (SettingsError, RecursionError) as error:
        table = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + (table[1].upper() if table else "<TABLE>")
        raise UsageError(f"{name} is no JSON object: set its settings one by one, as {name}__<NAME>.") from None
    return Layer(values=dict(_flatten(values)), place=lambda name: f"{_variable(name)} in the environment")


def _flags(flags: Mapping[str, Any]) -> Layer:
    given = {name: value for name, value in _flatten(flags) if value is not None}
    return Layer(values=given, place=lambda _: "command line")


def _variable(name: str) -> str:
    return PREFIX + _file_name(name).upper()


def _check_variables(names: Mapping[str, bool]) -> None:
    """Refuse RECONCILER_ variables that no setting answers to: pydantic-settings passes them over in silence."""
    known = {_variable(name) for name in names} | _OWN_VARIABLES
    unknown = [
        variable
        for variable in sorted(os.environ)
        if (upper := variable.upper()).startswith(PREFIX) and upper not in known and not _SERVICE_LINK.fullmatch(upper)
    ]
    if unknown:
        near = _nearest(unknown[0][len(PREFIX) :].lower().replace("__", "."), names)
        raise UsageError(
            f"Unknown variable {_plain(unknown[0])} in the environment: "
            + (f"did you mean {_variable(near)}?" if near else f"{_EXAMPLE}.")
            + _and_more(unknown[1:])
        )


def _check_names(names: Mapping[str, bool], layers: Sequence[Layer]) -> None:
    for layer in layers:
        for name in layer.values:
            if names.get(name):
                raise UsageError(f"`{name}` ({layer.place(name)}) should be a table of settings, not a single value.")
        unknown = [name for name in layer.values if name not in names]
        if unknown:
            near = _nearest(unknown[0], names)
            raise UsageError(
                f"Unknown setting `{_plain(unknown[0])}` ({_plain(layer.place(unknown[0]))}): "
                + (f"did you mean `{near}`?" if near else f"{_EXAMPLE}.")
                + _and_more(unknown[1:])
            )


def _and_more(names: Sequence[str]) -> str:
    return f" Unknown too: {', '.join(map(_plain, names))}." if names else ""


def _nearest(name: str, names: Mapping[str, bool]) -> str | None:
    """Return the setting that was probably meant: the right key in the wrong table, or one with a slip."""
    last = {known.rpartition(".")[2]: known for known, table in names.items() if not table}
    key = name.rpartition(".")[2]
    if key in last:
        return last[key]
    # Whole names are compared where the dot is missing only: within a table they are all alike by half.
    if "." not in name and (near := get_close_matches(name, names, 1, 0.7)):
        return near[0]
    return next((last[near] for near in get_close_matches(key, last, 1)), None)


def _plain(name: str) -> str:
    # A name is somebody's text: perhaps an address pasted into the wrong place, perhaps an escape code.
    return Redactor().text(display(name))
