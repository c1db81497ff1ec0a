"""Where the journal is: the only reader of the setting `journal.url`. Standard library only, for `reconciler health`.

The value is `sqlite:///` and the path of a file. A relative path starts at the working directory, `~` is the home of
the user who runs the program, and `%20` stands for a space, as in other addresses.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from reconciler.errors import UsageError

DEFAULT_URL = "sqlite:///reconciler.sqlite3"
_SCHEME = "sqlite:///"
_EXAMPLES = "sqlite:///journal.db, or sqlite:////var/lib/reconciler/journal.db for a path from the root"


def parse_url(url: str) -> str:
    """Return the path in a `journal.url`, `~` not replaced. Raises `ValueError`, which never shows the value."""
    scheme, _, rest = url.partition(":")
    if scheme not in {"sqlite", "sqlite+pysqlite"}:
        # The address of another kind of database may hold a password.
        raise ValueError(f"should begin with sqlite:///, because the journal is an SQLite file: write {_EXAMPLES}")
    if "?" in rest:
        raise ValueError(f"should have no options after `?`: write {_EXAMPLES}; a ? in a file's name is %3F")
    if not rest.startswith("///"):
        raise ValueError(f"should have three slashes, because the journal is on no other host: write {_EXAMPLES}")
    path = unquote(rest.removeprefix("///"))
    if path == ":memory:":
        raise ValueError(f"should name a file, because a journal in memory is lost at the end: write {_EXAMPLES}")
    if not path or path.endswith("/") or "\0" in path:
        raise ValueError(f"should name a file: write {_EXAMPLES}")
    return path


def named_path(url: str) -> Path:
    """Return the absolute path that a `journal.url` names, symbolic links not followed. Raises `UsageError`."""
    try:
        return Path(parse_url(url)).expanduser().absolute()
    except ValueError as error:
        raise UsageError(f"The setting `journal.url` {error}.") from None
    except RuntimeError as error:  # a user who does not exist
        reason = str(error).rstrip(".")
        raise UsageError(f"The setting `journal.url` names a path that leads nowhere: {reason}.") from error


def locate(url: str) -> Path:
    """Return the absolute path of the file that a `journal.url` names, symbolic links followed. Raises `UsageError`.

    Two names of one file must share one lease.
    """
    named = named_path(url)
    try:
        path = Path(os.path.realpath(named))
    except OSError as error:
        raise UsageError(f"The setting `journal.url` names a path that leads nowhere: {error}.") from error
    # A link that could not be followed to its end. A folder that may not be entered is reported at opening.
    if os.path.islink(path):  # noqa: PTH114 - `Path.is_symlink` fails there
        raise UsageError(f"The setting `journal.url` names a path that leads nowhere: {path} is a link to itself.")
    return path


def is_part_of(path: Path, journal: Path) -> bool:
    """Tell whether a path leads to the journal (as `locate` gives it), or to one of the files beside it. OSError."""
    beside = (journal.with_name(journal.name + end) for end in ("-wal", "-shm", ".lease", ".beat"))
    return Path(os.path.realpath(path)) in {journal, *beside}
