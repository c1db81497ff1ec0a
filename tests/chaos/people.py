"""What people and other programs do in the portal while the worker is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.drawing import COMPANY_OWNERS, OWNERS
from chaos.scene import LEAVER
from support.portal_fixture import ADMIN
from support.world import CLEO, CONTACT_LIST, CONTACT_UPDATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from chaos.scene import Scene


def some_act(random: Random) -> Callable[[Scene, Random], None]:
    """Choose what somebody does; whom it meets is chosen when it happens."""
    return random.choices(list(ACTS), weights=list(ACTS.values()))[0]


def give_contact(scene: Scene, random: Random) -> None:
    """Set a contact's owner by hand."""
    contact = _some(scene, random, "contact")
    if contact:
        scene.portal.people.edit_contact(contact, CLEO, assigned_by_id=random.choice(OWNERS))


def hand_over_company(scene: Scene, random: Random) -> None:
    """Give a company to somebody else."""
    company = _some(scene, random, "company")
    if company:
        scene.portal.people.edit_company(company, ADMIN, assigned_by_id=random.choice(COMPANY_OWNERS))


def edit_something_else(scene: Scene, random: Random) -> None:
    """Save a contact's card with another job title: its owner stays, its date moves."""
    contact = _some(scene, random, "contact")
    if contact:
        scene.portal.people.edit_contact(contact, CLEO, post=f"post {random.randint(1, 9)}")


def link_on_company(scene: Scene, random: Random) -> None:
    """Add a contact on a company's card, which makes that one primary."""
    contact, company = _some(scene, random, "contact"), _some(scene, random, "company")
    if contact and company:
        scene.portal.people.bind_from_company(company, contact)
        scene.touch("contact", contact, "link")


def link_on_contact(scene: Scene, random: Random) -> None:
    """Add a company on a contact's card."""
    contact, company = _some(scene, random, "contact"), _some(scene, random, "company")
    if contact and company:
        scene.portal.people.bind(contact, company, primary=random.random() < 0.5)
        scene.touch("contact", contact, "link")


def unlink(scene: Scene, random: Random) -> None:
    """Remove a contact's own company."""
    contact = _some(scene, random, "contact")
    company = (scene.contact(contact) or (0, 0))[0] if contact else 0
    if company:
        scene.portal.people.unbind(contact, company)
        scene.touch("contact", contact, "link")


def delete_contact(scene: Scene, random: Random) -> None:
    """Move a contact to the recycle bin; sometimes take it out again, with a new number."""
    contact = _some(scene, random, "contact")
    if contact:
        scene.portal.people.delete_contact(contact)
        scene.touch("contact", contact, "deleted")
        if random.random() < 0.5:
            scene.touch("contact", scene.portal.people.restore_contact(contact), "restored")


def delete_company(scene: Scene, random: Random) -> None:
    """Move a company to the recycle bin; sometimes take it out again, with a new number."""
    company = _some(scene, random, "company")
    if company:
        _touch_contacts_of(scene, company)
        scene.portal.people.delete_company(company)
        scene.touch("company", company, "deleted")
        if random.random() < 0.6:
            again = scene.portal.people.restore_company(company)
            scene.touch("company", again, "restored")
            _touch_contacts_of(scene, again)


def merge_companies(scene: Scene, random: Random) -> None:
    """Merge a company into another one."""
    duplicate, survivor = _some(scene, random, "company"), _some(scene, random, "company")
    if duplicate and survivor and duplicate != survivor:
        _touch_contacts_of(scene, duplicate)
        _touch_contacts_of(scene, survivor)
        scene.portal.people.merge_companies(duplicate, survivor)
        scene.touch("company", duplicate, "merged")


def create_contact(scene: Scene, random: Random) -> None:
    """Add a contact to a company, owned by whoever adds it."""
    company = _some(scene, random, "company")
    if company:
        contact = scene.portal.people.create_contact(random.choice(OWNERS), company)
        scene.touch("contact", contact, "created")


def dismiss(scene: Scene, _random: Random) -> None:
    """Let an employee go."""
    if scene.fit(LEAVER):
        scene.portal.people.dismiss_user(LEAVER)
        scene.dismissed[LEAVER] = scene.clock.monotonic()


def fill_bucket(scene: Scene, random: Random) -> None:
    """Let another program on the same host use the portal's bucket up."""
    scene.others_at_work = True
    for _ in range(random.choice([5, 20, 60])):
        if scene.portal.bucket is not None:
            scene.portal.bucket.admit("127.0.0.1")


def use_up_seconds(scene: Scene, random: Random) -> None:
    """Let another program use the seconds of a method."""
    scene.others_at_work = True
    if scene.portal.meter is not None:
        method = random.choice([CONTACT_UPDATE, CONTACT_LIST])
        scene.portal.meter.record(method, random.choice([10.0, 100.0, 500.0]), in_batch=False)


def rename_portal(scene: Scene, _random: Random) -> None:
    """Give the portal another address."""
    scene.renamed = True


ACTS: dict[Callable[[Scene, Random], None], int] = {
    give_contact: 8,
    hand_over_company: 6,
    edit_something_else: 1,
    link_on_company: 3,
    link_on_contact: 2,
    unlink: 1,
    delete_contact: 2,
    delete_company: 1,
    merge_companies: 1,
    create_contact: 2,
    dismiss: 1,
    fill_bucket: 1,
    use_up_seconds: 1,
    rename_portal: 1,
}


def _some(scene: Scene, random: Random, table: str) -> int:
    """Return a record that is there; 0 for none."""
    rows = scene.portal.database.rows(f"SELECT id FROM {table} ORDER BY id")  # noqa: S608 - a table's name
    return int(random.choice(rows)["id"]) if rows else 0


def _touch_contacts_of(scene: Scene, company: int) -> None:
    for row in scene.portal.database.rows("SELECT contact_id FROM contact_company WHERE company_id = ?", (company,)):
        scene.touch("contact", row["contact_id"], "link")
