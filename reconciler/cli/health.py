"""The health check of a container: `reconciler health`, with no library loaded.

All it needs of the settings is `journal.url`, from the same places in the same order as the whole program reads them:
the environment, the secret file, the settings file, the default. Whatever is unusual there, and each other option, is
left to the whole program. What else stands in the settings is not looked at: a running service is not ended because
somebody edits them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.core.sanitize import display
from reconciler.errors import UsageError
from reconciler.service import heartbeat
from reconciler.settings.journal_url import DEFAULT_URL, named_path

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLE = "RECONCILER_JOURNAL__URL"


def answer(arguments: Sequence[str]) -> int | None:
    """Print whether the service is alive; return the exit code. None: it is another command, or not a plain one."""
    match arguments:
        case ["health"]:
            config = None
        case ["health", "--config", file] | ["--config", file, "health"]:
            config = Path(file)
        case _:
            return None
    try:
        url = _journal_url(config)
        if url is None:
            return None
        _, wrong = heartbeat.verdict(heartbeat.beat_file(named_path(url)), time.monotonic())
        print(display(f"not alive: {wrong}" if wrong else "alive"), flush=True)  # noqa: T201 - the answer
    except (UsageError, OSError, ValueError):  # the whole program says what is wrong
        return None
    return 1 if wrong else 0


def _journal_url(config: Path | None) -> str | None:
    """Return the setting `journal.url`; None: it stands where only the whole program looks."""
    given = {
        name: value for name, value in os.environ.items() if value and name.upper().startswith("RECONCILER_JOURNAL")
    }
    if _VARIABLE in given:
        return given[_VARIABLE] if len(given) == 1 else None
    if any(name.upper() in {"RECONCILER_JOURNAL", _VARIABLE} for name in given):
        return None
    from reconciler.settings.files import config_file, read_config, read_secrets

    secret = read_secrets(["journal.url"]).get("journal.url")
    if secret is not None:
        return secret
    file = config_file(config)
    table = {} if file is None else read_config(file).get("journal", {})
    url = table.get("url", DEFAULT_URL) if isinstance(table, dict) else None
    return url if isinstance(url, str) else None
