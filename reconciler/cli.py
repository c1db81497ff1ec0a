"""The command line (DESIGN 10): a contract that scripts rely on.

Only options stand here. What a command does is in `reconciler.commands`, imported when it runs, so that `--help`
and a mistyped option answer at once.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

# typer reads the annotations when the program starts.
from reconciler.options import (
    ENDINGS,
    Common,
    Companies,
    Company,
    Config,
    Contact,
    Contacts,
    Digest,
    Drift,
    Filters,
    Format,
    Gaps,
    Json,
    Limit,
    Limits,
    LogFormat,
    Logs,
    Output,
    Owner,
    Owners,
    Pace,
    PortalLimits,
    Profile,
    Seed,
    Shape,
    Skew,
    Unused,
    Verbose,
    Version,
    is_number,
    number,
    positive,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.shell import Shell

# In these texts \b keeps the line breaks of the paragraph that follows.
_ABOUT = """\
Keep every Bitrix24 contact with the owner of its company.

Without a command this is the service: it looks at the portal now, then every ten minutes, and gives each contact the
owner of its company.

\b
Try it, no account needed:
  reconciler demo

\b
On your portal, with the address of an inbound webhook:
  export RECONCILER_PORTAL__WEBHOOK_URL=https://<portal>/rest/<user>/<code>/
  reconciler check      is everything right?
  reconciler plan       what would change, and why?
  reconciler --once     change it, after a question
  reconciler            and keep it so

\b
Exit codes:
  0  done, or in sync
  1  failed, or incomplete and nothing written
  2  wrong usage or settings
  3  refused, nothing written
  4  finished, but some changes were denied, failed, or nobody knows
  5  another run is at work on the same journal
"""
_PLAN_EXAMPLES = """\
\b
Examples:
  reconciler plan --company 42             one company
  reconciler plan --output plan.html       for somebody else to read
  reconciler plan --json | jq .drift       for a script
"""
_SHOW_EXAMPLES = """\
\b
Examples:
  reconciler show latest
  reconciler show 17 --output run-17.csv
"""
_APPROVE_EXAMPLES = """\
An approval is of changes, not of a plan: what you were shown goes through with the next run, whatever else has come
up; the rest is guarded as usual. It lasts until it is used up, or for guard.approval_days.

\b
Examples:
  reconciler approve                       what waits
  reconciler approve 1f9d3a7c20b4
  reconciler approve 1f9d3a7c20b4 --withdraw
"""
_UNDO_EXAMPLES = """\
What somebody changed since is left as it is, and listed. What was put back is left alone from then on
(`reconciler exceptions`).

\b
Examples:
  reconciler undo 17
  reconciler undo --company 42
"""
_HEALTH_NOTES = """\
Alive is a service whose last run began at most two and a half intervals ago, or is under way. Exit code 0: alive,
1: not.

\b
In a Dockerfile:
  HEALTHCHECK CMD ["reconciler", "health"]
"""
_DEMO_EXAMPLES = """\
\b
Examples:
  reconciler demo --companies 200 --contacts 1000 --drift 0.2
  reconciler demo --profile cloud          as slow as a real portal
"""
_SIMULATE_EXAMPLES = """\
With --json the first line says where it is: webhook_url, stats_url, host, port, tls_certificate.

\b
Example, in two terminals:
  reconciler simulate
  RECONCILER_PORTAL__WEBHOOK_URL=http://127.0.0.1:8024/rest/1/simulatedtoken0/ reconciler plan
"""

app = typer.Typer(
    name="reconciler",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the command line; the console script."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Cyrillic shows question marks, and no traceback
    try:
        code = app(prog_name="reconciler", standalone_mode=False)
    except TyperException as error:
        code = _misused(error)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Give a program that was started with `<&-` or `>&-` streams that lead nowhere.

    Python has None for them; and the next file that is opened, the journal, would become standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the whole program


def _misused(error: TyperException) -> int:
    """Say in one line what is wrong with the command line; return the exit code."""
    from reconciler.shell import Shell

    context = getattr(error, "ctx", None)
    path = context.command_path if context else "reconciler"
    # typer's own parsers put "Value error," before what a person needs to know.
    message = error.format_message().strip().rstrip(".").replace("Value error, ", "")
    message = message.removeprefix("Invalid value: ")
    joint = "" if message.endswith("?") else ";"
    return Shell(Common(json="--json" in sys.argv)).fail(f"{message}{joint} `{path} -h` tells more", error.exit_code)


@app.callback(invoke_without_command=True, help=_ABOUT)
def root(
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="One full sweep: change everything, then exit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --once: do not ask first.")] = False,
    approve: Digest = "",
    company: Company = None,
    owner: Owner = None,
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
    only_once |= {"--company": company, "--owner": owner, "--limit": limit}
    given = [name for name, value in only_once.items() if value]
    if ctx.invoked_subcommand is not None:
        if given:
            raise typer.BadParameter(f"{given[0]} does not go before the command {ctx.invoked_subcommand}")
        return
    if given and not once:
        raise typer.BadParameter(f"{given[0]} goes with --once")
    from reconciler import commands

    if once:
        filters = Filters(company=company, owner=owner, limit=limit)
        _run(common, lambda shell: commands.once(shell, filters, yes=yes, approve=approve))
    _run(common, commands.serve)


@app.command(epilog=_PLAN_EXAMPLES)
def plan(
    ctx: typer.Context,
    *,
    format: Shape = None,  # noqa: A002 - the option's name
    output: Output = None,
    company: Company = None,
    owner: Owner = None,
    limit: Limit = None,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Show what would change, and why; write nothing."""
    common = _merged(ctx, config, json, log_format, verbose)
    shape = _shape(common, format, output)
    filters = Filters(company=company, owner=owner, limit=limit)
    from reconciler import commands

    _run(common, lambda shell: commands.plan(shell, shape, output, filters))


