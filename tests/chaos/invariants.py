"""What must hold whatever happens, judged by the portal's own record of a seed; one function for each promise.

Each returns a sentence for every breach it finds. What somebody did inside the portal between a precondition and its
write is counted in `scene.count`, and is no breach.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from chaos.explaining import explained
from chaos.scene import BOT, DAN, GONE, TOKEN, Touch

from reconciler.core.model import Result, Rule, Status
from reconciler.core.policy import DismissedOwner, PersonEdit
from reconciler.errors import PausedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chaos.scene import Deed, Home, Run, Scene
    from chaos.story import Ending

    from reconciler.core.guard import GuardLimits
    from reconciler.journal.records import ChangeRecord

#: A little more than nothing: virtual seconds are added up.
_EPSILON = 1e-6
#: Refusals that a worker which has the portal for itself never causes.
_LIMITS = ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT")


def violated(scene: Scene, ending: Ending) -> list[str]:
    """Return every breach, each with the name of its invariant."""
    journal = Journals(scene)
    return [f"{check.__name__}: {breach}" for check in ALL for breach in check(scene, ending, journal)]


def journal_holds_every_write(scene: Scene, _ending: Ending, journal: Journals) -> Iterator[str]:
    """(1) Every write is in the journal of who wrote it, before it left, with the right before and after."""
    for deed in scene.deeds:
        row = journal.row(deed)
        if row is None:
            yield f"{_words(deed)} is not in the journal as a change of run {deed.run.number}"
            continue
        shown = _shown(deed)
        if row.change.after != deed.after or (shown and row.change.before != shown[1]):
            yield f"{_words(deed)} is in the journal as {row.change.before} -> {row.change.after}"
        if not deed.intended:
            yield f"{_words(deed)} left before it was in the journal"
    for row in journal.rows:
        if row.result is None and row in journal.of(scene.main):
            yield f"the change of contact {row.change.contact} in run {row.run} is still open after the last sweep"
        if row.result is Result.APPLIED and not _somebody_wrote(scene, row):
            yield f"run {row.run} claims to have written {row.change.after} to {row.change.contact}, and nobody did"
    for deed in scene.deeds:
        row = journal.row(deed)
        denied = row is not None and row.result in {Result.ALREADY, Result.DENIED, Result.FAILED}
        if denied and not deed.noop and not _touched(scene, deed.contact, deed.at, scene.clock.monotonic()):
            yield f"{_words(deed)} took effect, and the journal says {row.result}: {row.detail}"  # type: ignore[union-attr]


def no_write_over_a_person(scene: Scene, _ending: Ending, journal: Journals) -> Iterator[str]:
    """(2) Right before a write its precondition found just what it was planned to overwrite.

    A change that fell between the two, inside one request, is overruled: counted.
    """
    for deed in scene.deeds:
        shown = _shown(deed)
        if deed.check is None or shown is None:
            yield f"{_words(deed)} without a precondition that found the contact"
            continue
        row = journal.row(deed)
        if row is not None and shown != (row.change.company, row.change.before):
            planned = f"company {row.change.company} and owner {row.change.before}"
            yield f"{_words(deed)}: planned over {planned}, and the precondition found {shown}"
        if shown == (deed.company, deed.before):
            continue
        between = _touched(scene, deed.contact, deed.check.arrived, deed.at)
        if not between:
            yield f"{_words(deed)}, though its precondition found company {shown[0]} and owner {shown[1]}"
        elif not deed.noop:
            scene.count["overruled in the gap"] += 1
    yield from _written_again(scene)
    yield from _written_again(scene)
    if scene.setup.rules.policies.person_edit is PersonEdit.RESPECT:
        yield from _disrespected(scene)


def owner_derived_from_the_company(scene: Scene, _ending: Ending, journal: Journals) -> Iterator[str]:
    """(3) Never an owner whom the policy does not derive from the company as read, and never an inactive one."""
    for deed in scene.deeds:
        row, shown = journal.row(deed), _shown(deed)
        if row is None or deed.check is None or shown is None:
            continue
        if row.change.rule is Rule.UNDO:
            undone = journal.by_id(deed.run, row.undoes)
            if undone is None or (undone.change.before, undone.change.after) != (deed.after, row.change.before):
                yield f"{_words(deed)} takes back what the journal does not hold"
        else:
            owner = deed.check.owners.get(shown[0], 0)
            if deed.after not in _derived(scene, owner, deed.check.began, deed.at):
                yield f"{_words(deed)} by {row.change.rule}, and the precondition found the company's owner {owner}"
        if not deed.fit:
            dismissed = scene.dismissed.get(deed.after)
            if dismissed is None or dismissed < deed.check.began - _EPSILON:
                yield f"{_words(deed)}, who was no active employee when that was read"
            else:
                scene.count["dismissed in the gap"] += 1


def guarded_or_approved(scene: Scene, _ending: Ending, journal: Journals) -> Iterator[str]:
    """(4) What was not approved passed the guard: a run writes no more of it than the limits let through.

    The share is of the linked contacts as they were counted with the latest read of all companies. A run that passes
    by that count, and would not by the one when it began, is counted.
    """
    limits = scene.setup.rules.guard
    for run in _runs(scene):
        unseen: dict[int, Deed] = {}
        for deed in run.deeds:
            row = journal.row(deed)
            if row is not None and row.change.key not in run.approved:
                unseen[deed.contact] = deed
        if not unseen:
            continue
        count, own_choice = len(unseen), [d for d in unseen.values() if not _handed_over(scene, d)]
        if count > limits.changes:
            yield f"run {run.number} wrote {count} changes that nobody had approved, above {limits.changes}"
        if not (run.undo or run.part):
            measured = _measured(scene, run)
            if all(_large(limits, count, contacts) for contacts in measured):
                yield f"run {run.number} wrote {count} of {max(measured)} contacts, and nobody had approved it"
            elif _large(limits, count, run.contacts):
                scene.count["share of an earlier count"] += 1
        yield from _too_much_for_one(scene, run, own_choice)


def no_needless_write(scene: Scene, _ending: Ending, _journal: Journals) -> Iterator[str]:
    """(5) No update that changes nothing, except where somebody else set the very value after the precondition.

    Nor where the new owner was dismissed since the plan, and no company stands between: the portal drops the number.
    """
    noops = [deed for deed in scene.deeds if deed.noop]
    if len(noops) + scene.count["dismissed before the write"] != scene.portal.stats()["noop_updates"]:
        yield f"{scene.portal.stats()['noop_updates']} needless updates, of which {len(noops)} are known"
    for deed in noops:
        since = deed.check.arrived if deed.check else deed.at
        if deed.check is None or not any(
            touch.what == "owner" and touch.owner == deed.after
            for touch in _touched(scene, deed.contact, since, deed.at)
        ):
            yield f"{_words(deed)} changed nothing"
        else:
            scene.count["needless by coincidence"] += 1


def nothing_rejected_alone(scene: Scene, _ending: Ending, _journal: Journals) -> Iterator[str]:
    """(6) No request of a worker that had the portal for itself was refused for going too fast or taking too long."""
    if scene.others_at_work or len(scene.homes) > 1 or scene.main.restarts:
        return
    scripted = {"fault rate_limited", "fault operation_limit", "fault refused"}
    if any(scene.count[what] for what in scripted):
        return
    scene.count["seeds with the portal for itself"] += 1
    rejected = scene.portal.stats()["rejected"]
    for code in _LIMITS:
        if rejected.get(code):
            yield f"{rejected[code]} times {code}"


def nothing_left_to_do(scene: Scene, ending: Ending, _journal: Journals) -> Iterator[str]:
    """(7) After the last fault the next full sweep leaves no drift but what is left alone for a reason that holds."""
    run = ending.last
    if run is None or run.finished is None:
        yield f"the last sweep could not run: {run.failure if run else 'no lease'}"
        return
    proposal = run.finished.proposal
    # Where companies are missing, a sweep with nothing to write is not called in sync, but it has seen what there is.
    seen = run.finished.report.status is Status.INCOMPLETE and proposal is not None and not proposal.plan.changes
    if not seen and run.finished.report.status not in {Status.APPLIED, Status.IN_SYNC}:
        yield f"the last sweep ended as {run.finished.report.status}: {run.finished.report.error}"
        return
    assert proposal is not None
    skips = {skip.mismatch.contact: skip.reason for skip in proposal.plan.skips}
    for contact, company, owner in ending.drift:
        sentence = explained(scene, contact, company, owner, skips.get(contact))
        if sentence:
            yield f"contact {contact} of company {company} was left with owner {owner}: {sentence}"


def undo_restores_untouched(scene: Scene, ending: Ending, journal: Journals) -> Iterator[str]:
    """(8) An undo puts back exactly what still stands as the run left it, and so all that nobody else touched."""
    run, undo = ending.undone, ending.undo
    if run is None:
        return
    if undo is None:
        yield "the undo could not run"
        return
    last = {deed.contact: deed for deed in run.deeds if not deed.noop}
    for contact, state in ending.before.items():
        changed, deed = ending.after.get(contact) != state, last.get(contact)
        stands = deed is not None and state == (_shown(deed, 0), deed.after)
        if changed:
            row = journal.of_run(run).get(contact)
            ours = stands or any(
                t.owner == state[1] for t in _touched(scene, contact, run.began, _settled(scene, run, row))
            )
            if row is None or (row.change.company, row.change.after) != state or not ours:
                yield f"the undo of run {run.number} made {ending.after.get(contact)} of contact {contact}, {state}"
            elif ending.after[contact] != (state[0], row.change.before):
                yield f"the undo of run {run.number} gave contact {contact} to {ending.after[contact]}"
            elif not stands:  # it was sent, and somebody else wrote the very same: nobody can tell
                scene.count["somebody else's write taken for ours"] += 1
        if changed or not stands or deed is None:
            continue
        others = _touched(scene, contact, deed.check.arrived if deed.check else 0.0, scene.clock.monotonic())
        later = [d for d in scene.deeds if d.contact == contact and d.at > deed.at and d.run not in {run, undo}]
        if not others and not later and deed.before and scene.fit(deed.before):
            yield f"the undo of run {run.number} left contact {contact} with {state[1]}, and not with {deed.before}"
    scene.count["put back by the last undo"] += sum(ending.after.get(c) != s for c, s in ending.before.items())


def token_in_no_output(scene: Scene, ending: Ending, _journal: Journals) -> Iterator[str]:
    """(9) The webhook's token stands in no log line, no error and not in the journal."""
    if TOKEN in ending.logged:
        line = next(line for line in ending.logged.splitlines() if TOKEN in line)
        yield f"the log has it: {line.replace(TOKEN, '<TOKEN>')[:300]}"
    if any(TOKEN in sentence for sentence in scene.said):
        yield "an error has it"
    for path in sorted(scene.folder.rglob("*")):
        if path.is_file() and TOKEN.encode() in path.read_bytes():
            yield f"{path.name} has it"


