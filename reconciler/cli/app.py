"""The command line: a contract that scripts rely on.

Only options stand here. What a command does is in `reconciler.cli.run`, imported when it runs, so that `--help`
and a mistyped option answer at once.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from reconciler.cli import help_texts as manual
from reconciler.cli.backup import backup
from reconciler.cli.exceptions import exceptions
from reconciler.cli.launch import run_with

# typer reads the annotations when the program starts.
from reconciler.cli.options import (
    Command,
    Common,
    Companies,
    Company,
    Config,
    Contact,
    Contacts,
    Digest,
    Dismissed,
    Drift,
    Filters,
    Gaps,
    Group,
    Json,
    Limit,
    Limits,
    LogFormat,
    Logs,
    MaybeRun,
    OnlyCompanies,
    OnlyOwners,
    Output,
    Owners,
    Pace,
    PortalLimits,
    Profile,
    Run,
    SamePortal,
    Scopes,
    Seed,
    Shape,
    Skew,
    Standing,
    Unused,
    UpdatePath,
    Updates,
    Verbose,
    Version,
    Yes,
    merged,
    number,
    run_name,
    shape_of,
    work_list,
)
from reconciler.telemetry import streams

if TYPE_CHECKING:
    from reconciler.cli.context import Shell

app = typer.Typer(
    name="reconciler",
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line; the console script."""
    streams.install()
    try:
        code = app(prog_name="reconciler", standalone_mode=False)
    except TyperException as error:
        code = _misused(error)
    if (loss := streams.lost()) is not None:
        code = _not_whole(loss, code)
    sys.exit(code)


def _not_whole(loss: OSError, code: int) -> int:
    """Say that the answer did not get out whole; return the exit code, which is never 0."""
    from reconciler.cli.context import Shell

    sentence = (
        f"the answer could not be written whole to standard output ({loss.strerror}); give the command again with "
        "another place for it (what a run has written is in the journal: `reconciler show latest`)"
    )
    return Shell(_as_asked(json=False)).fail(sentence, code or 1)


def _misused(error: TyperException) -> int:
    """Say in one line what is wrong with the command line; return the exit code."""
    from reconciler.cli.context import Shell

    context = getattr(error, "ctx", None)
    path = context.command_path if context else "reconciler"
    # typer's own parsers put "Value error," before what a person needs to know.
    message = error.format_message().strip().rstrip(".").replace("Value error, ", "")
    message = (
        message.removeprefix("Invalid value: ").replace(": Input should", ": should").split(", unable to parse")[0]
    )
    joint = "" if message.endswith("?") else ";"
    shell = Shell(_as_asked(json="--json" in sys.argv))
    return shell.fail(f"{message}{joint} `{path} -h` tells more", error.exit_code)


def _as_asked(*, json: bool) -> Common:
    """Return how a sentence is given where the command line could not be parsed."""
    words = sys.argv[1:]
    asked = "--log-format=json" in words or ("--log-format", "json") in pairwise(words)
    return Common(json=json, log_format=LogFormat.JSON if asked else None)


@app.callback(invoke_without_command=True, help=manual.ABOUT)
def root(
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="One full sweep: change everything, then exit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --once: write without a question.")] = False,
    approve: Digest = "",
    accept: SamePortal = False,
    company: OnlyCompanies = None,
    owner: OnlyOwners = None,
    limit: Limit = None,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
    version: Version = False,  # noqa: ARG001 - its callback has ended the program
) -> None:
    """Run the service, or a sweep with --once; see that the options go together."""
    common = Common(config=config, json=json, log_format=log_format, verbose=verbose)
    ctx.obj = common
    only_once = {"--once": once, "--yes": yes, "--approve": approve}
    only_once |= {"--company": company, "--owner": owner, "--limit": limit, "--accept-portal": accept}
    given = [name for name, value in only_once.items() if value]
    if ctx.invoked_subcommand is not None:
        if given:
            raise typer.BadParameter(f"{given[0]} does not go before the command {ctx.invoked_subcommand}")
        return
    if given and not once:
        raise typer.BadParameter(f"{given[0]} goes with --once")
    from reconciler.cli import run as commands

    if once:
        filters = Filters.of(company, owner, limit)
        run_with(common, lambda shell: commands.once(shell, filters, yes=yes, approve=approve, accept_portal=accept))
    run_with(common, commands.serve)


