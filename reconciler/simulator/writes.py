"""Which record each update changed, when that record had been read before, and what others did to it in between.

A conditional update takes its `id` from the answer of an earlier command of the same batch. Between the two, other
callers get in: what they change then is the gap that remains. By this list a test tells it from an overwritten
decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.simulator.entities import CONTACT, ENTITIES
from reconciler.simulator.php import PhpArray, intval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.calls import Call
    from reconciler.simulator.database import Database
    from reconciler.simulator.edits import Edit

#: An entity's name and a number.
Key = tuple[str, int]
#: Keys of a filter that name records.
_BY_NUMBER = frozenset(f"{operator}{name}" for operator in ("", "=", "@") for name in ("ID", "id"))
_BY_TYPE = {entity.type_id: name for name, entity in ENTITIES.items()}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a call was carried out."""

    #: The portal's time of day, epoch seconds with their fraction.
    at: float
    #: How many changes of fields there had been; unlike the time it tells what came first.
    edits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One update through REST."""

    #: The portal's time of day when it was carried out, epoch seconds.
    at: float
    entity: str
    id: int
    #: The user of the webhook.
    by: int
    #: The number of the request, and of the command in its batch, both from 1; None outside of a batch.
    request: int
    command: int | None
    #: The `id` was taken from the answer of an earlier command of the batch.
    conditional: bool
    #: When that command was carried out; without a condition, when the record was last asked for by its number.
    read_at: float | None
    changed: tuple[Edit, ...]
    #: What became of the record, and of the company of a contact, between reading and writing.
    between: tuple[Edit, ...]

    @property
    def age(self) -> float | None:
        """Seconds from reading to writing, in the portal; None for a record that was not read."""
        return None if self.read_at is None else self.at - self.read_at


class Writes:
    """The list of updates, and when each record was last asked for by its number."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start again."""
        self.list: list[Write] = []
        self._read: dict[Key, Moment] = {}

    def read(self, call: Call, moment: Moment) -> None:
        """Note the records that a call has asked for by their numbers."""
        kind, _, verb = call.method.rpartition(".")
        entity = _entity(kind, call.params)
        if entity is None or verb not in ("get", "list"):
            return
        if verb == "get":
            self._read[entity, call.record_id()] = moment
            return
        conditions = call.param("filter")
        for key, value in conditions.items() if isinstance(conditions, PhpArray) else ():
            if key in _BY_NUMBER:
                for number in value.values() if isinstance(value, PhpArray) else (value,):
                    self._read[entity, intval(number)] = moment

    def written(
        self,
        call: Call,
        moment: Moment,
        history: Sequence[Edit],
        database: Database,
        *,
        request: int,
        command: int | None,
        condition: Moment | None,
    ) -> None:
        """Note an update that was carried out; `moment` is the one before it, `history` includes its changes."""
        entity = _entity(call.method.rpartition(".")[0], call.params)
        if entity is None:
            return
        key = (entity, call.record_id())
        read = condition or self._read.get(key)
        write = Write(
            at=moment.at, entity=entity, id=key[1], by=call.caller.user_id, request=request, command=command,
            conditional=condition is not None,
            read_at=None if read is None else read.at,
            changed=tuple(history[moment.edits :]),
            between=() if read is None else _of(history[read.edits : moment.edits], key, database),
        )  # fmt: skip
        self.list.append(write)

    def gap(self) -> dict[str, float | int]:
        """Sum up the conditional updates: how many, how many of them over an edit, and the longest time in between."""
        conditional = [write for write in self.list if write.conditional]
        return {
            "updates": len(conditional),
            "over_edits": sum(bool(write.between) for write in conditional),
            "longest_seconds": round(max((write.age or 0.0 for write in conditional), default=0.0), 6),
        }


def _of(edits: Sequence[Edit], key: Key, database: Database) -> tuple[Edit, ...]:
    if not edits:
        return ()
    keys = {key}
    if key[0] == CONTACT.name:
        row = database.row("SELECT company_id FROM contact WHERE id = ?", (key[1],))
        keys |= {("company", row["company_id"])} if row is not None else set()
    return tuple(edit for edit in edits if (edit.entity, edit.id) in keys)


def _entity(kind: str, params: PhpArray) -> str | None:
    if kind == "crm.item":
        return _BY_TYPE.get(intval(params.get("entityTypeId")))
    name = kind.removeprefix("crm.")
    return name if name in ENTITIES else None