@app.command()
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
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), lambda shell: commands.runs(shell, last))


@app.command(epilog=_SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's number, or `latest`.")],
    *,
    format: Shape = None,  # noqa: A002 - the option's name
    output: Output = None,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Show one run and each of its changes."""
    common = _merged(ctx, config, json, log_format, verbose)
    shape = _shape(common, format, output)
    if run != "latest" and not is_number(run):
        raise typer.BadParameter("a run is a number, or `latest`")
    from reconciler import commands

    _run(common, lambda shell: commands.show(shell, "latest" if run == "latest" else int(run), shape, output))


@app.command(epilog=_APPROVE_EXAMPLES)
def approve(
    ctx: typer.Context,
    digest: Annotated[str | None, typer.Argument(metavar="DIGEST", help="Of the plan; without it, what waits.")] = None,
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take an approval back.")] = False,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Let exactly these changes through, which the guard refused."""
    if withdraw and digest is None:
        raise typer.BadParameter("--withdraw needs the digest; `reconciler approve` lists them")
    from reconciler import decisions

    common = _merged(ctx, config, json, log_format, verbose)
    _run(common, lambda shell: decisions.approve(shell, digest, withdraw=withdraw))


@app.command(epilog=_UNDO_EXAMPLES)
def undo(
    ctx: typer.Context,
    run: Annotated[int | None, typer.Argument(metavar="RUN", parser=positive, help="A run's number.")] = None,
    *,
    contact: Contact = None,
    company: Company = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    approve: Digest = "",
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Put back what a run changed, where it still stands as we left it."""
    if run is None and contact is None and company is None:
        raise typer.BadParameter("say what: a run's number, --contact or --company")
    from reconciler import commands
    from reconciler.planning import Undo

    what = Undo(run=run, contact=contact, company=company)
    common = _merged(ctx, config, json, log_format, verbose)
    _run(common, lambda shell: commands.undo(shell, what, yes=yes, approve=approve))


exceptions = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
app.add_typer(exceptions, name="exceptions")


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
    ctx.obj = common = _merged(ctx, config, json, log_format, verbose)
    if ctx.invoked_subcommand is None:
        from reconciler import decisions

        _run(common, decisions.exceptions)


@exceptions.command()
def release(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", parser=positive, help="Of the exception, or of its contact.")],
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look after a contact again."""
    from reconciler import decisions

    common = _merged(ctx, config, json, log_format, verbose)
    _run(common, lambda shell: decisions.release(shell, number))


@app.command(short_help="Look whether all is right; one line each, with the way out.")
def check(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look at settings, address, database, clock, rights and side effects: one line each, with the way out.

    The portal is only read. A warning is for you to judge; exit code 1 says that something must be put right.
    """
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), commands.check)


@app.command(short_help="Tell whether the service is alive; for containers.", epilog=_HEALTH_NOTES)
def health(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Tell by the exit code whether the service is alive; for containers. Asks the journal only."""
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), commands.health)


@app.command(epilog=_DEMO_EXAMPLES)
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
    common = _merged(ctx, config, json, log_format, verbose)
    spec = {
        "companies": companies,
        "contacts": contacts,
        "owners": owners,
        "skew": skew,
        "gaps": gaps,
        "drift": drift,
        "seed": seed,
    }
    from reconciler import commands

    _run(common, lambda shell: commands.demo(shell, spec, profile.value))


@app.command(short_help="Serve the embedded portal to other programs.", epilog=_SIMULATE_EXAMPLES)
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
    profile: Pace = Profile.INSTANT,
    config: Unused = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Serve the embedded portal over HTTP or HTTPS to other programs, until Ctrl-C or SIGTERM."""
    common = _merged(ctx, config, json, log_format, verbose)
    spec = {
        "companies": companies,
        "contacts": contacts,
        "owners": owners,
        "skew": skew,
        "gaps": gaps,
        "drift": drift,
        "seed": seed,
    }
    from reconciler import commands

    def work(shell: Shell) -> int:
        return commands.simulate(shell, spec, profile.value, limits=limits.value, host=host, port=port, tls=tls)

    _run(common, work)


def _merged(ctx: typer.Context, config: Path | None, json: bool, log_format: LogFormat | None, verbose: bool) -> Common:
    """Put the options before and after the command's name together; after wins."""
    before: Common = ctx.obj
    return replace(
        before,
        config=config or before.config,
        json=json or before.json,
        log_format=log_format or before.log_format,
        verbose=verbose or before.verbose,
    )


def _shape(common: Common, wanted: Format | None, output: Path | None) -> Format:
    if common.json and wanted not in {None, Format.JSON}:
        raise typer.BadParameter("--json and --format say different things; give one of them")
    if common.json:
        return Format.JSON
    ending = output.suffix.lower() if output else ""
    return wanted or Format(ENDINGS.get(ending, "text"))


def _run(common: Common, work: Callable[[Shell], int]) -> None:
    """Do the work and end with its exit code."""
    from reconciler.shell import Shell

    raise typer.Exit(Shell(common).guard(work))
