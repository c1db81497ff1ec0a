"""Whether drift that was left alone was left for a reason that holds, by the portal's tables and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.model import Standing
from reconciler.core.policy import DismissedOwner, MultiCompany, PersonEdit, Scope

if TYPE_CHECKING:
    from chaos.scene import Scene


def explained(scene: Scene, contact: int, company: int, owner: int, reason: Standing | None) -> str:
    """Return what is wrong with this reason for leaving a drifted contact alone; empty where it holds."""
    wanted = wanted_owner(scene, company)
    if reason is None:
        return "" if wanted == owner else f"nobody says why, and {wanted} was wanted"
    return "" if _holds(scene, contact, company, owner, reason, wanted) else f"{reason.value} is not true"


def wanted_owner(scene: Scene, company: int) -> int:
    """Return who should own the contacts of a company; 0 where nobody can be said."""
    policies = scene.setup.rules.policies
    owner = scene.owner_of_company(company)
    if owner == 0 or scene.fit(owner):
        return owner
    if policies.dismissed_owner is DismissedOwner.SUCCESSOR:
        return policies.successor if scene.fit(policies.successor) else 0
    if policies.dismissed_owner is DismissedOwner.HEAD:
        row = scene.portal.database.row("SELECT departments FROM user WHERE id = ?", (owner,))
        head = scene.portal.database.row("SELECT head FROM department")
        return int(head["head"]) if row and head and row["departments"] != "[]" and scene.fit(head["head"]) else 0
    return 0


def _holds(  # noqa: C901, PLR0911, PLR0917 - one line for each reason
    scene: Scene, contact: int, company: int, owner: int, reason: Standing, wanted: int
) -> bool:
    setup = scene.setup
    policies = setup.rules.policies
    company_owner = scene.owner_of_company(company)
    touches = [touch for touch in scene.touches if touch.entity == "contact" and touch.id == contact]
    deeds = [deed for deed in scene.deeds if deed.contact == contact]
    match reason:
        case Standing.OWNER_MISSING:
            return company_owner == 0
        case Standing.OWNER_DISMISSED | Standing.OWNER_NOT_EMPLOYEE:
            return policies.dismissed_owner is DismissedOwner.REPORT and not scene.fit(company_owner)
        case Standing.SUCCESSOR_UNFIT:
            return policies.dismissed_owner is not DismissedOwner.REPORT and not wanted
        case Standing.EXCLUDED:
            return contact in policies.leave_contacts or bool(policies.leave_owners & {owner, company_owner})
        case Standing.SEVERAL_COMPANIES:
            return policies.multi_company is MultiCompany.REPORT and len(_owners_of(scene, contact)) > 1
        case Standing.OUT_OF_SCOPE:
            return policies.scope is not Scope.ALL
        case Standing.SETTLING:
            return bool(policies.settle) and scene.portal.wall() - _modified(scene, contact) <= 300
        case Standing.QUARANTINED:
            return len(deeds) >= setup.rules.patience.times - 1
        case Standing.RESPECTED:
            return policies.person_edit is PersonEdit.RESPECT and bool(touches or deeds or scene.edited.get(contact))
        case Standing.UNDONE:
            # Where a person had put it back already, the undo found nothing to write.
            return any(deed.run.undo for deed in deeds) or (bool(touches) and _something_undone(scene))
        case Standing.COMPANY_VANISHED:
            return any(touch.entity == "company" and touch.what in {"deleted", "merged"} for touch in scene.touches)
    return False


def _something_undone(scene: Scene) -> bool:
    return any(run.undo for home in scene.homes for run in home.runs)


def _owners_of(scene: Scene, contact: int) -> set[int]:
    rows = scene.portal.database.rows(
        "SELECT DISTINCT assigned_by_id FROM company JOIN contact_company ON company_id = company.id"
        " WHERE contact_id = ? AND is_my_company = 'N'",
        (contact,),
    )
    return {row["assigned_by_id"] for row in rows}


def _modified(scene: Scene, contact: int) -> int:
    row = scene.portal.database.row("SELECT date_modify FROM contact WHERE id = ?", (contact,))
    return int(row["date_modify"]) if row else 0
