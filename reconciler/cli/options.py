"""What options mean: their names, values and help; which command takes which is in `reconciler.cli.app`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from reconciler import __version__

#: How a plan or a run is written into a file whose name ends so.
ENDINGS = {"": "text", ".txt": "text", ".json": "json", ".md": "markdown", ".csv": "csv"}
ENDINGS |= {".html": "html", ".htm": "html"}
#: Digits of a number that fits into any database, and of no longer one.
_MOST_DIGITS = 18


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


class UpdatePath(StrEnum):
    """Which of its two codes the embedded portal updates contacts and companies with."""

    LEGACY = "legacy"
    FACTORY = "factory"


class ExceptionKind(StrEnum):
    """Why a contact is left alone until it is released; a test compares them with the journal's."""

    KEPT = "kept"
    QUARANTINED = "quarantined"
    RESPECTED = "respected"
    UNDONE = "undone"


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

    #: Empty: all.
    companies: tuple[int, ...] = ()
    owners: tuple[int, ...] = ()
    limit: int | None = None

    @classmethod
    def of(cls, companies: list[int] | None, owners: list[int] | None, limit: int | None) -> Filters:
        """Make the filters of what was typed."""
        return cls(companies=tuple(companies or ()), owners=tuple(owners or ()), limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFilters:
    """Which exceptions a command is about: those that match each of these; an empty one matches all."""

    #: Numbers of contacts; `release` takes those of exceptions as well.
    numbers: tuple[int, ...] = ()
    kinds: tuple[ExceptionKind, ...] = ()
    companies: tuple[int, ...] = ()
    runs: tuple[int | Literal["latest"], ...] = ()

    @classmethod
    def of(
        cls,
        numbers: list[int] | None,
        kinds: list[ExceptionKind] | None,
        companies: list[int] | None,
        runs: list[str] | None,
    ) -> ExceptionFilters:
        """Make the filters of what was typed. Raises BadParameter."""
        return cls(
            numbers=tuple(numbers or ()),
            kinds=tuple(kinds or ()),
            companies=tuple(companies or ()),
            runs=tuple(map(run_name, runs or ())),
        )


def positive(text: str | int) -> int:
    """Read a number from 1 on; a parser of our own, because typer's shows its range in each line of help."""
    number = int(text) if is_number(str(text)) else 0
    if number < 1:
        raise typer.BadParameter(f"{text} is no number from 1 on")
    return number


def run_name(text: str) -> int | Literal["latest"]:
    """Read the name of a run: its number, or `latest`."""
    if text == "latest":
        return "latest"
    if not is_number(text) or int(text) < 1:
        raise typer.BadParameter(f"a run is a number from 1 on, or `latest`; {text} is neither")
    return int(text)


def is_number(text: str) -> bool:
    """Whether this is a number, and not so long that no database takes it."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def number(name: str, text: str, metavar: str = "N") -> Any:
    """Describe an option that takes a number from 1 on."""
    return typer.Option(name, help=text, metavar=metavar, parser=positive)


def _file(name: str, text: str) -> Any:
    # Whether it can be read or written is found out, and told, where it is done.
    return typer.Option(name, help=text, metavar="FILE", readable=False)


def _choice(name: str, choices: type[StrEnum], text: str) -> Any:
    return typer.Option(name, help=text, metavar="|".join(choices))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reconciler {__version__}")
        raise typer.Exit


Config = Annotated[Path | None, _file("--config", "Settings; default: ./config.toml where there is one.")]
Unused = Annotated[Path | None, _file("--config", "Accepted like everywhere, and not used.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Logs = Annotated[LogFormat | None, _choice("--log-format", LogFormat, "Default: console on a terminal, else json.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log all there is, and show tracebacks.")]
Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")]
Company = Annotated[int | None, number("--company", "Only the contacts of this company.", "ID")]
OnlyCompanies = Annotated[list[int] | None, number("--company", "Only this company; repeat it for more.", "ID")]
OnlyOwners = Annotated[list[int] | None, number("--owner", "Only this owner's companies; repeat it for more.", "ID")]
Contact = Annotated[int | None, number("--contact", "Only this contact.", "ID")]
OnlyContacts = Annotated[list[int] | None, number("--contact", "Only this contact; repeat it for more.", "ID")]
OnlyKinds = Annotated[
    list[ExceptionKind] | None, _choice("--kind", ExceptionKind, "Only this kind; repeat it for more.")
]
OfCompanies = Annotated[
    list[int] | None, number("--company", "Only those made at this company; repeat it for more.", "ID")
]
OfRuns = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="RUN", help="Only those made by this run or by its undo; a number, or `latest`."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the portal, so show no names of its records.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's number, or `latest`.")]
MaybeRun = Annotated[str | None, typer.Argument(metavar="RUN", help="A run's number, or `latest`.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without a question.")]
Digest = Annotated[str, typer.Option("--approve", metavar="DIGEST", help="Let just these changes through the guard.")]
SamePortal = Annotated[
    bool,
    typer.Option(
        "--accept-portal", help="Go on although the portal has moved, looks like another one, or has a new name."
    ),
]
Limit = Annotated[int | None, number("--limit", "At most so many changes.")]
Standing = Annotated[bool, typer.Option("--standing", help="Only the work list of what is left alone, as CSV.")]
Shape = Annotated[Format | None, _choice("--format", Format, "Default: by the ending of the file, else text.")]
Output = Annotated[Path | None, _file("--output", "Write there, not to standard output.")]
Companies = Annotated[int, typer.Option("--companies", min=0, metavar="N", help="Companies in the portal.")]
Contacts = Annotated[int, typer.Option("--contacts", min=0, metavar="N", help="Contacts in the portal.")]
Owners = Annotated[int, number("--owners", "Employees who own companies.")]
Skew = Annotated[float, typer.Option("--skew", metavar="SHARE", help="Companies held by a fifth of the owners.")]
Gaps = Annotated[float, typer.Option("--gaps", metavar="SHARE", help="IDs that are missing.")]
Drift = Annotated[float, typer.Option("--drift", metavar="SHARE", help="Contacts with the wrong owner.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Another number: other names and links.")]
Pace = Annotated[Profile, _choice("--profile", Profile, "How long the portal takes.")]
Dismissed = Annotated[int, typer.Option("--dismissed", min=0, metavar="N", help="Owners who have left.")]
Scopes = Annotated[str, typer.Option("--scopes", metavar="A,B", help="What the webhook may do.")]
Updates = Annotated[UpdatePath, _choice("--update-path", UpdatePath, "factory: as newer portals update.")]
PortalLimits = Annotated[Limits, _choice("--limits", Limits, "How much the portal lets through.")]


class Command(TyperCommand):
    """A command that takes each option once, except those that are lists: typer itself drops all but the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repeated(self, ctx, args)
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The same of a command that has commands of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repeated(self, ctx, args)
        return super().parse_args(ctx, args)


def _refuse_repeated(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> None:
    _, _, given = command.make_parser(ctx).parse_args(args=[*args])
    once = [one for one in given if isinstance(one, TyperOption) and not (one.is_flag or one.multiple)]
    for option in once:
        if once.count(option) > 1:
            raise typer.BadParameter(f"{option.opts[0]} is given more than once", ctx=ctx)


def merged(ctx: typer.Context, config: Path | None, json: bool, log_format: LogFormat | None, verbose: bool) -> Common:
    """Put the options before and after the command's name together; after wins."""
    before: Common = ctx.obj
    return replace(
        before,
        config=config or before.config,
        json=json or before.json,
        log_format=log_format or before.log_format,
        verbose=verbose or before.verbose,
    )


def shape_of(common: Common, wanted: Format | None, output: Path | None) -> Format:
    """Return how a document is shown: as asked for, else as the name of its file ends. Raises BadParameter."""
    if common.json and wanted not in {None, Format.JSON}:
        raise typer.BadParameter("--json and --format say different things; give one of them")
    if common.json:
        return Format.JSON
    if wanted is not None:
        return wanted
    ending = output.suffix if output else ""
    if ending.lower() not in ENDINGS:
        known = ", ".join(filter(None, ENDINGS))
        raise typer.BadParameter(f"--output: {ending} is none of {known}; name the file otherwise, or give --format")
    return Format(ENDINGS[ending.lower()])


def work_list(common: Common, wanted: Format | None) -> Format:
    """Return how the work list is written, which is CSV. Raises BadParameter where something else is asked for."""
    if common.json or wanted not in {None, Format.CSV}:
        raise typer.BadParameter("--standing writes CSV; --json and --format say otherwise")
    return Format.CSV
