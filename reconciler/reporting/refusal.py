"""What the guard says when it holds changes back: numbers, limits, causes, who gains and loses, and the next step.

The sentence goes into logs, notices, the journal and errors, so the names in it are made harmless here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.guard import Breach, Limit
from reconciler.core.model import Cause
from reconciler.core.sanitize import display
from reconciler.reporting.report import Balance
from reconciler.reporting.wording import cause_word, cause_words, counted, person

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.core.guard import Verdict
    from reconciler.core.model import Change

_SHARES = frozenset({Limit.SHARE, Limit.COMPANIES})
#: Longest name that a sentence can carry.
_MOST_NAME = 60
#: People in the table that stands above the question.
_MOST_PEOPLE = 6
#: People of whom it is stored how much they would gain and lose.
_STORED_PEOPLE = 50
_COMMAND = re.compile(r"reconciler approve ([0-9a-f]{12})$")
#: In what is stored of a refusal: it was of an undo, so that no sweep can tell whether it is still wanted.
UNDO = "undo"
#: Where the command stands in a stored sentence.
_NEXT_STEP = "; to let "


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """The person who would gain, or lose, most contacts."""

    person: int
    name: str
    contacts: int


def approve_command(digest: str) -> str:
    """Return the command that shows a set, and lets it through."""
    return f"reconciler approve {digest[:12]}"


def held_page(digest: str) -> str:
    """Return the path of the service's page that lists a set."""
    return f"/held-back/{digest[:12]}"


def held_digest(sentence: str) -> str:
    """Return the digest that a stored sentence names, as far as it does; empty: none."""
    found = _COMMAND.search(sentence)
    return found[1] if found else ""


def is_of_undo(numbers: Mapping[str, Any]) -> bool:
    """Tell whether what was stored of a refusal is of an undo."""
    return UNDO in numbers


def refusal_sentence(verdict: Verdict, names: Mapping[int, str], digest: str) -> str:
    """Say in one sentence without its full stop what is held back, and why; `names` are users'."""
    in_part = bool(verdict.passing and verdict.breaches)
    parts = [_how_many(verdict, in_part=in_part), *_passed(verdict, in_part=in_part), _who_moves(verdict, names)]
    told = {mover.person for mover in _movers(verdict, names) if mover}
    others = len({breach.person for breach in verdict.breaches if breach.person} - told)
    if others:
        parts.append(f"{counted(others, 'other person', 'other people')} would gain or lose too many, too")
    which = f"these {len(verdict.held):,}" if in_part else "exactly these changes"
    parts.append(f"{_NEXT_STEP[2:]}{which} through: {approve_command(digest)}")
    said = "refused by the guard, none of it written"
    if not verdict.breaches:
        said = "held back by the guard in an earlier run, none of it written"
    elif in_part:
        said = "held back in part by the guard"
    return f"{said}: {'; '.join(filter(None, parts))}"


def _judged(verdict: Verdict) -> Sequence[Change]:
    """Return the changes that the numbers are of; what waits from an earlier run is apart from what passes now."""
    return (*verdict.passing, *verdict.held) if verdict.breaches else verdict.held


def _found(verdict: Verdict) -> Mapping[Limit, Breach]:
    return {breach.limit: breach for breach in reversed(verdict.breaches)}


def _how_many(verdict: Verdict, *, in_part: bool) -> str:
    said = counted(len(_judged(verdict)), "contact") + " would get another owner"
    if changed := _found(verdict).get(Limit.CHANGES):
        said += f" ({_limit(changed)})"
    if not in_part:
        return said
    words = _known_causes(verdict.held)
    verb = "waits" if len(verdict.held) == 1 else "wait"
    return f"{said}, and {len(verdict.held):,} of them {verb} for approval" + (f" ({words})" if words else "")


def _passed(verdict: Verdict, *, in_part: bool) -> Iterator[str]:
    """Yield which limits of the whole are passed, besides their number."""
    found = _found(verdict)
    if share := found.get(Limit.SHARE):
        which = f"all {len(_judged(verdict)):,} are" if in_part else "that is"
        yield f"{which} {_number(share)} of the linked contacts ({_limit(share)})"
    if missing := found.get(Limit.COMPANIES):
        yield f"{_number(missing)} of the companies known before are missing ({_limit(missing)})"
    if rival := found.get(Limit.RIVAL):
        yield (
            f"{_number(rival)} contacts were changed back under the webhook's own account ({_limit(rival)}), so "
            "another installation seems to work on this portal, and one of the two must end"
        )


def _movers(verdict: Verdict, names: Mapping[int, str]) -> tuple[Mover | None, Mover | None]:
    changes = _judged(verdict)
    return most_gaining(changes, names, verdict.breaches), most_losing(changes, names, verdict.breaches)


