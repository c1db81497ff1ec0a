"""`crm.contact.fields` and `crm.company.fields`: what each field is (F2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.errors import crm

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.entities import Entity


@dataclass(frozen=True, slots=True)
class Description:
    """One field as `*.fields` describes it."""

    name: str
    type: str
    title: str
    read_only: bool = False
    required: bool = False
    multiple: bool = False
    deprecated: bool = False
    #: A field that somebody added in this portal.
    custom: bool = False
    #: The directory that the values come from.
    status: str = ""
    #: The type of the record that the value names.
    parent: int = 0

    def written(self) -> dict[str, Any]:
        description: dict[str, Any] = {
            "type": self.type,
            "isRequired": self.required,
            "isReadOnly": self.read_only,
            "isImmutable": False,
            "isMultiple": self.multiple,
            "isDynamic": self.custom,
        }
        if self.deprecated:
            description["isDeprecated"] = True
        if self.status:
            description["statusType"] = self.status
        description["title"] = self.title
        if self.parent:
            description["settings"] = {"parentEntityTypeId": self.parent}
        return description


# A line a field: name, type, flags (r read-only, q required, m multiple, d deprecated, c custom, - none), title. A
# status has the name of its directory behind a colon, a link the number of the type it points to.
_CONTACT_HEAD = """
ID integer r ID
HONORIFIC crm_status:HONORIFIC - Salutation
NAME string - First name
SECOND_NAME string - Middle name
LAST_NAME string - Last name
PHOTO file - Photo
BIRTHDATE date - Date of birth
TYPE_ID crm_status:CONTACT_TYPE - Contact type
SOURCE_ID crm_status:SOURCE - Source
SOURCE_DESCRIPTION string - Source information
POST string - Position
"""
_ADDRESS = """
ADDRESS string - Address
ADDRESS_2 string - Address, line 2
ADDRESS_CITY string - City
ADDRESS_POSTAL_CODE string - Postal code
ADDRESS_REGION string - Region
ADDRESS_PROVINCE string - Province
ADDRESS_COUNTRY string - Country
ADDRESS_COUNTRY_CODE string - Country code
ADDRESS_LOC_ADDR_ID integer - Location address
"""
_CONTACT_MIDDLE = """
COMMENTS string - Comment
OPENED char - Available to everyone
EXPORT char - Included in export
"""
_COMPANY_HEAD = """
ID integer r ID
TITLE string q Company name
COMPANY_TYPE crm_status:COMPANY_TYPE - Company type
LOGO file - Logo
"""
_COMPANY_MIDDLE = """
ADDRESS_LEGAL string - Registered address
REG_ADDRESS string - Registered address
REG_ADDRESS_2 string - Registered address, line 2
REG_ADDRESS_CITY string - Registered address: city
REG_ADDRESS_POSTAL_CODE string - Registered address: postal code
REG_ADDRESS_REGION string - Registered address: region
REG_ADDRESS_PROVINCE string - Registered address: province
REG_ADDRESS_COUNTRY string - Registered address: country
REG_ADDRESS_COUNTRY_CODE string - Registered address: country code
REG_ADDRESS_LOC_ADDR_ID integer - Registered address: location
BANKING_DETAILS string - Bank details
INDUSTRY crm_status:INDUSTRY - Industry
EMPLOYEES crm_status:EMPLOYEES - Employees
CURRENCY_ID crm_currency - Currency
REVENUE double - Annual revenue
OPENED char - Available to everyone
COMMENTS string - Comment
"""
_HAS = """
HAS_PHONE char r Has a phone
HAS_EMAIL char r Has an e-mail
HAS_IMOL char r Has an open channel
"""
_PEOPLE_AND_DATES = """
ASSIGNED_BY_ID user - Responsible person
CREATED_BY_ID user r Created by
MODIFY_BY_ID user r Modified by
DATE_CREATE datetime r Created on
DATE_MODIFY datetime r Modified on
"""
_CONTACT_LINKS = """
COMPANY_ID crm_company d Company
COMPANY_IDS crm_company m Companies
LEAD_ID crm_lead:1 r Lead
"""
_COMPANY_LINKS = """
CONTACT_ID crm_contact m Contact
LEAD_ID crm_lead:1 r Lead
"""
_ORIGIN = """
ORIGINATOR_ID string - External source
ORIGIN_ID string - Id in the external source
ORIGIN_VERSION string - Version in the external source
UTM_SOURCE string - Advertising system
UTM_MEDIUM string - Traffic type
UTM_CAMPAIGN string - Campaign
UTM_CONTENT string - Campaign content
UTM_TERM string - Campaign search term
LAST_ACTIVITY_TIME datetime r Last activity
LAST_ACTIVITY_BY user r Last activity by
"""
_LAST = """
PHONE crm_multifield m Phone
EMAIL crm_multifield m E-mail
WEB crm_multifield m Site
IM crm_multifield m Messenger
LINK crm_multifield m Link
"""


# A yes/no field that somebody added, as settings may name one.
_CUSTOM = """
UF_CRM_OWNER_FIXED boolean c Owner is fixed
"""


def _described(*tables: str) -> tuple[Description, ...]:
    descriptions = []
    for line in "".join(tables).split("\n"):
        if line:
            name, kind, flags, title = line.split(" ", 3)
            kind, _, detail = kind.partition(":")
            descriptions.append(
                Description(
                    name,
                    kind,
                    title,
                    read_only="r" in flags,
                    required="q" in flags,
                    multiple="m" in flags,
                    deprecated="d" in flags,
                    custom="c" in flags,
                    status="" if detail.isdigit() else detail,
                    parent=int(detail) if detail.isdigit() else 0,
                )
            )
    return tuple(descriptions)


DESCRIPTIONS = {
    "contact": _described(
        _CONTACT_HEAD, _ADDRESS, _CONTACT_MIDDLE, _HAS, _PEOPLE_AND_DATES, _CONTACT_LINKS, _ORIGIN, _LAST, _CUSTOM
    ),
    "company": _described(
        _COMPANY_HEAD,
        _ADDRESS,
        _COMPANY_MIDDLE,
        _HAS,
        "IS_MY_COMPANY char - My company\n",
        _PEOPLE_AND_DATES,
        _COMPANY_LINKS,
        _ORIGIN,
        "LAST_COMMUNICATION_TIME string r Last communication\n",
        _LAST,
        _CUSTOM,
    ),
}


def record_fields(site: Site, call: Call, entity: Entity) -> Result:
    """Describe the fields of a type to whoever may read it."""
    del site
    if not call.caller.may_read():
        raise crm("Access denied.")
    return Result(value={description.name: description.written() for description in DESCRIPTIONS[entity.name]}, rows=0)


def binding_fields(site: Site, call: Call, *, other: str) -> Result:
    """Describe a link between a contact and a company."""
    del site, call
    fields = _described(
        "SORT integer - Sorting\nIS_PRIMARY char - Primary\n",
        f"{other.upper()} integer q {other.removesuffix('_id').capitalize()}\n",
    )
    return Result(value={description.name: description.written() for description in fields}, rows=0)
