"""Changes of contacts and companies: what moves DATE_MODIFY, what rings a bell, and what history keeps (F4, F17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reconciler.simulator import bindings
from reconciler.simulator.calls import Result
from reconciler.simulator.dates import strtotime
from reconciler.simulator.entities import COMPANY, CONTACT, Kind
from reconciler.simulator.errors import crm
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.database import Database
    from reconciler.simulator.entities import Entity, Field

Source = Literal["rest", "person"]


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


class Edits:
    """Carries out changes and remembers each."""

    def __init__(self, database: Database, now: Callable[[], int], path: Literal["legacy", "factory"]) -> None:
        self._database = database
        self._now = now
        #: F4: the older code path writes and notifies otherwise than the one through the contact factory.
        self._path = path
        self.history: list[Edit] = []
        #: Updates through REST that changed at least one field, and those that changed none.
        self.applied = 0
        self.noop = 0
        #: Bells rung about a new responsible person, through REST.
        self.notices = 0

    def forget(self) -> None:
        """Start history and counters again."""
        self.history.clear()
        self.applied = self.noop = self.notices = 0

    def through_rest(
        self, entity: Entity, record_id: int, columns: Mapping[str, Any], links: Mapping[str, Any], *,
        by: int, sonet: bool,
    ) -> None:  # fmt: skip
        """Carry out a `crm.*.update` of the given columns and link fields."""
        with self._database.lock:
            changed = self._changed(entity, record_id, columns)
            company_before = self._company_of(entity, record_id)
            relinked = self._relink(entity, record_id, links)
            company_after = self._company_of(entity, record_id)
            legacy = self._path == "legacy"
            if changed or relinked or legacy:
                # "No changes, no actions" holds only on the newer path; the older one always touches the record.
                self._write(entity, record_id, changed, by)
            if "assigned_by_id" in changed and (sonet or not legacy):
                self.notices += 1
            if changed or relinked:
                self.applied += 1
            else:
                self.noop += 1
            if company_before != company_after:
                changed["company_id"] = (company_before, company_after)
            self._remember(entity, record_id, changed, by, "rest")

    def by_person(self, entity: Entity, record_id: int, columns: Mapping[str, Any], *, by: int) -> None:
        """Save a card in the user interface; saving without a change does nothing."""
        with self._database.lock:
            changed = self._changed(entity, record_id, columns)
            if changed:
                self._write(entity, record_id, changed, by)
                self._remember(entity, record_id, changed, by, "person")

    def _changed(self, entity: Entity, record_id: int, columns: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        row = self._database.row(f"SELECT * FROM {entity.table} WHERE id = ?", (record_id,))  # noqa: S608 - a table's name
        if row is None:
            raise LookupError(f"no {entity.name} {record_id}")
        return {name: (row[name], value) for name, value in columns.items() if row[name] != value}

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
        self, entity: Entity, record_id: int, changed: Mapping[str, tuple[Any, Any]], by: int, source: Source
    ) -> None:
        for name, (before, after) in changed.items():
            edit = Edit(
                at=self._now(), entity=entity.name, id=record_id, by=by, field=name.upper(),
                before=before, after=after, source=source,
            )  # fmt: skip
            self.history.append(edit)

    def _relink(self, entity: Entity, record_id: int, links: Mapping[str, Any]) -> bool:
        if not links:
            return False
        if entity is COMPANY:
            wanted = links["CONTACT_ID"]
            present = bindings.contacts_of(self._database, record_id)
            removed = [contact_id for contact_id in present if contact_id not in wanted]
            added = [contact_id for contact_id in wanted if contact_id not in present]
            bindings.unbind_from_company(self._database, record_id, removed)
            bindings.bind_from_company(self._database, record_id, added)
            return bool(removed or added)
        present = bindings.companies_of(self._database, record_id)
        if "COMPANY_IDS" in links:
            wanted = links["COMPANY_IDS"]
        else:
            wanted = [links["COMPANY_ID"]] if links["COMPANY_ID"] > 0 else []
            if wanted and wanted[0] in present:
                # Already linked: ignored, the primary company is *not* switched (F3).
                return False
        if wanted == present:
            return False
        bindings.set_companies(self._database, record_id, wanted)
        return True


def update_record(site: Site, call: Call, entity: Entity) -> Result:
    """Carry out `crm.contact.update` or `crm.company.update`; the order of the checks is the portal's (F4)."""
    record_id = call.record_id()
    if record_id <= 0:
        raise crm("ID is not defined or invalid.")
    fields, params = call.param("fields"), call.array("params")
    if not isinstance(fields, PhpArray):
        raise crm("Parameter 'fields' must be array.")
    sql = f"SELECT assigned_by_id FROM {entity.table} WHERE id = ?"  # noqa: S608 - a table's name
    row = site.database.row(sql, (record_id,))
    limit = call.caller.owner_limit()
    # Rights come before existence, so that a person with few rights is "denied" for a missing record too.
    if not call.caller.may_edit() or (limit is not None and (row is None or row["assigned_by_id"] != limit)):
        raise crm("Access denied.")
    if row is None:
        raise crm(f"{entity.title} is not found")
    columns, links = _sanitized(entity, fields, call)
    # The flag is the text 'Y': JSON `true` arrives as "1" and counts as N.
    sonet = strval(params.get("REGISTER_SONET_EVENT", "N")).upper() == "Y"
    site.edits.through_rest(entity, record_id, columns, links, by=call.caller.user_id, sonet=sonet)
    return Result(value=True)


def _sanitized(entity: Entity, fields: PhpArray, call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split what may be written into columns and links; the rest is dropped without a word."""
    columns: dict[str, Any] = {}
    links: dict[str, Any] = {}
    for key, value in fields.items():
        field = entity.fields.get(str(key))
        if field is None:
            continue
        if field.name == "COMPANY_ID":
            links[field.name] = intval(value)
        elif field.name in ("COMPANY_IDS", "CONTACT_ID") and field.kind is Kind.WRITE_ONLY:
            links[field.name] = _ids(value)
        elif field.name == "ASSIGNED_BY_ID" and intval(value) <= 0:
            continue
        elif field.column:
            columns[field.column] = _stored(field, value, call)
    return columns, links


def _ids(value: Any) -> list[int]:
    values = value.values() if isinstance(value, PhpArray) else [value]
    return [number for number in dict.fromkeys(intval(item) for item in values) if number > 0]


def _stored(field: Field, value: Any, call: Call) -> Any:
    if field.kind is Kind.REFERENCE:
        return intval(value)
    if field.kind is Kind.FLAG:
        return "Y" if strval(value).upper() == "Y" else "N"
    if field.kind is Kind.MOMENT:
        return strtotime(strval(value), call.now, call.utc_offset)
    if field.kind is Kind.NUMBER:
        try:
            return float(strval(value))
        except ValueError:
            return 0.0
    return strval(value)


def columns_of(entity: Entity, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names a person's edit uses; they are the tables' own, in lower case."""
    known = {field.column for field in entity.fields.values() if field.column}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"a {entity.name} has no {', '.join(unknown)} to edit; use {', '.join(sorted(known))}")
    return dict(values)


ENTITIES = {CONTACT.name: CONTACT, COMPANY.name: COMPANY}