ALL: tuple[Callable[[Scene, Ending, Journals], Iterator[str]], ...] = (
    journal_holds_every_write,
    no_write_over_a_person,
    owner_derived_from_the_company,
    guarded_or_approved,
    no_needless_write,
    nothing_rejected_alone,
    nothing_left_to_do,
    undo_restores_untouched,
    token_in_no_output,
)


def nothing_grows(samples: list[tuple[int, int, int]]) -> Iterator[str]:
    """(10) Neither memory nor file handles nor threads grow over seeds, once everything is loaded.

    `samples` are of one process, in order: resident kilobytes, open files, threads.
    """
    settled = samples[len(samples) // 3 :]
    if len(settled) < 2:
        return
    for name, place, allowed in (("kilobytes", 0, 12_000), ("open files", 1, 0), ("threads", 2, 0)):
        first, last = settled[0][place], settled[-1][place]
        if last - first > allowed and any(a[place] < b[place] for a, b in pairwise(settled)):
            yield f"nothing_grows: {first} {name} became {last}"


# Inside


class Journals:
    """The journals of a scene, as one."""

    def __init__(self, scene: Scene) -> None:
        self._by_run = {
            (id(run.home.runs), run.number): {row.change.contact: row for row in run.home.journal.changes(run.number)}
            for run in _runs(scene)
        }

    @property
    def rows(self) -> list[ChangeRecord]:
        return [row for rows in self._by_run.values() for row in rows.values()]

    def of(self, home: Home) -> list[ChangeRecord]:
        """Return the rows of one installation's journal."""
        return [row for (runs, _), rows in self._by_run.items() if runs == id(home.runs) for row in rows.values()]

    def of_run(self, run: Run) -> dict[int, ChangeRecord]:
        return self._by_run[id(run.home.runs), run.number]

    def row(self, deed: Deed) -> ChangeRecord | None:
        return self._by_run[id(deed.run.home.runs), deed.run.number].get(deed.contact)

    def by_id(self, run: Run, number: int | None) -> ChangeRecord | None:
        return next(
            (
                row
                for (home, _), rows in self._by_run.items()
                if home == id(run.home.runs)
                for row in rows.values()
                if row.id == number
            ),
            None,
        )


def _runs(scene: Scene) -> list[Run]:
    """Return the runs of all journals, each once."""
    return list({id(run): run for home in scene.homes for run in home.runs}.values())


def _shown(deed: Deed, place: int | None = None) -> tuple[int, int] | int | None:
    """Return company and owner of the contact as its precondition found them, or one of the two."""
    shown = deed.check.contact if deed.check else None
    return shown if shown is None or place is None else shown[place]


def _touched(scene: Scene, contact: int, since: float, until: float) -> list[Touch]:
    """Return what others did to a contact in this time; what other installations wrote counts as theirs."""
    others = [
        Touch(at=deed.at, entity="contact", id=deed.contact, what="owner", owner=deed.after)
        for deed in scene.deeds
        if len(scene.homes) > 1 and not deed.noop and deed.contact == contact
    ]
    return [
        touch
        for touch in [*scene.touches, *others]
        if (touch.entity, touch.id) == ("contact", contact) and since - _EPSILON <= touch.at <= until + _EPSILON
    ]


def _settled(scene: Scene, run: Run, row: ChangeRecord | None) -> float:
    """Return until when nobody could tell what became of a change: what a run left open, a later one reads."""
    if row is None or row.settled_at is None:
        return run.ended
    return max(run.ended, (row.settled_at - scene.clock.timeline.start).total_seconds())


def _somebody_wrote(scene: Scene, row: ChangeRecord) -> bool:
    """Tell whether the portal has a write that this row may speak of, or somebody else set the same owner."""
    change = row.change
    return any(deed.contact == change.contact and deed.after == change.after for deed in scene.deeds) or any(
        touch.id == change.contact and touch.owner == change.after for touch in scene.touches
    )


def _derived(scene: Scene, owner: int, checked: float, done: float) -> set[int]:
    """Return whom the policy derives from a company with this owner; who was dismissed in the gap is still in."""
    policies = scene.setup.rules.policies
    unfit = owner in {GONE, BOT} or scene.dismissed.get(owner, done + 1) <= done
    derived = set()
    if owner and (not unfit or scene.dismissed.get(owner, 0.0) >= checked - _EPSILON):
        derived.add(owner)
    if owner and unfit:
        if policies.dismissed_owner is DismissedOwner.SUCCESSOR:
            derived.add(policies.successor)
        elif policies.dismissed_owner is DismissedOwner.HEAD:
            derived.add(DAN)
    return derived


def _large(limits: GuardLimits, count: int, contacts: int) -> bool:
    """Tell whether so many changes are too large a share; some contacts may come or go while it is counted."""
    return contacts > limits.share_from and count > limits.share * (contacts + 2) + 1


def _measured(scene: Scene, run: Run) -> set[int]:
    """Return how many linked contacts the guard may have measured a run against: the portal had so many when asked.

    The worker's word only chooses among these counts. It asks with each read of all companies, so what it was told
    before the last one was due is too old: unless the portal's clock was moved, or a sweep has gone on over hours.
    """
    home = run.home
    aged = scene.count["portal's clock moved"] or any(
        other.finished is not None and isinstance(other.finished.failure, PausedError) for other in home.runs
    )
    oldest = 0.0 if aged else run.began - scene.setup.tactics.relist.total_seconds() - 1  # its date has whole seconds
    counted = {contacts for at, contacts in home.counted if oldest <= at <= run.ended}
    said = {run.finished.report.contacts} if run.finished is not None else set()
    return counted & said or counted or {run.contacts}


def _too_much_for_one(scene: Scene, run: Run, deeds: list[Deed]) -> Iterator[str]:
    limits = scene.setup.rules.guard
    gained = Counter(deed.after for deed in deeds)
    lost = Counter(owner for deed in deeds if (owner := _shown(deed, 1)))
    for what, limit, counts in (("gained", limits.gained, gained), ("lost", limits.lost, lost)):
        for person, number in counts.items():
            if number > limit:
                yield f"in run {run.number} {person} {what} {number} contacts, and nobody had approved it"


def _handed_over(scene: Scene, deed: Deed) -> bool:
    """Tell whether a write may follow from a hand-over of the company: its contact had an earlier owner of it."""
    shown = _shown(deed)
    return shown is not None and any(
        touch.entity == "company" and touch.what == "owner" and touch.id == shown[0] for touch in scene.touches
    )


def _is_new(run: Run, edits: list[Touch]) -> bool:
    """Tell whether a contact came after the last complete sweep: it is new then, whoever gave it to whom since."""
    born = next((touch.at for touch in edits if touch.what == "created"), None)
    swept = [r.began for r in run.home.runs if r.finished and not (r.finished.failure or r.undo or r.part)]
    return born is not None and not any(born < began < run.began for began in swept)


def _written_again(scene: Scene) -> Iterator[str]:
    """Yield the writes over a person who put the old owner back after an earlier write of the same run."""
    for deed in scene.deeds:
        for earlier in (d for d in deed.run.deeds if d.contact == deed.contact and d.at < deed.at and not d.noop):
            back = [t for t in _touched(scene, deed.contact, earlier.at, deed.at) if t.owner == deed.before]
            if back and deed.check is not None and back[-1].at < deed.check.arrived - _EPSILON:
                yield f"{_words(deed)} once more, though a person had put {deed.before} back"


def _written_again(scene: Scene) -> Iterator[str]:
    """Say which contacts a run wrote a second time though a person had given them to somebody after the first."""
    for run in _runs(scene):
        first: dict[int, Deed] = {}
        for deed in run.deeds:
            earlier, read = first.setdefault(deed.contact, deed), deed.check.arrived if deed.check else deed.at
            touched = _touched(scene, deed.contact, earlier.at + _EPSILON, read - _EPSILON)
            if earlier is not deed and any(touch.what == "owner" for touch in touched):
                yield f"{_words(deed)} once more, over a person's edit since"


def _disrespected(scene: Scene) -> Iterator[str]:
    """Yield the writes over a choice that a person made since the last complete sweep, the company being as it was."""
    for deed in scene.deeds:
        run, shown = deed.run, _shown(deed)
        if run.undo or not run.swept_before or shown is None:
            continue
        earlier = max((r.ended for r in run.home.runs if r.began < run.began), default=0.0)
        edits = [t for t in scene.touches if t.id == deed.contact and t.entity == "contact" and t.at <= run.began]
        latest = edits[-1] if edits else None
        # What happened while a sweep was under way may have been seen by it, and was then old for the next one.
        if latest is None or latest.what != "owner" or latest.at <= earlier or latest.owner != shown[1]:
            continue
        company = [t for t in scene.touches if (t.entity, t.id) == ("company", shown[0])]
        ours = [d for d in scene.deeds if d.contact == deed.contact and d.at < deed.at]
        others = len(scene.homes) > 1 or scene.count["released"] or scene.count["portal's clock moved"]
        if not (company or ours or others or _is_new(run, edits)):
            yield f"{_words(deed)}, though a person had chosen {shown[1]} since the last sweep, to be respected"


def _words(deed: Deed) -> str:
    return (
        f"at {deed.at:.1f} s {deed.run.home.name}, run {deed.run.number}, wrote contact {deed.contact}"
        f" {deed.before} -> {deed.after}"
    )
