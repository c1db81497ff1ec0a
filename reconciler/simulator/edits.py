"""Changes of contacts and companies: what moves DATE_MODIFY, rings a bell, starts a workflow, stays in history (F4)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from reconciler.simulator import bindings, multifields
from reconciler.simulator.entities import COMPANY, CONTACT
from reconciler.simulator.workflows import ON_CREATE, ON_EDIT, started

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from reconciler.simulator.database import Database
    from reconciler.simulator.entities import Entity
    from reconciler.simulator.multifields import Entry
    from reconciler.simulator.workflows import Template

Source: TypeAlias = Literal["rest", "person"]
#: The older code, the newer code behind the same methods, and `crm.item.*`, which is only newer code (F4, F17).
Path: TypeAlias = Literal["legacy", "factory", "operation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One field of one record that got another value."""

    #: The portal's clock, epoch seconds.
    at: int
    entity: str
    id: int
    #: The acting user.
    by: int
    field: str
    before: Any
    after: Any
    #: Through REST, or by a person in the user interface.
    source: Source
    #: DATE_MODIFY before.
    modified_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a call wants a record to be; what is not named stays as it is."""

    columns: dict[str, Any] = field(default_factory=dict)
    #: Companies of a contact, or contacts of a company.
    links: list[int] | None = None
    #: Whether `links` is but the one primary company, which the older methods treat in a way of its own (F3).
    single_link: bool = False
    multifields: list[Entry] = field(default_factory=list)
    observers: list[int] | None = None


class Edits:
    """Carries out changes and remembers each."""

    def __init__(self, database: Database, now: Callable[[], int], path: Path, templates: Sequence[Template]) -> None:
        self._database = database
        self._now = now
        self._path = path
        self._templates = templates
        self.forget()

    def forget(self) -> None:
        """Start history and counters again."""
        self.history: list[Edit] = []
        #: Updates through REST that changed at least one field, and those that changed none.
        self.applied = self.noop = 0
        #: Bells rung about a new responsible person, through REST.
        self.notices = 0
        #: Workflows that started by themselves, whoever gave the reason.
        self.workflows = 0

    def through_rest(
        self, entity: Entity, record_id: int, wish: Wish, *, by: int, sonet: bool = False, item: bool = False
    ) -> None:
        """Carry out an update: of the older methods, or (`item`) of `crm.item.update`."""
        path = "operation" if item else self._path
        with self._database.lock:
            changed, modified = self._changed(entity, record_id, wish.columns)
            company_before = self._company_of(entity, record_id)
            others = self._others(entity, record_id, wish)
            company_after = self._company_of(entity, record_id)
            different = bool(changed) or others
            if different or path == "legacy":
                # "No changes, no actions" holds only on the newer paths; the older one always touches the record.
                self._write(entity, record_id, changed, by)
            if "assigned_by_id" in changed and (sonet or path != "legacy"):
                self.notices += 1
            if different or path != "operation":
                # Behind the older methods workflows start even if nothing was saved.
                self.workflows += started(self._templates, entity.name, ON_EDIT)
            if different:
                self.applied += 1
            else:
                self.noop += 1
            if company_before != company_after:
                changed["company_id"] = (company_before, company_after)
            self._remember(entity, record_id, changed, by=by, source="rest", modified=modified)

    def by_person(self, entity: Entity, record_id: int, columns: Mapping[str, Any], *, by: int) -> None:
        """Save a card in the user interface; saving without a change does nothing."""
        with self._database.lock:
            changed, modified = self._changed(entity, record_id, columns)
            if changed:
                self._write(entity, record_id, changed, by)
                self.workflows += started(self._templates, entity.name, ON_EDIT)
                self._remember(entity, record_id, changed, by=by, source="person", modified=modified)

    def moved_by_person(self, contact_id: int, company_id: int, *, by: int) -> None:
        """Save a contact's card with another company in the place of those it had."""
        with self._database.lock:
            _, modified = self._changed(CONTACT, contact_id, {})
            before = self._company_of(CONTACT, contact_id)
            if before == company_id:
                return
            bindings.set_companies(self._database, contact_id, [company_id])
            self._write(CONTACT, contact_id, {}, by)
            self.workflows += started(self._templates, CONTACT.name, ON_EDIT)
            changed = {"company_id": (before, company_id)}
            self._remember(CONTACT, contact_id, changed, by=by, source="person", modified=modified)

    @contextmanager
    def as_before(self, moment: float, *, apart_from: Collection[str]) -> Iterator[None]:
        """Let the database be as it was before the edits since a moment, as a replica that lags shows it.

        Links that moved by themselves, and records that came or went, are as they are now.
        """
        with self._database.lock:
            self._database.write("SAVEPOINT replica")
            try:
                for edit in reversed(self.history):
                    if edit.at <= moment:
                        break
                    if edit.entity not in apart_from:
                        self._database.write(
                            f"UPDATE {edit.entity} SET {edit.field.lower()} = ?, date_modify = ? WHERE id = ?",  # noqa: S608
                            (edit.before, edit.modified_before, edit.id),
                        )
                yield
            finally:
                self._database.write("ROLLBACK TO replica")
                self._database.write("RELEASE replica")

    def create(self, entity: Entity, wish: Wish, *, by: int, silent: bool = False) -> int:
        """Add a record, owned by who adds it unless said otherwise; a `silent` one, an import, starts no workflow."""
        now = self._now()
        columns: dict[str, Any] = {"assigned_by_id": by, "created_by_id": by, "modify_by_id": by}
        columns |= {"date_create": now, "date_modify": now} | wish.columns
        with self._database.lock:
            record_id = self._database.insert(entity.table, **columns)
            self._others(entity, record_id, wish)
            if not silent:
                self.workflows += started(self._templates, entity.name, ON_CREATE)
            return record_id

    def _changed(
        self, entity: Entity, record_id: int, columns: Mapping[str, Any]
    ) -> tuple[dict[str, tuple[Any, Any]], int]:
        """Return what would change, and the present DATE_MODIFY. Raises LookupError where there is no such record."""
        row = self._database.row(f"SELECT * FROM {entity.table} WHERE id = ?", (record_id,))  # noqa: S608 - a table's name
        if row is None:
            raise LookupError(f"no {entity.name} {record_id}")
        changed = {name: (row[name], value) for name, value in columns.items() if row[name] != value}
        return changed, row["date_modify"]

    def _company_of(self, entity: Entity, record_id: int) -> int | None:
        if entity is not CONTACT:
            return None
        row = self._database.row("SELECT company_id FROM contact WHERE id = ?", (record_id,))
        return row["company_id"] if row is not None else None

    def _write(self, entity: Entity, record_id: int, changed: Mapping[str, tuple[Any, Any]], by: int) -> None:
        columns = {name: after for name, (_, after) in changed.items()}
        columns |= {"date_modify": self._now(), "modify_by_id": by}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._database.write(
            f"UPDATE {entity.table} SET {assignments} WHERE id = ?",  # noqa: S608 - names of the program
            (*columns.values(), record_id),
        )

    def _remember(
        self,
        entity: Entity,
        record_id: int,
        changed: Mapping[str, tuple[Any, Any]],
        *,
        by: int,
        source: Source,
        modified: int,
    ) -> None:
        for name, (before, after) in changed.items():
            edit = Edit(
                at=self._now(), entity=entity.name, id=record_id, by=by, field=name.upper(),
                before=before, after=after, source=source, modified_before=modified,
            )  # fmt: skip
            self.history.append(edit)

    def _others(self, entity: Entity, record_id: int, wish: Wish) -> bool:
        """Save what stands in other tables; say whether anything is different now."""
        relinked = wish.links is not None and self._relink(entity, record_id, wish.links, single=wish.single_link)
        called = multifields.save(self._database, entity, record_id, wish.multifields)
        watched = wish.observers is not None and self._observe(entity, record_id, wish.observers)
        return relinked or called or watched

    def _observe(self, entity: Entity, record_id: int, wanted: list[int]) -> bool:
        key = (entity.name, record_id)
        rows = self._database.rows("SELECT user_id FROM observer WHERE entity = ? AND entity_id = ?", key)
        if {row["user_id"] for row in rows} == set(wanted):
            return False
        self._database.write("DELETE FROM observer WHERE entity = ? AND entity_id = ?", key)
        for user_id in dict.fromkeys(wanted):
            self._database.insert("observer", entity=entity.name, entity_id=record_id, user_id=user_id)
        return True

    def _relink(self, entity: Entity, record_id: int, wanted: list[int], *, single: bool) -> bool:
        if entity is COMPANY:
            present = bindings.contacts_of(self._database, record_id)
            removed = [contact_id for contact_id in present if contact_id not in wanted]
            added = [contact_id for contact_id in wanted if contact_id not in present]
            bindings.unbind_from_company(self._database, record_id, removed)
            bindings.bind_from_company(self._database, record_id, added)
            return bool(removed or added)
        present = bindings.companies_of(self._database, record_id)
        if wanted == present or (single and wanted and wanted[0] in present):
            # One company that is linked already: ignored, the primary one is *not* switched (F3).
            return False
        bindings.set_companies(self._database, record_id, wanted)
        return True
