"""The command `reconciler backup`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations when the program starts
from typing import Annotated

import typer

from reconciler.options import Config, Json, Logs, Verbose, merged, run_with


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
    from reconciler import upkeep

    run_with(merged(ctx, config, json, log_format, verbose), lambda shell: upkeep.backup(shell, file, replace=replace))
