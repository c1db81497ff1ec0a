"""The commands about contacts that are left alone: `reconciler exceptions` and `reconciler exceptions release`."""

from __future__ import annotations

from typing import Annotated

import typer

# typer reads the annotations when the program starts.
from reconciler.options import Command, Config, Group, Json, Logs, Verbose, merged, positive, run_with

exceptions = typer.Typer(cls=Group, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@exceptions.callback(invoke_without_command=True)
def list_exceptions(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """List the contacts that are left alone, and why."""
    ctx.obj = common = merged(ctx, config, json, log_format, verbose)
    if ctx.invoked_subcommand is None:
        from reconciler import decisions

        run_with(common, decisions.exceptions)


@exceptions.command(cls=Command)
def release(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", parser=positive, help="Of the contact, or of the exception.")],
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look after a contact again."""
    from reconciler import decisions

    common = merged(ctx, config, json, log_format, verbose)
    run_with(common, lambda shell: decisions.release(shell, number))
