"""The command `reconciler backup`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations when the program starts
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.launch import run_with
from reconciler.cli.options import Config, Json, Logs, Verbose, merged

if TYPE_CHECKING:
    from reconciler.cli.context import Shell


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; readable by you only.", readable=False)],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Copy the journal into one file, also while the service is at work.

    To use a copy, stop the worker and put it where `journal.url` points, without the -wal and -shm files beside it.
    """
    run_with(merged(ctx, config, json, log_format, verbose), lambda shell: _back_up(shell, file, replace=replace))


def _back_up(shell: Shell, target: Path, *, replace: bool) -> int:
    from reconciler.cli.signals import in_foreground
    from reconciler.journal.backup import back_up
    from reconciler.reporting.wording import file_size

    settings = shell.settings()
    size = in_foreground(lambda: back_up(settings.journal.url, target, shell.clock, replace=replace), shell.clock)
    document = {"schema": 1, "status": "ok", "file": str(target), "bytes": size}
    shell.answer(document, lambda: f"The journal is copied to {target}: {file_size(size)}.")
    return 0
