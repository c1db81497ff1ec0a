"""Every number, name and cause that the commands print is derived here once more, from the portal itself.

Nothing of the worker's is asked: what is expected comes from the portal's tables, from its history of edits, and from
its own counts of requests. A line with a number that is not expected here fails, too.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest
from support.command_line import TOKEN, URL, Desk
from support.portal_truth import COMPARED, DISMISSED, SEVERAL, Drift, Truth

from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.command_line import Ended

QUIET = 180.0
ADMIN = 1
CAUSES = ("changed back", "handed over", "newly created", "newly linked", "edited", "not known")
NOT_COMPARED = "of companies that are one's own, of another category, or not visible to the webhook"
_WHO = "Who gains and who loses"
#: The columns of a change: number, contact, company, from, to, card.
CARD = 5
#: So many changes, and fewer, are shown without the tables of causes and people.
FEW = 20


def contacts(number: int) -> str:
    """Say so many contacts."""
    return f"{number:,} contact{'' if number == 1 else 's'}"


# What the sentences are to be


def causes(found: list[Drift]) -> str:
    """Say why they drifted."""
    counts = Counter(one.cause for one in found)
    return ", ".join(f"{counts[cause]} {cause}" for cause in CAUSES if counts[cause])


def reasons(left: list[Drift]) -> str:
    """Say why they are left alone; the numbers only where there are two reasons."""
    counts = Counter(one.left for one in left)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{counts[reason]}: {reason}" for reason in (DISMISSED, SEVERAL) if counts[reason])


def looked_at(truth: Truth) -> str:
    """Say how much was compared."""
    return f"{truth.companies} companies, {truth.compared} linked contacts"


def drift_words(truth: Truth, drift: list[Drift], *, why: bool) -> str:
    """Say how much drifts, and what becomes of it."""
    left = [one for one in drift if one.left]
    said = f"{contacts(len(drift))} ({len(drift) / truth.compared:.1%}): {len(drift) - len(left)} to change"
    return said + (f", {len(left)} left alone" + (f" ({reasons(left)})" if why else "") if left else "")


def notes(truth: Truth, drift: list[Drift]) -> list[str]:
    """List what a plan says of itself, but for the guard."""
    said = []
    changes = [one for one in drift if not one.left]
    if changes:
        said.append(
            "Deals, activities and tasks stay with the person who had them, and that person may lose sight of the "
            'contact (roles "own records only").'
        )
    dismissed = [one for one in changes if not truth.count(f"user WHERE id = {one.owner} AND active = 1")]
    if dismissed:
        have = "has" if len(dismissed) == 1 else "have"
        said.append(
            f"{len(dismissed)} of these {len(changes)} changes could not be put back by an undo: {len(dismissed)} "
            f"{have} an owner who is dismissed or no employee."
        )
    if missed := truth.linked - truth.compared:
        said.append(f"Not looked at: {contacts(missed)} {NOT_COMPARED}.")
    return said


def most(truth: Truth, counts: Counter[int]) -> tuple[str, int]:
    """Name the person with most, and how many."""
    person = min(counts, key=lambda one: (-counts[one], one))
    return truth.name(person), counts[person]


def held_back(truth: Truth, changes: list[Drift], held: list[Drift], limit: int) -> str:
    """Say what the guard holds back of these changes, up to the next step."""
    said = f"{contacts(len(changes))} would get another owner (limit {limit})"
    if len(held) < len(changes):
        verb = "waits" if len(held) == 1 else "wait"
        said = f"held back in part by the guard: {said}, and {len(held)} of them {verb} for approval ({causes(held)})"
    else:
        said = f"refused by the guard, none of it written: {said}"
    gains, gained = most(truth, Counter(one.company_owner for one in changes))
    loses, lost = most(truth, Counter(one.owner for one in changes))
    return f"{said}; {gains} would gain the most ({gained}) and {loses} would lose the most ({lost})"


# What the commands print


def facts(text: str) -> list[tuple[str, str]]:
    """Return the head of a document: label and text, continued lines put together."""
    found: list[tuple[str, str]] = []
    for line in text.partition("\n\n")[2].partition("\n\n")[0].splitlines():
        label, _, rest = line.strip().partition("  ")
        if line.startswith("   ") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        else:
            found.append((label, rest.strip()))
    return found


def table(text: str, title: str) -> list[list[str]]:
    """Return the cells of a table's rows."""
    if f"\n{title}\n" not in text:
        return []
    lines = text.partition(f"\n{title}\n")[2].strip("\n").partition("\n\n")[0].splitlines()
    return [re.split(r"\s{2,}", line.strip()) for line in lines[2:]]


