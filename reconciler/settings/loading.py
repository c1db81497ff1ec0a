"""Where settings come from: file, secret files, environment, flags; and the sentences for what is wrong in them.

Each source becomes a `Layer` of dotted names, so that an error can say where the wrong value stands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, SettingsError

from reconciler.errors import UsageError
from reconciler.settings.files import config_file, plain, read_config, read_secrets, secret_name
from reconciler.settings.service_links import service_links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails
    from pydantic_settings import BaseSettings

PREFIX = "RECONCILER_"
_EXAMPLE = "config.example.toml lists them all"
#: What pydantic calls a kind of value, and its plain name.
_PLAIN = {"a valid boolean": "true or false", "a valid integer": "a whole number", "a valid number": "a number"}
_OWN_VARIABLES = frozenset({"RECONCILER_CONFIG", "RECONCILER_SECRETS_DIR"})


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
    quoted = "; the quotes belong to its value there, so leave them out" if _in_quotes(name, layers) else ""
    wrong_too = f"; wrong too: {', '.join(told)}" if told else ""
    return f"`{name}`{place}{entry} {_expected(first)}{quoted}{wrong_too}."


def _in_quotes(name: str, layers: Sequence[Layer]) -> bool:
    """Tell whether a value stands in quotes of its own, as `docker run --env-file` keeps them."""
    value = next((layer.values[name] for layer in reversed(layers) if name in layer.values), None)
    return isinstance(value, str) and re.fullmatch(r"\s*(['\"]).*\1\s*", value, re.DOTALL) is not None


def _named(error: ErrorDetails) -> tuple[str, str]:
    """Return the dotted name of the setting, and which entry of its list is meant."""
    entries = [part for part in error["loc"] if isinstance(part, int)]
    name = ".".join(part for part in error["loc"] if isinstance(part, str))
    return name, f", entry {entries[0] + 1}," if entries else ""


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "tuple_type":
        return "should be a list, in square brackets"
    # pydantic says "Input should be ...", "String should have ..." or, for our own checks, "Value error, should ...".
    expected = re.sub(r"^(Input|String|Value error,) ", "", error["msg"]).partition(", unable to ")[0]
    for theirs, plain_words in _PLAIN.items():
        expected = expected.replace(theirs, plain_words)
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
    chosen = config_file(path)
    if chosen is None:
        return Layer(values={}, place=str)
    shown = plain(str(chosen))
    return Layer(values=dict(_flatten(read_config(chosen))), place=lambda _: shown)


def _secret_files(names: Mapping[str, bool]) -> Layer:
    return Layer(values=read_secrets(names), place=lambda name: f"secret file {secret_name(name)}")


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


def setting_names(model: type[BaseModel]) -> list[str]:
    """Return the dotted name of each setting and table."""
    return [name for name, _ in _names(model)]


def set_variables(names: Iterable[str]) -> list[str]:
    """Return the variables of the environment that are settings and not empty."""
    known = {_variable(name) for name in names}
    return [name for name, value in os.environ.items() if value and name.upper() in known]


def _variable(name: str) -> str:
    return PREFIX + secret_name(name).upper()


def _check_variables(names: Mapping[str, bool]) -> None:
    """Refuse RECONCILER_ variables that no setting answers to: pydantic-settings passes them over in silence."""
    known = {_variable(name) for name in names} | _OWN_VARIABLES
    links = service_links(os.environ)
    unknown = [
        variable
        for variable in sorted(os.environ)
        if (upper := variable.upper()).startswith(PREFIX) and upper not in known and variable not in links
    ]
    if unknown:
        near = _nearest(unknown[0][len(PREFIX) :].lower().replace("__", "."), names)
        raise UsageError(
            f"Unknown variable {plain(unknown[0])} in the environment: "
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
                f"Unknown setting `{plain(unknown[0])}` ({plain(layer.place(unknown[0]))}): "
                + (f"did you mean `{near}`?" if near else f"{_EXAMPLE}.")
                + _and_more(unknown[1:])
            )


def _and_more(names: Sequence[str]) -> str:
    return f" Unknown too: {', '.join(map(plain, names))}." if names else ""


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
