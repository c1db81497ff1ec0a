"""Whether the settings fit this machine, for `reconciler check`: files, folders, the command of `notify.on_event`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.core.sanitize import display
from reconciler.portal.diagnosis import Finding, State
from reconciler.reporting.wording import counted, file_size
from reconciler.settings import files as settings_files
from reconciler.settings.loading import set_variables, setting_names
from reconciler.telemetry.event_command import why_unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.settings.model import Settings

#: Settings whose value is a secret.
_SECRET = ("webhook_url", "proxy")
#: Bytes that should be free beside the journal: it grows, and is copied there before an update.
_LEAST_FREE = 50_000_000
#: Files that one sentence lists.
_LISTED = 5
#: Rights of others: to read, to write, to enter.
_READ, _WRITE, _ENTER = 0o004, 0o002, 0o001


def settings_on_machine(settings: Settings, given: Path | None) -> Iterator[Finding]:
    """Yield where the settings come from, and what is wrong with these files; `given` is the file of --config."""
    file, folder = settings_files.config_file(given), settings_files.secrets_folder()
    names = setting_names(type(settings))
    secrets = settings_files.read_secrets(names)
    variables = set_variables(names)
    origins = [_shown(file)] if file else []
    origins += [f"{counted(len(secrets), 'secret file')} in {_shown(folder)}"] if folder and secrets else []
    origins += [f"{counted(len(variables), 'variable')} of the environment"] if variables else []
    sentence = f"read from {', '.join(origins)}" if origins else "all at their defaults"
    yield Finding(subject="settings", state=State.OK, sentence=sentence)
    if file is not None and file.is_file():  # a pipe was read already
        yield from _config_file(file)
    if folder is not None:
        yield from _secret_files(folder, names)
    if settings.notify.on_event:
        yield _on_event(settings.notify.on_event)


def journal_on_machine(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with the journal's file and its folder."""
    if _is_open(path, _READ | _WRITE):
        sentence = f"every user of this machine may open {_shown(path)}, which holds names; chmod 600 it"
        yield Finding(subject="journal file", state=State.WARNING, sentence=sentence)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        sentence = (
            f"{_shown(path.parent)} may not be written by the worker's user ({os.geteuid()}): the files beside the "
            "journal and its copy before an update belong there; give it to that user"
        )
        yield Finding(subject="journal folder", state=State.FAILED, sentence=sentence)
    free, needed = shutil.disk_usage(path.parent).free, _LEAST_FREE + path.stat().st_size
    if free < needed:
        sentence = (
            f"{file_size(free)} are free in {_shown(path.parent)}, where the journal grows and is copied before an "
            f"update; make room for {file_size(needed)}"
        )
        yield Finding(subject="journal folder", state=State.WARNING, sentence=sentence)


def _config_file(file: Path) -> Iterator[Finding]:
    if _is_open(file, _WRITE):
        sentence = f"every user of this machine may write {_shown(file)}, and so decide what is written; chmod o-w it"
        yield Finding(subject="settings file", state=State.WARNING, sentence=sentence)
    portal = settings_files.read_config(file).get("portal", {})
    secrets = [name for name in _SECRET if name in portal]
    if secrets and _is_open(file, _READ):
        sentence = f"every user of this machine may read {_shown(file)}, which holds portal.{secrets[0]}; chmod 600 it"
        yield Finding(subject="settings file", state=State.WARNING, sentence=sentence)


def _secret_files(folder: Path, names: list[str]) -> Iterator[Finding]:
    unknown = [name for name in settings_files.unknown_secrets(folder, names) if (folder / name).is_file()]
    if unknown:
        listed = ", ".join(map(settings_files.plain, unknown[:_LISTED])) + (", …" if len(unknown) > _LISTED else "")
        sentence = f"no setting is called as these in {_shown(folder)}: {listed}; they are not read"
        yield Finding(subject="secret files", state=State.WARNING, sentence=sentence)
    # Container engines and systemd look after the rights of theirs.
    if folder != settings_files.own_folder():
        return
    readable = [file for file in (folder / settings_files.secret_name(name) for name in names) if _is_open(file, _READ)]
    if readable:
        sentence = f"every user of this machine may read {_shown(readable[0])}; chmod 700 the folder"
        yield Finding(subject="secret files", state=State.WARNING, sentence=sentence)


def _is_open(file: Path, rights: int) -> bool:
    """Whether others have any of these rights to the file, and may enter each folder on the way to it."""
    try:
        real = file.resolve(strict=True)
        return bool(real.stat().st_mode & rights) and all(one.stat().st_mode & _ENTER for one in real.parents)
    except OSError:
        return False


def _on_event(command: tuple[str, ...]) -> Finding:
    if reason := why_unusable(command[0]):
        sentence = f"{display(command[0])} {reason}, so it will not be run; correct notify.on_event"
        return Finding(subject="notify.on_event", state=State.FAILED, sentence=sentence)
    if (found := shutil.which(command[0])) and _is_open(Path(found), _WRITE):
        sentence = f"every user of this machine may change {display(command[0])}, which the worker runs; chmod o-w it"
        return Finding(subject="notify.on_event", state=State.WARNING, sentence=sentence)
    return Finding(subject="notify.on_event", state=State.OK, sentence=f"{display(command[0])} can be run")


def _shown(path: Path) -> str:
    return settings_files.plain(str(path))