def without(found: list[tuple[str, str]], *labels: str) -> list[tuple[str, str]]:
    """Leave out what is a time or a digest."""
    return [(label, re.sub(r", [\d.]+ s$", "", text)) for label, text in found if label not in labels]


class Story:
    """A portal in which people work, and somebody who gives commands."""

    def __init__(self, truth: Truth, desk: Desk, random: Random) -> None:
        self.truth = truth
        self.portal = truth.portal
        self.random = random
        self._desk = desk

    def run(self, *arguments: str, code: int = 0) -> Ended:
        """Give a command."""
        self.truth.begin()
        ended = self._desk.run(*arguments)
        assert ended.code == code, ended
        return ended

    def settings(self, text: str) -> None:
        """Go on with other settings."""
        self._desk.config(text)

    def sweep(self, *arguments: str, code: int = 0) -> Ended:
        """Let a complete sweep write what it may."""
        began = self.portal.wall()
        ended = self.run("--once", "--yes", *arguments, code=code)
        self.truth.end_sweep(began)
        return ended

    def people_work(self) -> None:
        """Hand companies over, and add, link, edit and change back contacts, between two quiet times."""
        self.portal.clock.advance(QUIET)  # type: ignore[attr-defined] # its clock can be moved
        people, pick = self.portal.people, self.random
        rows = self.portal.database.rows
        staff = [row["id"] for row in rows("SELECT id FROM user WHERE active = 1 ORDER BY id")]
        companies = [row["id"] for row in rows(f"SELECT id FROM company WHERE {COMPARED} ORDER BY id")]  # noqa: S608
        pick.shuffle(companies)
        for company in companies[:4]:
            people.edit_company(company, ADMIN, assigned_by_id=pick.choice(staff))
        others = companies[4:]
        for company in pick.sample(others, 3):
            people.create_contact(pick.choice(staff), company, assigned_by_id=pick.choice(staff), name="New")
        lonely = [row["id"] for row in rows("SELECT id FROM contact WHERE company_id IS NULL AND category_id = 0")]
        for contact in pick.sample(lonely, 5):
            people.bind_from_company(pick.choice(others), contact)
        linked = rows("SELECT id, company_id FROM contact WHERE company_id IS NOT NULL ORDER BY id")
        found = [row["id"] for row in linked if row["company_id"] in others]
        for contact in pick.sample(found, 12):
            people.edit_contact(contact, pick.choice(staff), assigned_by_id=pick.choice(staff))
        people.delete_contact(pick.choice(found))
        self.portal.clock.advance(QUIET)  # type: ignore[attr-defined] # as above


@contextmanager
def beginning(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Story]:
    """Begin with a portal of its own, on which nobody has looked yet."""
    spec = SeedSpec(
        companies=40, contacts=260, owners=7, drift=0.1, dismissed_owners=1, several_companies=0.05, seed=seed
    )
    portal = build(spec, limits="self-hosted", options=PortalOptions(token=TOKEN))
    [(own,)] = portal.database.rows("SELECT MIN(id) FROM company WHERE is_my_company = 'Y'")
    for _ in range(seed % 3):
        portal.people.create_contact(ADMIN, own)
    monkeypatch.setenv("COLUMNS", "400")
    with serve(portal) as address:
        monkeypatch.setenv(URL, "")
        desk = Desk(tmp_path, monkeypatch, capsys)
        monkeypatch.setenv(URL, address.webhook_url)
        monkeypatch.setenv("COLUMNS", "400")
        yield Story(Truth(portal), desk, Random(seed))


@pytest.fixture(params=range(3), ids=lambda seed: f"seed {seed}")
def story(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Story]:
    """Give a story of this number."""
    with beginning(request.param, tmp_path, monkeypatch, capsys) as told:
        yield told


def hold_plan(story: Story, *arguments: str, guard: str = "") -> None:
    """Hold all that a plan says against the portal."""
    truth, drift = story.truth, story.truth.drift()
    text = story.run("plan", *arguments).out
    expected = [("Looked at", looked_at(truth)), ("Drift", drift_words(truth, drift, why=False))]
    expected += [("Cost", truth.spent), *(("Note", note) for note in notes(truth, drift))]
    said = without(facts(text), "Taken", "Digest", "Causes")
    if guard:
        assert said.pop()[1].startswith(guard)
    assert said == expected
    hold_tables(truth, text, drift)


def hold_causes(text: str, drift: list[Drift]) -> None:
    """Hold the causes against the portal, where they are a table and where they are a line."""
    rows = table(text, "By cause")
    assert {row[1]: int(row[0]) for row in rows} == Counter(one.cause for one in drift if rows)
    assert dict(facts(text)).get("Causes", "") == ("" if rows else causes(drift))


