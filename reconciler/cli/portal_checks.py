"""Whether the settings fit the portal, for `reconciler check`.

What a setting needs only on some day (a successor, a scope, the head of a department) is looked up before that day.
The portal is only read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.cli.exclusion_checks import LISTED, exclusions_named, judge_exclusions, some_of
from reconciler.core.policy import DismissedOwner, fit
from reconciler.core.sanitize import display
from reconciler.errors import IncompleteReadError, MissingScopeError, PortalError
from reconciler.portal.diagnosis import Finding, State
from reconciler.portal.read.references import Named, look_up
from reconciler.reporting.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.model import User
    from reconciler.portal.read.references import Found
    from reconciler.portal.rest.client import Client
    from reconciler.settings.model import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A setting that asks for a scope besides those that every run needs."""

    setting: str
    scope: str
    purpose: str
    used: Callable[[Settings], bool]


#: A new setting that needs a scope of its own is a line here.
NEEDS = (
    Need(
        setting="policy.dismissed_owner",
        scope="department",
        purpose="find heads of departments",
        used=lambda settings: settings.policy.dismissed_owner is DismissedOwner.HEAD,
    ),
    Need(
        setting="notify.users",
        scope="im",
        purpose="send notices",
        used=lambda settings: bool(settings.notify.users),
    ),
)
#: What may be refused for want of a scope -> that scope, where it is not crm.
_SCOPES = {"users": "user_basic", "departments": "department"}
#: What may be refused -> what a person calls it.
_NOUNS = {
    "companies.ids": "companies",
    "companies.types": "types of companies",
    "companies.field": "fields of companies",
    "contacts.ids": "contacts",
    "contacts.types": "types of contacts",
    "contacts.field": "fields of contacts",
}


def settings_in_portal(client: Client, settings: Settings) -> Iterator[Finding]:
    """Yield what the portal shows of each setting that names something in it."""
    named = _named(settings)
    needs = [need for need in NEEDS if need.used(settings)]
    if named == Named() and not needs:
        return
    try:
        found = look_up(client, named)
    except (PortalError, IncompleteReadError) as error:
        sentence = f"what they name could not be looked up ({error.__cause__ or error}); check again later"
        yield Finding(subject="settings in the portal", state=State.FAILED, sentence=sentence)
        return
    if "scopes" not in found.refused:
        yield from (_need(need, found) for need in needs)
    yield from _people(settings, found)
    yield from judge_exclusions(settings, found)
    yield from _refusals(needs, found)


def _named(settings: Settings) -> Named:
    """Return all that the settings name in the portal."""
    policy, named = settings.policy, exclusions_named(settings)
    people = {*named.users, *settings.notify.users, policy.successor or 0} - {0}
    return replace(named, users=frozenset(people), heads=policy.dismissed_owner is DismissedOwner.HEAD)


def _need(need: Need, found: Found) -> Finding:
    subject = f"scope {need.scope}"
    if need.scope in found.scopes:
        sentence = f"there: {need.setting} needs it to {need.purpose}"
        return Finding(subject=subject, state=State.OK, sentence=sentence)
    sentence = f"missing: {need.setting} needs it to {need.purpose}; add it to the webhook in the portal"
    return Finding(subject=subject, state=State.FAILED, sentence=sentence)


def _refusals(needs: list[Need], found: Found) -> Iterator[Finding]:
    """Say what could not be looked up, but for a missing scope that another line names."""
    named = {"user_basic", *(need.scope for need in needs)}
    for what, refusal in found.refused.items():
        scope = _SCOPES.get(what, "crm") if isinstance(refusal, MissingScopeError) else ""
        if scope in named:
            continue
        sentence = f"what the settings name of these could not be looked up ({refusal}); look yourself"
        if scope:
            sentence = f"cannot be looked up without the scope {scope}; add it to the webhook, or look yourself"
        yield Finding(subject=f"settings: {_NOUNS.get(what, what)}", state=State.WARNING, sentence=sentence)


def _people(settings: Settings, found: Found) -> Iterator[Finding]:
    """Judge the successor, the heads, and who gets notices."""
    successor, receivers = settings.policy.successor, settings.notify.users
    if successor and "users" not in found.refused:
        user = found.users.get(successor)
        if user is not None and fit(user):
            yield Finding(subject="successor", state=State.OK, sentence=f"{_who(user)} is active and may own records")
        else:
            sentence = (
                f"{_why_unfit(successor, found)}, so what dismissed owners had is left alone; name an active employee"
            )
            yield Finding(subject="successor", state=State.FAILED, sentence=sentence)
    if settings.policy.dismissed_owner is DismissedOwner.HEAD and found.departments:
        yield _heads(found)
    if receivers and "users" not in found.refused:
        gone = [number for number in receivers if not (number in found.users and found.users[number].active)]
        if not gone:
            sentence = f"{counted(len(receivers), 'user')}, active"
            yield Finding(subject="notify.users", state=State.OK, sentence=sentence)
        else:
            reached = len(receivers) > len(gone)
            reasons = ", ".join(_why_unfit(number, found) for number in gone[:LISTED])
            effect = "the others get the notices" if reached else "nobody gets notices in Bitrix24"
            state = State.WARNING if reached else State.FAILED
            yield Finding(subject="notify.users", state=state, sentence=f"{reasons}: {effect}; name active users")


def _heads(found: Found) -> Finding:
    all_, without = len(found.departments), found.without_head
    if not without:
        sentence = f"each of {counted(all_, 'department')} has a head, there or above, who may own records"
        return Finding(subject="heads", state=State.OK, sentence=sentence)
    sentence = (
        f"{len(without):,} of {counted(all_, 'department')} ({some_of(without, len(without))}) have no head, there or "
        "above, who may own records: where somebody leaves there, contacts are left alone; name heads in the portal"
    )
    state = State.FAILED if len(without) == all_ else State.WARNING
    return Finding(subject="heads", state=state, sentence=sentence)


def _who(user: User) -> str:
    return f"user {user.id} ({display(user.name)[:100]})"


def _why_unfit(number: int, found: Found) -> str:
    user = found.users.get(number)
    if user is None:
        return f"the portal shows no user {number}"
    who = _who(user)
    return f"{who} is in no department" if user.active else f"{who} is dismissed"
