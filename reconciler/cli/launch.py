"""How a command starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.cli.context import Shell
    from reconciler.cli.options import Common


def run_with(common: Common, work: Callable[[Shell], int]) -> None:
    """Do the work and end with its exit code."""
    from reconciler.cli.context import Shell

    raise typer.Exit(Shell(common).guard(work))