def hold_tables(truth: Truth, text: str, drift: list[Drift]) -> None:
    """Hold the tables of a plan against the portal: causes, people, changes, and what is left alone."""
    changes, left, name = [one for one in drift if not one.left], [one for one in drift if one.left], truth.name
    hold_causes(text, drift)
    gains, loses = Counter(one.company_owner for one in changes), Counter(one.owner for one in changes)
    moved = [
        (row[0], int(row[1]), *(0 if cell == "·" else int(cell) for cell in row[2:4])) for row in table(text, _WHO)
    ]
    assert bool(moved) is (len(changes) > FEW)
    if moved:
        assert sorted(moved) == sorted((name(one), one, gains[one], loses[one]) for one in {*gains, *loses})
    known = {(one.contact, name(one.owner), name(one.company_owner), one.cause) for one in changes}
    rows = table(text, "Changes")
    shown = [(int(row[0]), row[3], row[4], row[5] if len(row) > CARD + 1 else "not known") for row in rows]
    assert len(shown) == len(changes)
    assert set(shown) == known
    stays = []
    for reason, count in Counter(one.left for one in left).items():
        owners = {one.company_owner for one in left if one.left == reason}
        stays.append((count, reason, name(*owners) if len(owners) == 1 else f"{len(owners)} people"))
    assert sorted((int(row[0]), *row[1:3]) for row in table(text, "Left alone")) == sorted(stays)


def test_a_plan_and_the_run_of_it(story: Story) -> None:
    """The first sweep of a portal, and the next one after people have worked there."""
    truth = story.truth
    hold_plan(story)
    for work in (True, True, False):
        changes, left = truth.to_change(), truth.left()
        said = story.sweep().out
        assert written_as_planned(truth, changes)
        rest = f"; {len(left)} left alone ({reasons(left)})" if left else ""
        assert said.startswith(f"{len(changes)} of {contacts(len(changes))} corrected{rest}; {truth.requests}, ")
        assert truth.to_change() == []
        hold_shown(story, changes, left, "applied")
        if work:
            story.people_work()
            hold_plan(story)


def written_as_planned(truth: Truth, changes: list[Drift]) -> bool:
    """Tell whether the portal was changed by just these."""
    return sorted((edit.id, edit.before, edit.after) for edit in truth.written()) == sorted(
        (one.contact, one.owner, one.company_owner) for one in changes
    )


def hold_shown(story: Story, changes: list[Drift], left: list[Drift], status: str) -> None:
    """Hold what the journal says of the latest run against what the portal was before it."""
    truth, drift = story.truth, [*changes, *left]
    spent, applied = truth.spent, len(truth.written())
    text = story.run("show", "latest").out
    outcomes = [("Outcomes", f"{applied} applied")] if applied else []
    missed = truth.linked - truth.compared
    beyond = f"; not at {missed} {NOT_COMPARED}" if missed else ""
    expected = [("Command", "once"), ("Status", status), ("Looked at", looked_at(truth) + beyond)]
    expected += [("Drift", drift_words(truth, drift, why=True)), *outcomes, ("Cost", spent)]
    assert without(facts(text), "Started", "Digest", "Error", "Causes") == expected
    hold_causes(text, drift)


def test_what_the_guard_holds_back_and_what_is_approved(story: Story) -> None:
    """The numbers, causes and people of a set; what is written without it, and what with it."""
    story.sweep()
    story.people_work()
    story.settings("[guard]\nchanges = 12\n")
    truth = story.truth
    changes, left = truth.to_change(), truth.left()
    hold_plan(story, guard="A run would be ")
    ended = story.sweep(code=3)
    held = truth.to_change()
    written = [one for one in changes if one not in held]
    assert written_as_planned(truth, written)
    assert len(written) <= 12 < len(changes)
    assert {one.contact for one in held} <= {one.contact for one in changes}
    rest = f"; {len(left)} left alone ({reasons(left)})" if left else ""
    said = f"{len(written)} of {contacts(len(changes))} corrected, {len(held)} held back by the guard{rest}"
    assert ended.out.startswith(f"{said}; {truth.requests}, ")
    why = held_back(truth, changes, held, 12)
    assert f"reconciler: {why}; to let " in ended.err
    hold_shown(story, changes, left, "held back in part" if written else "refused")
    [waiting] = story.run("approve", "--json").json["approvals"]
    digest = waiting["digest"][:12]
    assert waiting["sentence"] == f"{why}; to let these {len(held)} through: reconciler approve {digest}"
    [row] = [re.split(r"\s{2,}", line) for line in story.run("approve").out.splitlines() if line.startswith(digest)]
    assert row[1:4] == ["waiting", str(len(held)), str(len(held))]
    approved = story.run("approve", digest, "--yes").out
    count = f"{len(held)} change{'' if len(held) == 1 else 's'}"
    assert approved.startswith(f"{count} ({digest}) will go through with the next run until ")
    said = story.sweep().out
    assert written_as_planned(truth, held)
    assert said.startswith(f"{len(held)} of {contacts(len(held))} corrected{rest}; {truth.requests}, ")
    assert story.run("approve").out == "Nothing waits for approval, and no approval is in force.\n"


