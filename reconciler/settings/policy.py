"""The settings that decide what is written: `[policy]`, `[guard]` and `[notify]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema
from pydantic_settings import NoDecode

from reconciler.core.flapping import FlapLimit
from reconciler.core.guard import GuardLimits
from reconciler.core.ids import IdSet
from reconciler.core.policy import DismissedOwner, MultiCompany, PersonEdit, Policies, Scope


def split_commas(value: object) -> object:
    """Read a list as the environment holds it, with commas between; brackets and quotes around are no part of it."""
    if not isinstance(value, str):
        return value
    parts = (part.strip().strip("\"'") for part in value.strip().removeprefix("[").removesuffix("]").split(","))
    return [part for part in parts if part]


class Section(BaseModel):
    """A table of settings. An unknown key is an error, and no error repeats a value: it may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


_Record = Annotated[int, Field(gt=0, lt=2**63)]
# NoDecode: in the environment a list stands with commas between, not as JSON.
_Records = Annotated[tuple[_Record, ...], NoDecode, BeforeValidator(split_commas)]
# An allow-list may name most of a portal's companies.
_ManyRecords = Annotated[
    IdSet,
    GetPydanticSchema(
        lambda _, schema: core_schema.no_info_after_validator_function(
            IdSet, schema(tuple[_Record, ...]), serialization=core_schema.plain_serializer_function_ser_schema(tuple)
        )
    ),
    NoDecode,
    BeforeValidator(split_commas),
]
_Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]


class Policy(Section):
    """Who should own a contact, and what is left alone."""

    scope: Scope = Scope.ALL
    person_edit: PersonEdit = PersonEdit.OVERWRITE
    settle_minutes: float = Field(default=0.0, ge=0, le=10_080)
    multi_company: MultiCompany = MultiCompany.REPORT
    dismissed_owner: DismissedOwner = DismissedOwner.REPORT
    successor: _Record | None = None
    leave_companies: _Records = ()
    leave_contacts: _Records = ()
    leave_owners: _Records = ()
    leave_departments: _Records = ()
    leave_company_types: _Words = ()
    leave_contact_types: _Words = ()
    leave_company_field: Annotated[str, Field(pattern=r"^UF_CRM_[A-Z0-9_]+$")] | None = None
    leave_contact_field: Annotated[str, Field(pattern=r"^UF_CRM_[A-Z0-9_]+$")] | None = None
    only_companies: _ManyRecords = IdSet()
    quarantine_times: int = Field(default=3, ge=1, le=100)
    quarantine_hours: float = Field(default=24.0, gt=0, le=720)
    quarantine_days: float = Field(default=7.0, gt=0, le=365)

    @model_validator(mode="after")
    def _makes_sense(self) -> Policy:
        if self.dismissed_owner is DismissedOwner.SUCCESSOR and self.successor is None:
            raise ValueError('should name policy.successor, since policy.dismissed_owner is "successor"')
        if self.successor is not None and self.dismissed_owner is not DismissedOwner.SUCCESSOR:
            raise ValueError('should have dismissed_owner = "successor", or no successor')
        both = set(self.leave_companies).intersection(self.only_companies)
        if both:
            raise ValueError(f"should not both allow and leave alone company {min(both)}")
        if self.successor is not None and self.successor in self.leave_owners:
            raise ValueError("should not leave the successor's records alone")
        if self.settle_minutes and self.person_edit is PersonEdit.RESPECT:
            raise ValueError("should not have settle_minutes where people's edits are respected for good")
        return self

    @property
    def policies(self) -> Policies:
        """The rules as the core knows them."""
        return Policies(
            scope=self.scope,
            person_edit=self.person_edit,
            settle=timedelta(minutes=self.settle_minutes),
            leave_companies=frozenset(self.leave_companies),
            leave_contacts=frozenset(self.leave_contacts),
            leave_owners=frozenset(self.leave_owners),
            leave_departments=frozenset(self.leave_departments),
            leave_company_types=frozenset(self.leave_company_types),
            leave_contact_types=frozenset(self.leave_contact_types),
            only_companies=self.only_companies,
            dismissed_owner=self.dismissed_owner,
            successor=self.successor or 0,
            multi_company=self.multi_company,
        )

    @property
    def patience(self) -> FlapLimit:
        """When a contact that is changed back goes into quarantine."""
        return FlapLimit(times=self.quarantine_times, within=timedelta(hours=self.quarantine_hours))


class Guard(Section):
    """How much passes without approval."""

    changes: int = Field(default=1_000, ge=1)
    share: float = Field(default=0.10, gt=0, le=1)
    share_from: int = Field(default=500, ge=0)
    gained: int = Field(default=500, ge=1)
    lost: int = Field(default=500, ge=1)
    companies: float = Field(default=0.20, gt=0, le=1)
    approval_days: float = Field(default=7.0, gt=0, le=90)

    @property
    def limits(self) -> GuardLimits:
        """The limits as the core knows them."""
        return GuardLimits(
            changes=self.changes,
            share=self.share,
            share_from=self.share_from,
            gained=self.gained,
            lost=self.lost,
            companies=self.companies,
        )


class Notify(Section):
    """Who is told what only a person can mend."""

    users: _Records = ()
    on_event: _Words = ()
    on_event_seconds: float = Field(default=10.0, gt=0, le=300)
