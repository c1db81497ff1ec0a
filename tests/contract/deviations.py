"""Where the embedded portal's answers have another shape than the documentation's examples, and why.

`docs/embedded-portal.md` shows this table. A difference that does not stand here fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.shapes import Difference


@dataclass(frozen=True, slots=True)
class Deviation:
    """A place, or several, that differ for one reason; `*` stands for any text in either name."""

    examples: str
    paths: str
    reason: str
    #: Only where one of the two answers lacks the place: types must agree where both have it.
    only_missing: bool = False

    def covers(self, example: str, difference: Difference) -> bool:
        if self.only_missing and "absent" not in {difference.documented, difference.portal}:
            return False
        # Brackets mean "any row" here, and a choice of characters to fnmatch.
        path = difference.path.replace("[]", "<>")
        places = [wanted.replace("[]", "<>") for wanted in self.paths.split()]
        return fnmatchcase(example, self.examples) and any(fnmatchcase(path, place) for place in places)


OWN_FIELDS = "fields and types of that portal's own: the embedded one has none"
SCOPES = "which fields a user has depends on scope and portal; the embedded portal shows the same in all methods (F17)"
OTHER_TYPE = "the page shows a lead, a deal or a type of its own; contacts have other fields"

USER_FIELDS = (
    "result.SECOND_NAME result.TIME_ZONE result.TIMESTAMP_X result.USER_TYPE result.PERSONAL_WWW"
    " result.PERSONAL_MOBILE result.PERSONAL_CITY result.WORK_PHONE"
)

DEVIATIONS = (
    Deviation("crm.co*", "result.UF_CRM_* result.PARENT_ID_*", OWN_FIELDS, only_missing=True),
    Deviation("crm.item.*", "result.item.* result.items[].* result.fields.*", OTHER_TYPE, only_missing=True),
    Deviation("crm.item.*", "result.item.webformId result.item.searchContent", "not kept here: null"),
    Deviation("crm.item.add", "result.item.leadId", "cannot be set here: null"),
    Deviation("crm.status.list", "result[].SEMANTICS result[].EXTRA*", "of stages; only types are kept here"),
    Deviation("user.get", "result[].PERSONAL_BIRTHDAY", "not kept here: empty text"),
    Deviation("user.search", "result[].PERSONAL_BIRTHDAY", "not kept here: empty text"),
    Deviation("user.fields", "result.*", "fields of users that are not kept here", only_missing=True),
    Deviation("user.current", USER_FIELDS, SCOPES, only_missing=True),
    Deviation("user.current", "result.LAST_ACTIVITY_DATE", "an object, as `user.get` documents it (F9)"),
    Deviation("batch", "result.result.get_user.*", "as `user.current`"),
)
