"""What differs from portal to portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from reconciler.simulator.calls import Role
    from reconciler.simulator.workflows import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalOptions:
    """What differs from portal to portal, and between the documentation and measured portals."""

    #: The webhook: `/rest/<user_id>/<token>/`. Keep it a dummy, it appears in logs of clients.
    token: str = "simulatedtoken0"  # noqa: S105 - a dummy
    user_id: int = 1
    #: The access token of a local application of the same user, for `/rest/<method>`; empty for none (F1.1, F7).
    access_token: str = "simulatedaccess0"  # noqa: S105 - a dummy
    access_token_expired: bool = False
    scopes: tuple[str, ...] = ("crm", "user")
    #: What the webhook's user may do when no administrator: all, own_only, read_only, none.
    role: Role = "all"
    #: Which code carries out `crm.*.update`: the older one always writes, the newer one always notifies (F4, F17).
    update_path: Literal["legacy", "factory"] = "legacy"
    #: Workflows; those with AUTO_EXECUTE start by themselves, and `workflows_started` counts them (F17).
    workflow_templates: tuple[Template, ...] = ()
    #: Statuses of refused webhooks: 401 as measured, or those of the documentation (F6, DISAGREE).
    auth_statuses: Literal["measured", "documented"] = "measured"
    #: The server's zone in hours; all dates are written in it.
    utc_offset: float = 3
    #: The web server cuts a request that takes longer (F5.3).
    request_seconds: float = 60.0
    #: Largest body in bytes; a stock web server takes one megabyte (F17).
    max_body: int = 1_048_576
    #: PHP drops what is beyond, in form bodies and in each command of a batch (F1.3).
    max_input_vars: int = 1000
    #: Whether a batch replaces `$result[...]`; without it macros are left as text.
    macros: bool = True
    #: On somebody's own server: without the headers `X-Bitrix-*`.
    self_hosted: bool = False
    https_required: bool = False
    #: The host the portal was renamed to: 302 to the same path there (F6).
    moved_to: str | None = None
    #: The portal is being updated: HTML 502 to everybody.
    maintenance: bool = False
