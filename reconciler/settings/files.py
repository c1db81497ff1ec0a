"""The settings file and the secret files: which ones count, what they hold, and one sentence for each mistake.

A file that somebody put there, and that cannot be used, is always an error. Going on without it would mean the
defaults, and the program writes.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.core.redaction import Redactor
from reconciler.core.sanitize import display
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

DEFAULT_FILE = Path("config.toml")
#: Where container engines mount secrets.
DEFAULT_SECRETS = Path("/run/secrets")
#: Bytes of a file of settings. The example, with a comment to each setting, has 8,000; an allow-list of 400,000
#: companies with numbers of eight digits has all of these. A device has no end.
_LONGEST_FILE = 4_000_000
_EXAMPLE = "config.example.toml lists them all"
#: How alike two names must be, from 0 to 1, for one to be a slip of the other.
_ALIKE = 0.72


def config_file(path: Path | None) -> Path | None:
    """Return the settings file that counts: the given one, RECONCILER_CONFIG's, ./config.toml; None: there is none."""
    if path is not None:
        return path
    if named := os.environ.get("RECONCILER_CONFIG"):
        return Path(named)
    # A link that leads nowhere counts. A folder that may not be entered holds none for us: nobody asked for this file.
    return DEFAULT_FILE if os.path.lexists(DEFAULT_FILE) else None


def read_config(file: Path) -> dict[str, Any]:
    """Return the tables of a settings file. Raises UsageError."""
    shown = plain(str(file))
    text = _read(file, "settings")
    if text is None:
        raise UsageError(f"The settings file {shown} does not exist: correct --config or RECONCILER_CONFIG.")
    try:
        # With a line break at its end, so that a mistake in the last line is told by its line too.
        return tomllib.loads(text + "\n")
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).removesuffix(")").rpartition(" (at ")
        where = where if where.startswith("line") else f"line {text.count(chr(10)) + 1}"
        hint = 'texts stand in quotes, as in level = "info"'
        if re.search(r"hex value|[Ee]scape", what):
            hint = "a text with backslashes stands in single quotes, as in ca_bundle = 'C:\\certs\\ca.pem'"
        raise UsageError(f"{shown}, {where}: {what}; {hint}.") from None
    except (ValueError, RecursionError):
        # A number of more digits than Python reads, a list in a list in a list: no setting is like that.
        raise UsageError(f"{shown} holds a number or a list that is no setting's; {_EXAMPLE}.") from None


def own_folder() -> Path | None:
    """Return the folder that RECONCILER_SECRETS_DIR names."""
    named = os.environ.get("RECONCILER_SECRETS_DIR")
    return Path(named) if named else None


def secrets_folder() -> Path | None:
    """Return the folder of the secret files; None: there is none. Raises UsageError."""
    if (folder := own_folder()) is not None:
        if not folder.is_dir():
            raise UsageError(
                f"RECONCILER_SECRETS_DIR names {plain(str(folder))}, which is no folder: correct the variable, or make "
                "the folder."
            )
        return folder
    if named := os.environ.get("CREDENTIALS_DIRECTORY"):
        return Path(named)
    # Nobody asked for this one: a folder that only root may enter holds nothing for us.
    return DEFAULT_SECRETS if os.access(DEFAULT_SECRETS, os.X_OK) else None


def secret_name(setting: str) -> str:
    """Return what the secret file of a setting is called."""
    return setting.replace(".", "__")


def read_secrets(settings: Collection[str]) -> dict[str, str]:
    """Return setting -> value of each that has a secret file. Raises UsageError, also for a misspelt file name."""
    folder = secrets_folder()
    if folder is None:
        return {}
    for name in unknown_secrets(folder, settings):
        meant = _meant(name, settings)
        # Beside the right file it may be an old copy, which does no harm.
        if meant and not os.path.lexists(folder / secret_name(meant)):
            raise UsageError(
                f"The secret file {plain(str(folder / name))} belongs to no setting: "
                f"did you mean {secret_name(meant)}? Rename it, or take it out of this folder."
            )
    found = {setting: _read(folder / secret_name(setting), "secret") for setting in settings}
    return {setting: text.strip() for setting, text in found.items() if text is not None}


def unknown_secrets(folder: Path, settings: Collection[str]) -> list[str]:
    """Return the files of the folder that are no setting's; what starts with a dot is Kubernetes' own."""
    known = set(map(secret_name, settings))
    with suppress(OSError):  # a folder that may be entered and not listed
        return sorted(name for name in os.listdir(folder) if name not in known and not name.startswith("."))  # noqa: PTH208 - names
    return []


def _meant(name: str, settings: Collection[str]) -> str | None:
    """Return the setting whose file name this is, but for a slip: of letters, of case, of separators, of an ending."""
    by_letters = {_letters(setting): setting for setting in settings}
    near = get_close_matches(_letters(name), by_letters, 1, _ALIKE)
    return by_letters[near[0]] if near else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removesuffix(".txt"))


def plain(text: str) -> str:
    """Return somebody's text for a sentence: perhaps an address pasted into the wrong place, perhaps an escape code."""
    return Redactor().text(display(text))


def _read(file: Path, kind: str) -> str | None:
    """Return the text of a file of settings; None: there is no such file. Raises UsageError."""
    subject = f"The {kind} file {plain(str(file))}"
    try:
        with file.open("rb") as stream:
            content = stream.read(_LONGEST_FILE + 1)
        if len(content) > _LONGEST_FILE:
            raise OSError(errno.EFBIG, f"longer than {_LONGEST_FILE:,} bytes")  # noqa: TRY301 - as other errors of it
        # Windows editors put a byte order mark in front.
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        if not file.is_symlink():
            return None
        target = plain(os.readlink(file))  # noqa: PTH115 - as it is written there
        raise UsageError(
            f"{subject} is a link to {target}, which does not exist: put the file there, or remove the link."
        ) from None
    except IsADirectoryError:
        raise UsageError(
            f"{subject} is a folder: put the file in its place (Docker makes a folder where the file is missing)."
        ) from None
    except OSError as error:
        advice = f"give the worker's user ({os.geteuid()}) the right to read it" if kind == "secret" else "name another"
        raise UsageError(f"{subject} cannot be read ({error.strerror}): {advice}.") from None
    except UnicodeDecodeError:
        advice = "write the plain value into it" if kind == "secret" else "save it in that encoding"
        raise UsageError(f"{subject} is not in UTF-8: {advice}.") from None
