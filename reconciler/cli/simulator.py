"""The commands around the embedded portal: `demo` and `simulate`."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.cli.context import has_colors
from reconciler.cli.signals import in_foreground
from reconciler.errors import Stopped, UsageError

if TYPE_CHECKING:
    from reconciler.cli.context import Shell
    from reconciler.simulator.options import PortalOptions


def demo(shell: Shell, spec: dict[str, Any], profile: str) -> int:
    """Tell the story on an embedded portal."""
    from reconciler.cli.demo import tell

    shell.log("error")

    said = False

    def say(paragraph: str) -> None:
        nonlocal said
        with progress.aside():
            shell.say(("\n" if said else "") + paragraph.strip("\n"))
        said = True

    progress = shell.progress()

    def work() -> dict[str, Any]:
        with progress:
            return tell(
                spec,
                profile,
                clock=shell.clock,
                say=_nothing if shell.json else say,
                progress=progress,
                width=shell.width,
                color=has_colors(sys.stdout),
            )

    totals = in_foreground(work, shell.clock)
    if shell.json:
        shell.answer(totals, str)
    # What the worker left alone, with its reason, is all that may be left.
    return 0 if totals["remaining_drift"] == totals["standing"] else 1


def _nothing(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a portal is served."""

    host: str
    port: int
    tls: bool


def differences(scopes: str, update_path: Any) -> PortalOptions:
    """Return what differs from other portals; `scopes` are names with commas between them. Raises UsageError."""
    from reconciler.simulator.calls import SCOPES
    from reconciler.simulator.options import PortalOptions

    names = tuple(name.strip() for name in scopes.split(",") if name.strip())
    unknown = [name for name in names if name not in SCOPES]
    if unknown:
        raise UsageError(f"There is no scope {', '.join(unknown)}; choose from: {', '.join(SCOPES)}.")
    return PortalOptions(scopes=names, update_path=update_path)


def simulate(
    shell: Shell, spec: dict[str, Any], profile: str, options: PortalOptions, *, limits: Any, where: Where
) -> int:
    """Serve the embedded portal until a signal comes."""
    from reconciler.simulator.assembly import build
    from reconciler.simulator.seed import SeedSpec, describe
    from reconciler.simulator.server import serve as serve_portal

    shell.log("warning")
    seed = SeedSpec(**spec)

    def work() -> None:
        portal = build(seed, limits=limits, profile=profile, options=options)
        with serve_portal(portal, host=where.host, port=where.port, tls=where.tls) as address:
            certificate = str(address.tls_certificate) if address.tls_certificate else None
            if shell.json:
                document = {
                    "schema": 1,
                    "webhook_url": address.webhook_url,
                    "stats_url": address.stats_url,
                    "host": address.host,
                    "port": address.port,
                    "tls_certificate": certificate,
                }
                shell.say_json(document, indent=None)  # one line: whoever started us reads until its end
            else:
                lines = [describe(seed), "", f"webhook address  {address.webhook_url}"]
                lines.append(f"statistics       {address.stats_url}")
                lines += [f"certificate      {certificate}"] if certificate else []
                shell.say("\n".join([*lines, "", "Serving; Ctrl-C ends it."]))
            while True:
                shell.clock.sleep(3600)

    with suppress(Stopped):
        in_foreground(work, shell.clock)
    return 0
