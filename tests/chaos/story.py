"""One seed: what happens in it, in order, and the quiet end that shows whether anything was lost."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from chaos import invariants
from chaos.drawing import COMPANY_OWNERS, CONTACT_OWNERS, draw, draw_faults
from chaos.people import some_act
from chaos.scene import Home, Scene

from reconciler.engine.planning import Undo
from reconciler.engine.run import Consent
from reconciler.portal.read.sweep import Scope

if TYPE_CHECKING:
    from pathlib import Path

    from chaos.scene import Run


@dataclass(kw_only=True)
class Ending:
    """How a seed ended: what the invariants need besides the scene."""

    #: The first full sweep after the last fault, and when it ended by the portal's clock.
    last: Run | None = None
    #: What drifted then: contact, company, owner.
    drift: list[tuple[int, int, int]] = field(default_factory=list)
    #: The undo after it: the run that was taken back, the undo's own, and contact -> (company, owner) around it.
    undone: Run | None = None
    undo: Run | None = None
    before: dict[int, tuple[int, int]] = field(default_factory=dict)
    after: dict[int, tuple[int, int]] = field(default_factory=dict)
    logged: str = ""


@dataclass(kw_only=True)
class Told:
    """What there is to say of one seed; plain values, so that it can come from another process."""

    seed: int
    violations: list[str]
    counts: Counter[str]
    #: Seconds between a precondition and its write, inside the portal.
    exposures: list[float]
    trace: str


def play(seed: int, folder: Path, logged: Any = None) -> Told:
    """Play one seed. `logged` returns what was logged since it was last asked."""
    random = Random(seed)
    scene = Scene(draw(random, seed), folder)
    ending = Ending()
    try:
        populate(scene, random)
        chaos(scene, random)
        calm(scene, random, ending)
        ending.logged = logged() if logged is not None else ""
        violations = invariants.violated(scene, ending)
    finally:
        scene.close()
    violations += [f"escaped: {type(error).__name__}: {error}" for error in scene.escaped]
    return Told(
        seed=seed,
        violations=violations,
        counts=_counted(scene),
        exposures=[deed.at - deed.check.arrived for deed in scene.deeds if deed.check],
        trace=_trace(scene),
    )


def populate(scene: Scene, random: Random) -> None:
    """Fill the portal: companies from 101, contacts from 1, some of several companies, some of none."""
    setup, office = scene.setup, scene.office
    companies = range(101, 101 + setup.companies)
    then = int(scene.portal.wall()) - 1000
    dates = {"date_create": then, "date_modify": then}
    for number in companies:
        own = "Y" if random.random() < 0.05 else "N"
        office.company(number, random.choice(COMPANY_OWNERS), is_my_company=own, **dates)
    for number in range(1, setup.contacts + 1):
        company = random.choice(companies) if random.random() < 0.92 else None
        owner = random.choice(CONTACT_OWNERS)
        if company is not None and random.random() < 0.35:
            owner = scene.owner_of_company(company)
        office.contact(number, owner, company, category_id=2 if random.random() < 0.03 else 0, **dates)
        if company is not None and random.random() < 0.15:
            scene.portal.people.bind(number, random.choice(companies))


def chaos(scene: Scene, random: Random) -> None:
    """Let things go wrong."""
    main = scene.main
    if random.random() < 0.2:
        scene.homes.append(Home(scene, "second worker, same journal", scene.folder, shares=main))
    if random.random() < 0.15:
        folder = scene.folder / "other"
        folder.mkdir()
        scene.homes.append(Home(scene, "other journal", folder))
    for _ in range(random.choice([1, 1, 1, 1, 1, 2, 2, 3])):
        scene.load(draw_faults(random, scene.setup.contacts))
        horizon = random.choice([1.0, 2.0, 4.0, 20.0])  # most runs take a few seconds
        for _ in range(random.choice([0, 2, 4, 8])):
            act, whim = some_act(random), Random(random.random())
            scene.later(random.uniform(0, horizon), partial(_act, scene, act, whim))
        for home in scene.homes[1:]:
            wait = random.choice([0.0, 60.0])
            scene.later(random.uniform(0, horizon), partial(home.work, lease_wait=wait, seconds=600.0))
        if random.random() < 0.25:
            main.fuse = (random.choice(["request", "request", "transaction"]), random.randint(0, 25))
        if random.random() < 0.1:
            scene.later(random.uniform(0, horizon), main.clock.stop)
        main.work(**_order(scene, random))
        _between(scene, random)
    while any(home.busy for home in scene.homes):
        scene.clock.sleep(600)


def calm(scene: Scene, random: Random, ending: Ending) -> None:
    """Nothing goes wrong any more, and nobody is at work but the worker: look at what it leaves behind."""
    main = scene.main
    scene.load(())
    scene.calm = True
    scene.portal.revoked = False
    scene.clock.sleep(1800)  # whatever was planned has happened, all limits are free again, no edit is fresh
    if main.clock._stopped or random.random() < 0.5:
        main.restart()
    main.fuse = None
    ending.last = main.work(confirm=_yes(main))
    ending.drift = _drift(scene)
    done = [
        run for run in main.runs if run.home.journal.path == main.journal.path and any(not d.noop for d in run.deeds)
    ]
    if done and random.random() < 0.6:
        scene.clock.sleep(5)
        ending.undone = random.choice(done)
        ending.before = _contacts(scene)
        ending.undo = main.work(undo=Undo(run=ending.undone.number), confirm=_yes(main))
        ending.after = _contacts(scene)


def _order(scene: Scene, random: Random) -> dict[str, Any]:
    main, chance = scene.main, random.random()
    order: dict[str, Any] = {"seconds": random.choice([600.0, 600.0, None, 20.0]), "lease_wait": 60.0}
    if chance < 0.08:
        order["scope"] = Scope(companies=(random.randint(101, 104),))
    elif chance < 0.13:
        order["limit"] = random.randint(1, 5)
    elif chance < 0.3 and main.runs:
        order["undo"] = random.choice(
            [Undo(run=random.choice(main.runs).number), Undo(contact=random.randint(1, 9)), Undo(company=101)]
        )
    if random.random() < 0.2:
        order["confirm"] = _yes(main)
    return order


def _yes(home: Home) -> Any:
    """Answer the question with yes, and remember what that approves."""

    def confirm(_proposal: Any, refusal: Any) -> Consent:
        if refusal is not None:
            assert home.current is not None
            keys = {change.key for change in refusal.verdict.held}
            home.current.approved |= keys
            home.approved.update(keys)
        return Consent.ALL

    return confirm


def _between(scene: Scene, random: Random) -> None:
    """Let time pass between two runs; somebody may approve, release, or start the worker anew."""
    main = scene.main
    if main.clock._stopped or random.random() < 0.2:
        main.restart()
    waiting = main.journal.approvals.open("portal") if random.random() < 0.4 else []
    if waiting:
        main.approve(random.choice(waiting).digest)
    if random.random() < 0.1:
        entries = main.journal.exceptions.entries("portal")
        if entries:
            main.journal.exceptions.release("portal", [random.choice(entries).id], "Ada")
            scene.count["released"] += 1
    if random.random() < 0.03:
        scene.portal.clock_offset += random.uniform(-86_400, 86_400)
        scene.count["portal's clock moved"] += 1
    scene.clock.sleep(random.choice([0.0, 5.0, 600.0, 600.0, 7 * 3600.0]))


def _act(scene: Scene, act: Any, whim: Random) -> None:
    scene.count[f"act {act.__name__}"] += 1
    act(scene, whim)


def _contacts(scene: Scene) -> dict[int, tuple[int, int]]:
    rows = scene.portal.database.rows("SELECT id, company_id, assigned_by_id FROM contact ORDER BY id")
    return {row["id"]: (row["company_id"] or 0, row["assigned_by_id"]) for row in rows}


def _drift(scene: Scene) -> list[tuple[int, int, int]]:
    rows = scene.portal.database.rows(
        "SELECT contact.id, company.id AS company, contact.assigned_by_id FROM contact"
        " JOIN company ON company.id = contact.company_id WHERE contact.category_id = 0 AND is_my_company = 'N'"
        " AND contact.assigned_by_id <> company.assigned_by_id"
    )
    return [(row["id"], row["company"], row["assigned_by_id"]) for row in rows]


def _counted(scene: Scene) -> Counter[str]:
    counts: Counter[str] = Counter(scene.count)
    counts["write"] += sum(not deed.noop for deed in scene.deeds)
    counts["person's edit of an owner"] += sum(touch.what == "owner" for touch in scene.touches)
    counts["restart"] += sum(home.restarts for home in scene.homes)
    return counts


def _trace(scene: Scene) -> str:
    """Return a digest of all that happened, to compare two plays of one seed."""
    parts = [(d.sent, d.at, d.contact, d.before, d.after) for d in scene.deeds]
    parts += [(t.at, t.entity, t.id, t.what, t.owner) for t in scene.touches]
    parts += [(run.began, run.ended, len(run.deeds)) for home in scene.homes for run in home.runs]
    return hashlib.sha256(repr((parts, sorted(scene.count.items()))).encode()).hexdigest()[:16]