def reasons_listed(text: str) -> Counter[str]:
    """Return how many contacts an undo left as they are, by the reason that it gives."""
    found: Counter[str] = Counter()
    for line in text.splitlines()[1:]:
        which, _, reason = line.strip().partition(": ")
        number = re.match(r"(\d+) contacts \(", which)
        found[reason] += int(number[1]) if number else 1
    return found


def test_an_undo_and_a_second_one(story: Story) -> None:
    """What is put back, what a person has changed since, and what was put back already."""
    truth = story.truth
    story.sweep()
    ours, pick = truth.written(), story.random
    changed, gone = pick.sample(sorted(edit.id for edit in ours), 2)
    staff = [row["id"] for row in truth.portal.database.rows("SELECT id FROM user WHERE active = 1")]
    mine = next(edit.after for edit in ours if edit.id == changed)
    truth.portal.people.edit_contact(changed, ADMIN, assigned_by_id=pick.choice([one for one in staff if one != mine]))
    truth.portal.people.delete_contact(gone)
    fit = [edit for edit in ours if edit.id not in {changed, gone} and edit.before in staff]
    stay = len(ours) - len(fit)
    said = story.run("undo", "1", "--yes").out
    assert sorted((edit.id, edit.after) for edit in truth.written()) == sorted((edit.id, edit.before) for edit in fit)
    left = f"{stay} left as they are" if stay > 1 else "1 left as it is"
    assert said.startswith(f"{len(fit)} of {contacts(len(fit))} put back; {left}; {truth.requests}, ")
    why = Counter({"somebody has changed the contact since": 1, "the contact is deleted or no longer visible": 1})
    why += Counter({"its old owner is dismissed or no employee's account": stay - 2})
    assert reasons_listed(said) == why
    exceptions = story.run("exceptions", "--json").json["exceptions"]
    assert sorted(one["contact"] for one in exceptions) == sorted(edit.id for edit in fit)
    again = story.run("undo", "1", "--yes").out
    assert truth.written() == []
    assert again.startswith(f"Nothing put back; {len(ours)} left as they are; {truth.requests}, ")
    assert reasons_listed(again) == why + Counter({"this change was taken back already": len(fit)})


@pytest.mark.parametrize("option", ["--company", "--owner"])
def test_a_part_of_the_portal(story: Story, option: str) -> None:
    """The companies, contacts and shares of a part are those of the part."""
    truth, pick = story.truth, story.random
    one = pick.choice(truth.to_change())
    number = one.company if option == "--company" else one.company_owner
    column = "company.id" if option == "--company" else "company.assigned_by_id"
    part = Truth(truth.portal, only=f"{column} = {number}")
    hold_part = story.run("plan", option, str(number)).out
    drift = part.drift()
    said = dict(without(facts(hold_part), "Taken", "Digest", "Note", "Causes"))
    companies = f"{part.companies} compan{'y' if part.companies == 1 else 'ies'}"
    linked = f"{part.compared} linked contact{'' if part.compared == 1 else 's'}"
    assert said == {
        "Looked at": f"{companies}, {linked}",
        "Drift": drift_words(part, drift, why=False),
        "Cost": truth.spent,
    }
    hold_tables(part, hold_part, drift)


def test_the_counts_of_check(story: Story) -> None:
    """What the webhook sees, and what its own user owns."""
    truth = story.truth
    said = story.run("check").out
    lines = {line[9:33].strip(): line[33:].strip() for line in said.splitlines() if len(line) > 33}
    visible = truth.count("company WHERE category_id = 0")
    assert lines["companies"] == f"{visible} companies visible"
    assert lines["contacts with a company"] == f"{truth.linked} contacts with a company visible"
    own = sum(
        truth.count(f"{kind} WHERE category_id = 0 AND assigned_by_id = {ADMIN}") for kind in ("company", "contact")
    )
    assert ("own records" in lines) is bool(own)
    if own:
        assert f"owns {own} companies and contacts" in lines["own records"]
