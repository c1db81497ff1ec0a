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

    def covers(self, example: str, difference: Difference) -> bool:
        paths = self.paths.split()
        # Brackets mean "any row" here, and a choice of characters to fnmatch.
        path = difference.path.replace("[]", "<>")
        return fnmatchcase(example, self.examples) and any(
            fnmatchcase(path, wanted.replace("[]", "<>")) for wanted in paths
        )


OWN_FIELDS = "fields and types of that portal's own: the embedded one has none"
SCOPES = "which fields a user has depends on scope and portal; the embedded portal shows the same in all methods (F17)"

DEVIATIONS = (
    Deviation("crm.*", "result.UF_CRM_* result.PARENT_ID_*", OWN_FIELDS),
    Deviation("crm.contact.get", "result.UTM_*", "marketing tags are always empty"),
    Deviation("crm.company.get", "result.*ADDRESS_* result.LAST_COMMUNICATION_TIME", "soon there"),
    Deviation("user.*", "result[].PERSONAL_* result[].WORK_PHONE result[].UF_EMPLOYMENT_DATE", SCOPES),
    Deviation("user.*", "result.PERSONAL_* result.UF_EMPLOYMENT_DATE", SCOPES),
    Deviation("user.*", "result[].LAST_LOGIN result.LAST_LOGIN", "nobody ever logs in here: empty text"),
    Deviation("user.current", "result.SECOND_NAME result.TIME_ZONE result.TIMESTAMP_X result.USER_TYPE", SCOPES),
    Deviation("user.current", "result.LAST_ACTIVITY_DATE", "an object, as `user.get` documents it (F9)"),
    Deviation("batch", "result.result.get_user.*", "as `user.current`"),
    Deviation("profile", "result.TIME_ZONE_OFFSET", "newer portals tell it, the page does not"),
)