def _who_moves(verdict: Verdict, names: Mapping[int, str]) -> str:
    found, (gains, loses) = _found(verdict), _movers(verdict, names)
    movers = []
    if gains:
        movers.append(f"{_called(gains)} would gain the most ({_moved(gains, found.get(Limit.GAINED))})")
    if loses:
        movers.append(f"{_called(loses)} would lose the most ({_moved(loses, found.get(Limit.LOST))})")
    return " and ".join(movers)


def stored_sentence(sentence: str, *, whole: bool) -> str:
    """Return a stored sentence without the command at its end, for places that show it apart.

    Not `whole`: some of the set was written since, which the sentence does not know.
    """
    said = sentence.rpartition(_NEXT_STEP)[0] or sentence
    return f"{said[:1].upper()}{said[1:]}." if whole else f"When it was held back: {said}."


def _known_causes(changes: Sequence[Change]) -> str:
    """Return the causes of changes; nothing where none is known, as in an undo."""
    causes = Counter(change.cause for change in changes)
    return "" if set(causes) == {Cause.UNKNOWN} else cause_words(causes)


def refusal_json(verdict: Verdict, names: Mapping[int, str], digest: str) -> dict[str, Any]:
    """Return the same for scripts, and for the journal: what a person was shown. Shares are 0 to 1.

    The limits, and who gains and loses most, are of all changes that nobody has approved; `changes`, `causes` and
    `people` are of those that are held back, and `passing` says how many are not.
    """
    changes, breaches = _judged(verdict), verdict.breaches
    causes = Counter(change.cause for change in verdict.held)
    return {
        "digest": digest,
        "changes": len(verdict.held),
        "passing": len(verdict.passing),
        "limits": [
            {
                "limit": breach.limit.value,
                "number": breach.number,
                "allowed": breach.allowed,
                **({"person": breach.person, "name": names.get(breach.person, "")} if breach.person else {}),
            }
            for breach in breaches
        ],
        "causes": {cause.value: causes[cause] for cause in Cause if causes[cause]},
        "people": _people_json(verdict.held, names),
        "gains_most": _mover_json(most_gaining(changes, names, breaches)),
        "loses_most": _mover_json(most_losing(changes, names, breaches)),
        "way_out": approve_command(digest),
        "sentence": refusal_sentence(verdict, names, digest),
    }


def _people_json(changes: Sequence[Change], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return who would gain and lose, the largest movement first."""
    gains, loses = Counter(change.after for change in changes), Counter(change.before for change in changes)
    order = sorted({*gains, *loses}, key=lambda number: (-gains[number] - loses[number], number))
    return [
        {"person": number, "name": names.get(number, ""), "gains": gains[number], "loses": loses[number]}
        for number in order[:_STORED_PEOPLE]
    ]


def refusal_text(
    verdict: Verdict, names: Mapping[int, str], digest: str, *, width: int = 100, color: bool = False
) -> str:
    """Return what stands on a terminal above the question whether to go on."""
    from rich.console import Group  # noqa: PLC0415 - rich costs time, and only text needs it
    from rich.padding import Padding  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from reconciler.reporting import to_text as tables  # noqa: PLC0415 - as above

    changes, breaches = _judged(verdict), verdict.breaches
    made = tables.table(("Over the limits of the guard", {}), ("here", tables.RIGHT), ("limit", tables.RIGHT))
    whole = [breach for breach in breaches if not breach.person]
    people = [breach for breach in breaches if breach.person]
    for breach in (*whole, *people[:_MOST_PEOPLE]):
        made.add_row(tables.name(_label(breach, names)), Text(_number(breach)), Text(_allowed(breach)))
    limits = {breach.limit for breach in breaches}
    lines = [f"and {len(people) - _MOST_PEOPLE:,} more"] if len(people) > _MOST_PEOPLE else []
    by = f"By all {len(changes):,} changes " if verdict.passing and breaches else ""
    if Limit.GAINED not in limits and (gains := most_gaining(changes, names)):
        lines.append(f"{by}{_called(gains)} would gain the most: {counted(gains.contacts, 'contact')}.")
    if Limit.LOST not in limits and (loses := most_losing(changes, names)):
        lines.append(f"{by}{_called(loses)} would lose the most: {counted(loses.contacts, 'contact')}.")
    if Limit.COMPANIES in limits:
        lines.append("Companies seldom vanish: look first whether the webhook's user still sees them all.")
    if Limit.RIVAL in limits:
        lines.append("Another installation seems to work on this portal: end one of the two first.")
    which = f"the {len(verdict.held):,}" if verdict.passing else "exactly these changes"
    lines += [f"To let {which} through later:", f"  {approve_command(digest)}"]
    content = [*([made] if breaches else []), *_held_table(verdict, names), Text(""), Text("\n".join(lines))]
    title = "The guard stops this plan."
    if not breaches:
        title = f"The guard held back {counted(len(verdict.held), 'change')} in an earlier run."
    elif verdict.passing:
        title = f"The guard holds back {len(verdict.held):,} of {counted(len(changes), 'change')}."
    body = Padding(Group(*content), (0, 0, 0, 2), expand=False)
    return tables.draw(Group(Text(title, style="bold yellow"), Text(""), body), width=width, color=color)


def _held_table(verdict: Verdict, names: Mapping[int, str]) -> list[Any]:
    """Return a table of what is held back, where that is not all."""
    if not verdict.passing:
        return []
    from rich.text import Text  # noqa: PLC0415 - as above

    from reconciler.reporting import to_text as tables  # noqa: PLC0415 - as above

    made = tables.table(("Held back", {}), ("contacts", tables.RIGHT))
    for cause, count in Counter(change.cause for change in verdict.held).most_common():
        made.add_row(Text(cause_word(cause.value)), Text(f"{count:,}"))
    people = _people_json(verdict.held, names)
    for one in people[:_MOST_PEOPLE]:
        for what in ("gains", "loses"):
            if one[what]:
                called = person(one["person"], one["name"])
                made.add_row(tables.name(f"{called} {what}"), Text(f"{one[what]:,}"))
    if len(people) > _MOST_PEOPLE:
        made.add_row(Text("and other people"), Text(""))
    return [Text(""), made]


def most_gaining(changes: Sequence[Change], names: Mapping[int, str], breaches: Sequence[Breach] = ()) -> Mover | None:
    """Return who would gain most: by the guard's own count where it is passed, else of all changes."""
    return _most(Limit.GAINED, Counter(change.after for change in changes), names, breaches)


def most_losing(changes: Sequence[Change], names: Mapping[int, str], breaches: Sequence[Breach] = ()) -> Mover | None:
    """Return who would lose most, likewise; contacts that nobody owns are nobody's loss."""
    return _most(Limit.LOST, Counter(change.before for change in changes if change.before), names, breaches)


def _most(limit: Limit, counts: Counter[int], names: Mapping[int, str], breaches: Sequence[Breach]) -> Mover | None:
    passed = [breach for breach in breaches if breach.limit is limit]
    found = {breach.person: int(breach.number) for breach in passed} or counts
    if not found:
        return None
    number = min(found, key=lambda one: (-found[one], one))
    return Mover(person=number, name=names.get(number, ""), contacts=found[number])


def _called(mover: Mover) -> str:
    name = display(person(mover.person, mover.name))
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1]}…"


