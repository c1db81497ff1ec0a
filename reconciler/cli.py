"""The command line (DESIGN 10): a contract that scripts rely on.

Only options stand here. What a command does is in `reconciler.commands`, imported when it runs, so that `--help`
and a mistyped option answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.shell import Shell

app = typer.Typer(
    name="reconciler",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


class LogFormat(StrEnum):
    """How logs look on standard error."""

    CONSOLE = "console"
    JSON = "json"


class Format(StrEnum):
    """How a plan or a run is shown."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    HTML = "html"


class Profile(StrEnum):
    """How long the embedded portal takes."""

    INSTANT = "instant"
    CLOUD = "cloud"
    SLOW = "slow"


class Limits(StrEnum):
    """How much the embedded portal lets through."""

    CLOUD = "cloud"
    ENTERPRISE = "enterprise"
    SELF_HOSTED = "self-hosted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Options that every command takes, before or after its name."""

    config: Path | None = None
    json: bool = False
    log_format: LogFormat | None = None
    verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which part of the portal a command is about."""

    company: int | None
    owner: int | None
    limit: int | None


Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file; default ./config.toml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Logs = Annotated[LogFormat | None, typer.Option("--log-format", help="Logs on standard error; default: by terminal.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log more; show tracebacks.")]
Company = Annotated[int | None, typer.Option("--company", min=1, metavar="ID", help="Only this company's contacts.")]
Owner = Annotated[int | None, typer.Option("--owner", min=1, metavar="ID", help="Only companies of this owner.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most N changes.")]
Shape = Annotated[Format | None, typer.Option("--format", help="Default: text.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write there, not to standard output.")]
Companies = Annotated[int, typer.Option("--companies", min=0, metavar="N", help="Companies in the portal.")]
Contacts = Annotated[int, typer.Option("--contacts", min=0, metavar="N", help="Contacts in the portal.")]
Owners = Annotated[int, typer.Option("--owners", min=1, metavar="N", help="Employees who own companies.")]
Skew = Annotated[float, typer.Option("--skew", metavar="SHARE", help="Companies held by a fifth of the owners.")]
Gaps = Annotated[float, typer.Option("--gaps", metavar="SHARE", help="Missing IDs.")]
Drift = Annotated[float, typer.Option("--drift", metavar="SHARE", help="Contacts with the wrong owner.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Where random choices start.")]
Pace = Annotated[Profile, typer.Option("--profile", help="How long the portal takes.")]
PortalLimits = Annotated[Limits, typer.Option("--limits", help="How much the portal lets through.")]


def main() -> None:
    """Run the command line; the console script."""
    app(prog_name="reconciler")


def _version(wanted: bool) -> None:
    if wanted:
        from reconciler import __version__

        typer.echo(f"reconciler {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="One full sweep: fix everything, then exit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --once: do not ask.")] = False,
    company: Company = None,
    owner: Owner = None,
    limit: Limit = None,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,  # noqa: ARG001 - its callback has ended the program
) -> None:
    """Keep every Bitrix24 contact with the owner of its company.

    Without a command: the service, a sweep now, then one every ten minutes.

    Start with `reconciler demo`, which needs no portal. For yours, set RECONCILER_PORTAL__WEBHOOK_URL, then:
    `reconciler check`, `reconciler plan`, `reconciler --once`.

    Exit codes: 0 done or in sync, 1 failed or incomplete, 2 usage or settings, 3 refused, 4 finished but some
    changes denied, failed or unknown, 5 another run is at work.
    """
    common = Common(config=config, json=json, log_format=log_format, verbose=verbose)
    ctx.obj = common
    only_once = {"--once": once, "--yes": yes, "--company": company, "--owner": owner, "--limit": limit}
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
        _run(common, lambda shell: commands.once(shell, filters, yes=yes))
    _run(common, commands.serve)


@app.command()
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
    shape = _shape(common, format)
    filters = Filters(company=company, owner=owner, limit=limit)
    from reconciler import commands

    _run(common, lambda shell: commands.plan(shell, shape, output, filters))


@app.command()
def runs(
    ctx: typer.Context,
    *,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="How many.")] = 20,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """List what was done, newest first."""
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), lambda shell: commands.runs(shell, last))


@app.command()
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
    if run != "latest" and not (run.isascii() and run.isdigit()):
        raise typer.BadParameter("a run is a number, or `latest`")
    shape = _shape(common, format)
    from reconciler import commands

    _run(common, lambda shell: commands.show(shell, "latest" if run == "latest" else int(run), shape, output))


@app.command()
def check(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Look at settings, address, rights, clock, database and side effects: one line each, with the way out."""
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), commands.check)


@app.command()
def health(
    ctx: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Tell by the exit code whether the service is alive; for containers."""
    from reconciler import commands

    _run(_merged(ctx, config, json, log_format, verbose), commands.health)


@app.command()
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
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Tell the whole story on an embedded portal; no account needed."""
    common = _merged(ctx, None, json, log_format, verbose)
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


@app.command()
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
    json: Json = False,
    log_format: Logs = None,
    verbose: Verbose = False,
) -> None:
    """Serve the embedded portal to other programs until a signal comes."""
    common = _merged(ctx, None, json, log_format, verbose)
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


def _shape(common: Common, wanted: Format | None) -> Format:
    if common.json and wanted not in {None, Format.JSON}:
        raise typer.BadParameter("--json and --format say different things; give one of them")
    return Format.JSON if common.json else wanted or Format.TEXT


def _run(common: Common, work: Callable[[Shell], int]) -> None:
    """Do the work and end with its exit code."""
    from reconciler.shell import Shell

    raise typer.Exit(Shell(common).guard(work))
