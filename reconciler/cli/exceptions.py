"""The commands about contacts that are left alone: `reconciler exceptions`, and `release` and `add` below it."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import help_texts as manual
from reconciler.cli.launch import run_with

# typer reads the annotations when the program starts.
from reconciler.cli.options import (
    Command,
    Config,
    ExceptionFilters,
    Group,
    Json,
    Logs,
    OfCompanies,
    Offline,
    OfRuns,
    OnlyContacts,
    OnlyKinds,
    Verbose,
    Yes,
    merged,
    positive,
)

exceptions = typer.Typer(cls=Group, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})

_Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="ID", parser=positive, help="Of a contact, or of an exception.")
]
_Contacts = Annotated[list[int], typer.Argument(metavar="ID", parser=positive, help="Of a contact.")]


@exceptions.callback(invoke_without_command=True, epilog=manual.EXCEPTIONS_NOTES)
def list_exceptions(
    ctx: typer.Context,
    *,
    contact: OnlyContacts = None,
    kind: OnlyKinds = None,
    company: OfCompanies = None,
    run: OfRuns = None,
    offline: Offline = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """List the contacts that are left alone, and why."""
    ctx.obj = common = merged(ctx, config, json, log_format, verbose)
    filters = ExceptionFilters.of(contact, kind, company, run)
    if ctx.invoked_subcommand is not None:
        given = {"--contact": contact, "--kind": kind, "--company": company, "--run": run, "--offline": offline}
        if misplaced := next((name for name, value in given.items() if value), None):
            raise typer.BadParameter(f"{misplaced} does not go before the command {ctx.invoked_subcommand}")
        return
    from reconciler.cli import exception_changes as exception_commands

    run_with(common, lambda shell: exception_commands.show(shell, filters, offline=offline))


@exceptions.command(cls=Command, epilog=manual.RELEASE_EXAMPLES)
def release(
    ctx: typer.Context,
    numbers: _Numbers = None,
    *,
    kind: OnlyKinds = None,
    company: OfCompanies = None,
    run: OfRuns = None,
    every: Annotated[bool, typer.Option("--all", help="All that are in force.")] = False,
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look after contacts again, after a yes."""
    filters = ExceptionFilters.of(numbers, kind, company, run)
    if every and filters != ExceptionFilters():
        raise typer.BadParameter("--all goes without IDs, --kind, --company and --run")
    if not every and filters == ExceptionFilters():
        raise typer.BadParameter("say which: IDs, --kind, --company, --run or --all")
    from reconciler.cli import exception_changes as exception_commands

    common = merged(ctx, config, json, log_format, verbose)
    run_with(common, lambda shell: exception_commands.release(shell, filters, yes=yes))


@exceptions.command(cls=Command, epilog=manual.ADD_EXAMPLES)
def add(
    ctx: typer.Context,
    contacts: _Contacts,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; shown in the list.")] = "",
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Leave contacts alone until they are released."""
    from reconciler.cli import exception_changes as exception_commands

    common = merged(ctx, config, json, log_format, verbose)
    run_with(common, lambda shell: exception_commands.add(shell, contacts, reason))