def _moved(mover: Mover, breach: Breach | None) -> str:
    return f"{mover.contacts:,}, {_limit(breach)}" if breach else f"{mover.contacts:,}"


def _mover_json(mover: Mover | None) -> dict[str, Any] | None:
    return None if mover is None else {"person": mover.person, "name": mover.name, "contacts": mover.contacts}


def _label(breach: Breach, names: Mapping[int, str]) -> str:
    match breach.limit:
        case Limit.CHANGES:
            return "changes"
        case Limit.SHARE:
            return "share of the linked contacts"
        case Limit.COMPANIES:
            return "share of the companies missing"
        case Limit.RIVAL:
            return "changed back under the webhook's own account"
        case Limit.GAINED:
            return f"gained by {person(breach.person, names.get(breach.person, ''))}"
        case _:
            return f"lost by {person(breach.person, names.get(breach.person, ''))}"


def _limit(breach: Breach) -> str:
    return f"limit {_allowed(breach)}"


def _allowed(breach: Breach) -> str:
    return f"{breach.allowed * 100:.6g}%" if breach.limit in _SHARES else f"{breach.allowed:,.0f}"


def _number(breach: Breach) -> str:
    """Say how much it is; of a share so many digits that it can be told from its limit."""
    if breach.limit not in _SHARES:
        return f"{breach.number:,.0f}"
    number, allowed = breach.number * 100, breach.allowed * 100
    digits = next((digits for digits in range(1, 9) if round(number, digits) > allowed), 9)
    return f"{number:.{digits}f}%"


def stored_limits(numbers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return which limits a stored refusal passed: what it is, how much, how much passes; from `refusal_json`."""
    found = []
    for limit in numbers.get("limits", ()):
        someone = limit.get("person", 0)
        breach = Breach(limit=Limit(limit["limit"]), number=limit["number"], allowed=limit["allowed"], person=someone)
        found.append((_label(breach, {someone: limit.get("name", "")}), _number(breach), _allowed(breach)))
    return found


def stored_causes(numbers: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return how many changes of a stored refusal have which cause, the most frequent first; nothing of an undo."""
    found = () if is_of_undo(numbers) else numbers.get("causes", {}).items()
    return sorted(((cause_word(cause), count) for cause, count in found), key=lambda one: -one[1])


def stored_people(numbers: Mapping[str, Any]) -> list[Balance]:
    """Return who would gain and lose contacts by a stored refusal, the largest movement first; of many the first."""
    return [
        Balance(person=one["person"], name=one["name"], gains=one["gains"], loses=one["loses"])
        for one in numbers.get("people", ())
    ]
