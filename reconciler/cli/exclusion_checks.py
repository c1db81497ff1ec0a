"""Whether the records are there that the settings choose, or leave alone; for `reconciler check` and for a plan.

An exclusion that matches nothing protects nothing, and people believe that it does.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reconciler.core.sanitize import display
from reconciler.errors import IncompleteReadError, PortalError
from reconciler.portal.diagnosis import Finding, State
from reconciler.portal.read.references import Missing, Named, NamedRecords, look_up
from reconciler.reporting.wording import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.portal.read.references import Found, FoundRecords
    from reconciler.portal.rest.client import Client
    from reconciler.settings.model import Settings

#: Numbers or codes that one sentence lists.
LISTED = 10
_PLURALS = {"company": "companies"}


def void_exclusions(client: Client, settings: Settings, roster: AbstractSet[int] | None) -> list[str]:
    """Return a sentence for each setting that is to choose records, or to leave them alone, and does not find them.

    `roster`: all companies that are looked after; only others need to be asked for. None: companies are left out.
    """
    named = exclusions_named(settings)
    companies = {} if roster is None else {key: ids - roster for key, ids in named.companies.ids.items()}
    named = replace(named, companies=replace(named.companies, ids={key: ids for key, ids in companies.items() if ids}))
    if named == Named():
        return []
    try:
        found = look_up(client, named)
    except (PortalError, IncompleteReadError):
        return []  # a remark is not worth the plan; `check` says what is wrong
    return [
        f"policy.{finding.subject}: {finding.sentence}."
        for finding in judge_exclusions(settings, found)
        if finding.state is not State.OK
    ]


def exclusions_named(settings: Settings) -> Named:
    """Return what the settings name in order to choose records, or to leave them alone."""
    policy = settings.policy
    companies = {"leave_companies": policy.leave_companies, "only_companies": policy.only_companies}
    contacts = {"leave_contacts": policy.leave_contacts}
    return Named(
        users=frozenset(policy.leave_owners),
        departments=bool(policy.leave_departments),
        companies=NamedRecords(
            ids={setting: frozenset(ids) for setting, ids in companies.items() if ids},
            types=frozenset(policy.leave_company_types),
            field=policy.leave_company_field or "",
        ),
        contacts=NamedRecords(
            ids={setting: frozenset(ids) for setting, ids in contacts.items() if ids},
            types=frozenset(policy.leave_contact_types),
            field=policy.leave_contact_field or "",
        ),
    )


def judge_exclusions(settings: Settings, found: Found) -> Iterator[Finding]:
    """Judge what is to be left alone, and what alone is to be looked after."""
    policy, refused = settings.policy, found.refused
    companies, contacts = found.companies.missing, found.contacts.missing
    owners = _absent(policy.leave_owners, found.users)
    departments = _absent(policy.leave_departments, found.departments)
    for setting, noun, ids, missing, what in (
        ("leave_companies", "company", policy.leave_companies, companies.get("leave_companies"), "companies.ids"),
        ("only_companies", "company", policy.only_companies, companies.get("only_companies"), "companies.ids"),
        ("leave_contacts", "contact", policy.leave_contacts, contacts.get("leave_contacts"), "contacts.ids"),
        ("leave_owners", "user", policy.leave_owners, owners, "users"),
        ("leave_departments", "department", policy.leave_departments, departments, "departments"),
    ):
        if ids and what not in refused:
            yield _numbers(setting, noun, len(set(ids)), missing or Missing())
    for noun, records, types, field in (
        ("company", found.companies, policy.leave_company_types, policy.leave_company_field),
        ("contact", found.contacts, policy.leave_contact_types, policy.leave_contact_field),
    ):
        plural = _plural(noun)
        if f"{plural}.types" not in refused:
            yield from (_type(noun, code, records) for code in types)
        if field and f"{plural}.field" not in refused:
            yield _field(noun, plural, field, records.field_type)


def _plural(noun: str) -> str:
    return _PLURALS.get(noun, f"{noun}s")


def _absent(ids: Iterable[int], there: Collection[int]) -> Missing:
    missing = sorted(set(ids) - set(there))
    return Missing(count=len(missing), some=tuple(missing))


def _numbers(setting: str, noun: str, total: int, missing: Missing) -> Finding:
    all_ = counted(total, noun, _plural(noun))
    if not missing.count:
        sentence = f"{all_}, {'there' if total == 1 else 'all there'}"
        return Finding(subject=setting, state=State.OK, sentence=sentence)
    sentence = f"the portal does not show {missing.count:,} of {all_} ({some_of(missing.some, missing.count)})"
    if setting == "only_companies" and missing.count == total:
        sentence += ", so no company is looked after; correct the numbers"
        return Finding(subject=setting, state=State.FAILED, sentence=sentence)
    return Finding(subject=setting, state=State.WARNING, sentence=f"{sentence}; correct or remove the numbers")


def _type(noun: str, code: str, records: FoundRecords) -> Finding:
    subject = f"leave_{noun}_types"
    count, near = records.of_type.get(code, 0), _meant(code, records.types)
    if not code:
        return Finding(subject=subject, state=State.OK, sentence=f"{_plural(noun)} without a type")
    # A type that was deleted may still stand on records. The portal compares letters without their case, we do not.
    if code in records.types or (count and near is None):
        sentence = f"{counted(count, noun, _plural(noun))} of the type {display(code)}"
        return Finding(subject=subject, state=State.OK, sentence=sentence)
    if near is not None:
        advice = f"write {display(near)}, the code of the type {display(records.types[near])[:100]}"
    else:
        advice = f"the codes are {', '.join(display(one) for one in [*records.types][:LISTED]) or 'none'}"
    sentence = f"no type of a {noun} has the code {display(code)}, so none is left alone by it; {advice}"
    return Finding(subject=subject, state=State.FAILED, sentence=sentence)


def _meant(code: str, types: Mapping[str, str]) -> str | None:
    """Return the code of the type that is meant by its name, or by a code with a slip."""
    by_word = {name.casefold(): one for one, name in types.items()} | {one.casefold(): one for one in types}
    near = get_close_matches(code.casefold(), by_word, 1, 0.75)
    return by_word[near[0]] if near else None


def _field(noun: str, plural: str, name: str, kind: str) -> Finding:
    subject = f"leave_{noun}_field"
    if not kind:
        sentence = f"{plural} have no field {name}, so no run gets through; correct the name, or make the field"
        return Finding(subject=subject, state=State.FAILED, sentence=sentence)
    if kind != "boolean":
        sentence = f"{name} is of the type {display(kind)}, and a run ends where it holds more than yes or no"
        return Finding(subject=subject, state=State.WARNING, sentence=f"{sentence}; name a yes/no field")
    return Finding(subject=subject, state=State.OK, sentence=f"{name} is a yes/no field of {plural}")


def some_of(numbers: Iterable[int], count: int) -> str:
    """List the first numbers of so many."""
    listed = [str(number) for number in [*numbers][:LISTED]]
    return ", ".join(listed) + (", …" if count > len(listed) else "")