@app.command(cls=Command, epilog=manual.PLAN_EXAMPLES)
def plan(
    ctx: typer.Context,
    *,
    format: Shape = None,  # noqa: A002 - the option's name
    output: Output = None,
    company: OnlyCompanies = None,
    owner: OnlyOwners = None,
    limit: Limit = None,
    standing: Standing = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Show what would change, and why; write nothing."""
    common = merged(ctx, config, json, log_format, verbose)
    shape = work_list(common, format) if standing else shape_of(common, format, output)
    filters = Filters.of(company, owner, limit)
    from reconciler.cli import run as commands

    run_with(common, lambda shell: commands.plan(shell, shape, output, filters, standing=standing))


@app.command(cls=Command)
def runs(
    ctx: typer.Context,
    *,
    last: Annotated[int, number("--last", "How many.")] = 20,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """List the runs, the newest first."""
    from reconciler.cli import run as commands

    run_with(merged(ctx, config, json, log_format, verbose), lambda shell: commands.runs(shell, last))


@app.command(cls=Command, epilog=manual.SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    run: Run,
    *,
    format: Shape = None,  # noqa: A002 - the option's name
    output: Output = None,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Show one run and each of its changes."""
    common = merged(ctx, config, json, log_format, verbose)
    shape, which = shape_of(common, format, output), run_name(run)
    from reconciler.cli import run as commands

    run_with(common, lambda shell: commands.show(shell, which, shape, output))


@app.command(cls=Command, short_help="Show and approve what the guard held back.", epilog=manual.APPROVE_EXAMPLES)
def approve(
    ctx: typer.Context,
    digest: Annotated[str | None, typer.Argument(metavar="DIGEST", help="Of the plan; without it, what waits.")] = None,
    *,
    yes: Yes = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take an approval back.")] = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Show changes that the guard held back, and let exactly them through after a yes; without a digest, list them."""
    if withdraw and digest is None:
        raise typer.BadParameter("--withdraw needs the digest; `reconciler approve` lists them")
    from reconciler.cli import approvals as decisions

    common = merged(ctx, config, json, log_format, verbose)
    if digest is None:
        run_with(common, decisions.approvals)
    elif withdraw:
        run_with(common, lambda shell: decisions.withdraw(shell, digest))
    else:
        run_with(common, lambda shell: decisions.approve(shell, digest, yes=yes))


@app.command(
    cls=Command, short_help="Restore what a run changed, where nobody changed it since.", epilog=manual.UNDO_EXAMPLES
)
def undo(
    ctx: typer.Context,
    run: MaybeRun = None,
    *,
    contact: Contact = None,
    company: Company = None,
    yes: Yes = False,
    approve: Digest = "",
    accept: SamePortal = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Put back what a run changed, where it still stands as we left it."""
    if run is None and contact is None and company is None:
        raise typer.BadParameter("say what: a run's number, `latest`, --contact or --company")
    from reconciler.cli import run as commands
    from reconciler.engine.planning import Undo

    which = None if run is None else run_name(run)
    what = Undo(run=None if which == "latest" else which, latest=which == "latest", contact=contact, company=company)
    common = merged(ctx, config, json, log_format, verbose)
    run_with(common, lambda shell: commands.undo(shell, what, yes=yes, approve=approve, accept_portal=accept))


app.add_typer(exceptions, name="exceptions")
app.command(cls=Command, short_help="Copy the journal into one file.")(backup)


@app.command(cls=Command, short_help="Check settings, address and rights; one line each.")
def check(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look at settings, address, database, clock, rights and side effects: one line each, with the next step.

    The portal is only read. A warning is for you to judge; exit code 1 says that something must be put right.
    """
    from reconciler.cli import check as checking

    run_with(merged(ctx, config, json, log_format, verbose), checking.check)


@app.command(cls=Command, short_help="Tell whether the service is alive; for containers.", epilog=manual.HEALTH_NOTES)
def health(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Tell by the exit code whether the service is alive; for containers. Asks neither portal nor journal."""
    from reconciler.cli import run as commands

    run_with(merged(ctx, config, json, log_format, verbose), commands.health)


@app.command(cls=Command, epilog=manual.DEMO_EXAMPLES)
def demo(
    ctx: typer.Context,
    *,
    companies: Companies = 2_000,
    contacts: Contacts = 10_000,
    owners: Owners = 20,
    skew: Skew = 0.8,
    gaps: Gaps = 0.1,
    drift: Drift = 0.05,
    seed: Seed = 1,
    profile: Pace = Profile.INSTANT,
    config: Unused = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Tell the whole story on an embedded portal; no account needed."""
    common = merged(ctx, config, json, log_format, verbose)
    spec = {
        "companies": companies,
        "contacts": contacts,
        "owners": owners,
        "skew": skew,
        "gaps": gaps,
        "drift": drift,
        "seed": seed,
    }
    from reconciler.cli import simulator as embedded

    run_with(common, lambda shell: embedded.demo(shell, spec, profile.value))


@app.command(cls=Command, short_help="Serve the embedded portal to other programs.", epilog=manual.SIMULATE_EXAMPLES)
def simulate(
    ctx: typer.Context,
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, metavar="N", help="0 picks a free one.")] = 8024,
    tls: Annotated[bool, typer.Option("--tls", help="HTTPS, with a certificate made for it.")] = False,
    limits: PortalLimits = Limits.CLOUD,
    companies: Companies = 2_000,
    contacts: Contacts = 10_000,
    owners: Owners = 20,
    skew: Skew = 0.8,
    gaps: Gaps = 0.1,
    drift: Drift = 0.05,
    seed: Seed = 1,
    dismissed: Dismissed = 0,
    scopes: Scopes = "crm,user",
    update_path: Updates = UpdatePath.LEGACY,
    profile: Pace = Profile.INSTANT,
    config: Unused = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Serve the embedded portal over HTTP or HTTPS to other programs, until Ctrl-C or SIGTERM."""
    common = merged(ctx, config, json, log_format, verbose)
    spec = {
        "companies": companies,
        "contacts": contacts,
        "owners": owners,
        "dismissed_owners": dismissed,
        "skew": skew,
        "gaps": gaps,
        "drift": drift,
        "seed": seed,
    }
    from reconciler.cli import simulator as embedded

    def work(shell: Shell) -> int:
        differences = embedded.differences(scopes, update_path.value)
        where = embedded.Where(host=host, port=port, tls=tls)
        return embedded.simulate(shell, spec, profile.value, differences, limits=limits.value, where=where)

    run_with(common, work)
