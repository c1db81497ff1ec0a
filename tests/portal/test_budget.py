"""The budget: seconds per method in ten minutes, by what the portal says and by what was reckoned (F5.2, F15)."""

from __future__ import annotations

import math

import pytest
from support.portal_fixture import Office
from support.portal_line import Line

from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.entities import BATCH, COMPANY_LIST, CONTACT_LIST
from reconciler.portal.rest.batch_codec import Command, Timing
from reconciler.portal.rest.limits import HOLD, RESERVE, UNMEASURED, Budget
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.meters import OperatingMeter, OperatingModel

M = "crm.contact.update"


def told(*figures: float | None, reset_at: float | None = None, duration: float | None = None) -> list[Timing]:
    """Return what the sub-results of a batch say."""
    return [Timing(operating=figure, operating_reset_at=reset_at, duration=duration) for figure in figures]


def test_nothing_known_yet() -> None:
    """Planned for the tail of what updates take, which is a second (F16)."""
    assert Budget(VirtualClock(), limit=480).affordable(M) == (480 - RESERVE) / UNMEASURED


def test_no_limit() -> None:
    """A self-hosted portal with the limiter off."""
    budget = Budget(VirtualClock(), limit=None)
    budget.observe(M, told(1000, duration=50), 0)
    assert budget.affordable(M) == math.inf


def test_the_next_calls_are_expected_to_cost_half_as_much_again() -> None:
    """Predicted from the cost seen so far, which the portal need not have counted itself."""
    budget = Budget(VirtualClock(), limit=480)
    assert budget.observe(M, told(None, None, duration=2), 0) == 4
    assert budget.cost(M) == 2
    assert budget.affordable(M) == (480 - RESERVE - 4) / 3


def test_what_is_foretold_rises_at_once_and_falls_slowly() -> None:
    """F16: how long updates take varies much, so that a few short ones say little of the next ones."""
    budget = Budget(VirtualClock(), limit=480)
    expected = []
    used = 0.0
    for seconds in (1, 9, 1, 1):
        used += budget.observe(M, told(None, duration=seconds), 0)
        expected.append((480 - RESERVE - used) / budget.affordable(M) / 1.5)
        assert budget.cost(M) == seconds
    assert expected == pytest.approx([1, 9, 7, 5.5])


@pytest.mark.parametrize(
    ("figures", "used"),
    [
        pytest.param((46.0, 0, 0), 46, id="first-sub-result-only"),
        pytest.param((4.0, 8.0, 12.0), 12, id="cumulative"),
        pytest.param((None, 46.0), 46, id="one-absent"),
        pytest.param((None, None), 8, id="absent"),
        pytest.param((0, 0), 8, id="zero"),
        pytest.param((3.0, 3.0), 8, id="less-than-reckoned"),
    ],
)
def test_of_the_reported_figures_the_highest_counts(figures: tuple[float | None, ...], used: float) -> None:
    """F15: never the sum; a zero behind a figure is no news, and no figure at all leaves what was reckoned."""
    budget = Budget(VirtualClock(), limit=480)
    budget.observe(M, told(*figures, duration=8 / len(figures)), 0)
    assert budget.affordable(M) == (480 - RESERVE - used) / (1.5 * 8 / len(figures))


def test_a_zero_in_a_later_answer_is_no_news() -> None:
    """F15: the figure stands until its time is up."""
    clock = VirtualClock()
    budget = Budget(clock, limit=480)
    budget.observe(M, told(400.0, reset_at=600, duration=1), 0)
    clock.sleep(60)
    budget.observe(M, told(0, duration=1), 60)
    assert budget.affordable(M) == (480 - RESERVE - 401) / 1.5


def test_a_later_figure_replaces_the_one_before() -> None:
    """It is cumulative, and may have fallen as the oldest minute left the window."""
    clock = VirtualClock()
    budget = Budget(clock, limit=480)
    budget.observe(M, told(400.0, reset_at=100), 0)
    clock.sleep(90)
    budget.observe(M, told(20.0, reset_at=600), 90)
    assert budget.affordable(M) == (480 - RESERVE - 20) / UNMEASURED


def test_what_came_after_the_figure_is_added_to_it() -> None:
    """An answer without a figure still cost seconds."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(400.0, reset_at=600), 0)
    clock.sleep(1)
    budget.observe(M, told(None, duration=30), 1)
    assert budget.affordable(M) == (480 - RESERVE - 430) / 45


def test_the_window_moves_on() -> None:
    """Ten minutes after a call its seconds are back."""
    budget = Budget(clock := VirtualClock(), limit=480)
    for _ in range(2):
        budget.observe(M, told(None, duration=200), 0)
        clock.sleep(100)
    assert budget.affordable(M) < 1
    assert [budget.wait(M, 0.1), budget.wait(M, 0.9), budget.wait(M)] == [0, 400, 500]
    clock.sleep(400)
    assert budget.affordable(M) == (480 - RESERVE - 200) / 300
    clock.sleep(100)
    assert budget.affordable(M) == (480 - RESERVE) / 300


@pytest.mark.parametrize(
    ("reset_at", "wait"),
    [
        pytest.param(1_250.0, 250, id="told"),
        pytest.param(None, 600, id="not-told"),
        pytest.param(999.0, 0, id="past"),
        pytest.param(9_999_999.0, 600, id="absurd"),
    ],
)
def test_how_long_a_full_window_lasts(reset_at: float | None, wait: float) -> None:
    """The portal's own clock counts, and no figure lasts longer than the window."""
    budget = Budget(VirtualClock(), limit=480)
    budget.observe(M, told(475.0, reset_at=reset_at), 1_000)
    assert budget.wait(M) == wait


def test_calls_too_short_to_be_counted_are_free() -> None:
    """F15: 0.1 s each, however many of them; half as much again is allowed for."""
    budget = Budget(VirtualClock(), limit=480)
    assert budget.observe(M, told(0, 0, duration=0.06), 0) == 0
    assert budget.affordable(M) == math.inf


def test_a_method_over_its_limit_waits_even_for_short_calls() -> None:
    """F5.2: the portal refuses it before it looks how long it would take."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(485.0, reset_at=600), 0)
    clock.sleep(1)
    budget.observe(M, told(None, duration=0.01), 1)
    assert budget.affordable(M) == 0
    assert budget.wait(M) == 599


def test_one_call_is_always_allowed_in_an_empty_window() -> None:
    """Or a method that costs more than the limit could never be called again."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(None, duration=470), 0)
    assert budget.affordable(M) < 1
    clock.sleep(600)
    assert budget.affordable(M) == 1


def test_the_envelope_counts_for_every_method() -> None:
    """F15: some portals bill all to `batch`; what it has used is gone for everyone."""
    budget = Budget(VirtualClock(), limit=480)
    budget.observe(BATCH, told(460.0, reset_at=600), 0)
    assert budget.affordable(M) == 10 / UNMEASURED
    assert budget.affordable(COMPANY_LIST) == 10 / UNMEASURED
    assert budget.wait(M, 11) == 600


def test_exhausted_without_a_word() -> None:
    """F5.2: five minutes, the ban of the newer limiter; other methods go on."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.exhausted(M)
    assert budget.affordable(M) == 0
    assert budget.wait(M) == 300
    assert budget.affordable(COMPANY_LIST) > 1
    clock.sleep(300)
    assert budget.affordable(M) > 1


def test_exhausted_with_a_known_end() -> None:
    """The longer of the ban and the announced end."""
    for reset_at, free_at in ((500, 500), (200, 300)):
        budget = Budget(clock := VirtualClock(), limit=480)
        budget.observe(M, told(470.0, reset_at=reset_at), 0)
        budget.exhausted(M)
        while budget.affordable(M) < 1:
            clock.sleep(budget.wait(M))
        assert clock.monotonic() == free_at


def test_an_exhausted_envelope_stops_all() -> None:
    """`batch` itself may be refused (F15)."""
    budget = Budget(VirtualClock(), limit=None)
    budget.exhausted(BATCH)
    assert (budget.affordable(M), budget.affordable(CONTACT_LIST)) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "reported", "learned"),
    [
        pytest.param(480, 420.0, 419, id="lower"),
        pytest.param(480, 500.0, 480, id="higher"),
        pytest.param(480, 15.0, 480, id="too-low-to-be-true"),
        pytest.param(480, None, 480, id="not-told"),
        pytest.param(None, 420.0, 419, id="none-before"),
        pytest.param(None, None, None, id="none-and-not-told"),
    ],
)
def test_a_refusal_teaches_the_limit(limit: float | None, reported: float | None, learned: float | None) -> None:
    """The portal's own figure proves what it allows, less the last call, which was still let through."""
    budget = Budget(clock := VirtualClock(), limit=limit)
    budget.observe(M, told(reported, duration=1), 0)
    budget.exhausted(M)
    clock.sleep(1200)
    assert budget.affordable(M) == (math.inf if learned is None else (learned - RESERVE) / 1.5)


@pytest.mark.parametrize(
    ("watched", "limit", "used", "learned"),
    [
        pytest.param(0, 480, 400, 399, id="near-the-limit"),
        pytest.param(0, 480, 300, 480, id="an-earlier-process-may-have-spent-the-rest"),
        pytest.param(600, 480, 300, 299, id="a-whole-window-was-watched"),
        pytest.param(600, 480, 20, 480, id="too-low-to-be-true"),
        pytest.param(600, None, 300, 299, id="no-limit-in-the-settings"),
        pytest.param(0, None, 300, None, id="no-limit-and-not-watched"),
    ],
)
def test_without_a_figure_our_own_reckoning_teaches(
    watched: float, limit: float | None, used: int, learned: float | None
) -> None:
    """Missing counters are unknown, not zero: what was spent here is all there is to go by (F15)."""
    budget = Budget(clock := VirtualClock(), limit=limit)
    clock.sleep(watched)
    budget.observe(M, told(*[None] * used, duration=1), 0)
    budget.exhausted(M)
    clock.sleep(600)
    assert budget.affordable(M) == (math.inf if learned is None else (learned - RESERVE) / 1.5)


def test_a_figure_of_a_while_ago_teaches_nothing() -> None:
    """Another program may have used up the rest since; nor does what was spent here say how much that is."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(420.0, reset_at=600, duration=1), 0)
    clock.sleep(60)
    budget.exhausted(M)
    clock.sleep(1200)
    assert budget.affordable(M) == (480 - RESERVE) / 1.5


def test_a_limit_that_hardly_a_call_fits_into_is_not_believed() -> None:
    """It would hold for hours, with one call in each window: somebody else has used up the rest, or is banned."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(45.0, reset_at=600, duration=40), 0)
    budget.exhausted(M)
    clock.sleep(1200)
    assert budget.affordable(M) == (480 - RESERVE) / 60


def test_a_refusal_at_the_limit_is_no_news() -> None:
    """The last call went beyond it, as far as it was long."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(490.0, reset_at=600, duration=30), 0)
    budget.exhausted(M)
    clock.sleep(1200)
    assert budget.affordable(M) == (480 - RESERVE) / 45


def test_of_a_whole_batch_the_limit_before_it_is_learned() -> None:
    """F15: where `batch` is billed, it is asked for before its commands run, and may pass its limit by all of them."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(0, duration=30), 0)
    budget.observe(BATCH, told(440.0, reset_at=300, duration=31), 0)
    budget.exhausted(BATCH)
    clock.sleep(1200)
    assert budget.affordable(M) == (440 - 31 - RESERVE) / 45


def test_a_learned_limit_is_tried_again_after_hours() -> None:
    """A tariff changes, another program ends: to find out costs one refused request, so not often."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(200.0, duration=1), 0)
    budget.exhausted(M)
    clock.sleep(HOLD - 1)
    assert budget.affordable(M) == (199 - RESERVE) / 1.5
    clock.sleep(1)
    assert budget.affordable(M) == (480 - RESERVE) / 1.5


def test_what_others_spent_falls_away_minute_by_minute() -> None:
    """An earlier process, or another program: when it spent them is not known, so as evenly as could be (F5.2)."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(450.0, reset_at=300, duration=50), 0)
    left = []
    for _ in range(7):
        left.append(round(480 - RESERVE - budget.affordable(M) * 75))
        clock.sleep(100 if clock.monotonic() < 300 else 60)
    assert left == [450, 450, 450, 370, 290, 210, 130]
    assert budget.wait(M, 6) == 60


@pytest.mark.parametrize(("reset_at", "wait"), [(600, 600), (300, 540), (0, 540)])
def test_no_longer_is_waited_than_until_all_is_forgotten(reset_at: float, wait: float) -> None:
    """For more calls than will ever fit: what others spent is gone with the window in which they did."""
    budget = Budget(VirtualClock(), limit=480)
    budget.observe(M, told(100, reset_at=reset_at), 0)
    assert budget.wait(M, 1000) == wait


def test_calls_under_way_are_planned_for() -> None:
    """Lanes share the budget; what one has sent is not spent by another, answered or not."""
    budget = Budget(VirtualClock(), limit=480)
    with budget.sending({M: 100, CONTACT_LIST: 70}):
        assert budget.affordable(M) == 480 - RESERVE - 170 * UNMEASURED
        with budget.sending({M: 300}):
            assert budget.affordable(M) == 0
            assert budget.wait(M) == 1
    assert budget.affordable(M) == 480 - RESERVE


def test_a_lost_answer_is_as_if_its_calls_had_taken_all_the_time() -> None:
    """F1.2: an error tells no seconds; the portal counted them all the same, and most of them for what takes long."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.observe(M, told(None, duration=2), 0)
    clock.sleep(60)
    budget.unanswered({M: 10, CONTACT_LIST: 5}, 60)
    # Planned were 3 s for each of the ten, and 1 s for each of the five, which nobody has measured: 35 s in all.
    long, short = 3 * 60 / 35, 60 / 35
    assert (budget.cost(M), budget.cost(CONTACT_LIST)) == pytest.approx((long, short))
    assert {method: round(used, 6) for method, used in budget.used().items()} == {
        M: round(2 + 10 * long, 6),
        CONTACT_LIST: round(5 * short, 6),
        BATCH: 60,
    }
    # `batch` counts for every method, and is the higher here.
    assert budget.affordable(M) == pytest.approx((480 - RESERVE - 60) / (1.5 * long))
    assert budget.affordable(CONTACT_LIST) == pytest.approx((480 - RESERVE - 60) / (1.5 * short))


def test_a_lost_answer_may_have_been_billed_to_the_envelope() -> None:
    """F15: counted for every method, once, and forgotten with the window."""
    budget = Budget(clock := VirtualClock(), limit=480)
    budget.unanswered({M: 1}, 60)
    assert budget.affordable(COMPANY_LIST) == (480 - RESERVE - 60) / UNMEASURED
    clock.sleep(60)
    budget.observe(BATCH, told(70.0, reset_at=540), 0)
    assert budget.used()[BATCH] == 70
    clock.sleep(540)
    assert budget.used()[BATCH] == 0


def test_lost_answers_teach_no_limit_of_the_envelope() -> None:
    """Whether they were billed to `batch` is not known, so a refusal of it says nothing about what it allows."""
    budget = Budget(clock := VirtualClock(), limit=480)
    clock.sleep(600)
    budget.unanswered({M: 1}, 400)
    budget.exhausted(BATCH)
    assert budget.limit == 480


def test_a_connection_that_fails_at_once_cost_nothing() -> None:
    """Nothing was carried out, or no more than a call that is not counted."""
    budget = Budget(VirtualClock(), limit=480)
    budget.unanswered({M: 10}, 1)
    assert budget.affordable(M) == (480 - RESERVE) / UNMEASURED


def test_an_answer_without_timings() -> None:
    """Nothing to learn from it."""
    budget = Budget(VirtualClock(), limit=480)
    assert budget.observe(M, [], 0) == 0
    assert budget.observe(M, [Timing()], 0) == 0
    assert budget.cost(M) == 0
    assert budget.wait(M) == 0


# On the embedded portal ---------------------------------------------------------------------------------------------


def slow_line(
    model: OperatingModel, *, allowed: float = 480, seconds: float = 3, ban: bool = False, lanes: int = 1
) -> Line:
    """Return a line to a portal whose lists take seconds each, and a client that believes in 480."""
    clock = VirtualClock(Timeline())
    meter = OperatingMeter(clock, model, allowed, ban)
    office = Office(clock=clock, meter=meter, costs=CostModel(Profile(read=seconds)))
    return Line(office, operating=480, lanes=lanes)


PAGES = [Command(CONTACT_LIST, {"order": {"ID": "ASC"}, "select": ["ID"], "start": 0})] * 200


@pytest.mark.parametrize("ban", [False, True], ids=["window", "ban"])
@pytest.mark.parametrize("model", OperatingModel)
def test_slow_lists_never_meet_the_limit(model: OperatingModel, ban: bool) -> None:
    """F15: 200 lists of 3 s each, under every model: held back before a refusal, none left out, none cut at 60 s."""
    line = slow_line(model, ban=ban)
    answers = [*line.client.read(PAGES[:1]), *line.client.read(PAGES[1:])]
    assert len(answers) == 200
    assert line.stats["rejected"] == {}
    assert line.stats["commands"] == {CONTACT_LIST: 200}
    assert 600 < line.clock.monotonic() < 1_500


@pytest.mark.parametrize("model", OperatingModel)
def test_lanes_never_meet_the_limit_together(model: OperatingModel) -> None:
    """F5.2: parallel requests are billed when they end; what is under way counts already, so lanes stay empty."""
    line = slow_line(model, lanes=3)
    assert len(line.client.read(PAGES)) == 200
    assert line.stats["rejected"] == {}
    # Fifty take too long for a request, and so do half as many: three are cut, and three more.
    assert line.stats["commands"][CONTACT_LIST] <= 200 + 6 * 21
    assert line.clock.monotonic() < 1_500


def test_a_portal_that_turns_slow_is_read_in_smaller_requests() -> None:
    """F5.3: 50 lists of 3 s are cut at 60 s, always; halved once, and planned by their time from then on."""
    line = slow_line(OperatingModel.DOCS)
    assert len(line.client.read(PAGES[:60])) == 60
    assert line.stats["rejected"] == {}
    assert line.stats["commands"][CONTACT_LIST] <= 60 + 2 * 21
    requests = line.stats["requests"]
    assert len(line.client.read(PAGES[:20])) == 20
    assert line.stats["requests"] - requests == 2


@pytest.mark.parametrize("model", [OperatingModel.DOCS, OperatingModel.BATCH, OperatingModel.FIRST])
def test_a_lower_limit_is_learned(model: OperatingModel) -> None:
    """Refused once, inside the batch or as a whole; asked again later, and not refused a second time."""
    line = slow_line(model, allowed=200)
    assert len(line.client.read(PAGES[:100])) == 100
    assert line.stats["rejected"]["OPERATION_TIME_LIMIT"] <= 10
    before = line.stats["rejected"]
    line.client.read(PAGES[:100])
    assert line.stats["rejected"] == before


@pytest.mark.parametrize("ban", [False, True], ids=["window", "ban"])
@pytest.mark.parametrize("model", OperatingModel)
def test_what_lost_answers_used_is_waited_for(model: OperatingModel, ban: bool) -> None:
    """F5.2, F15: each of two lost lists took more than a method may; whomever the portal billed, nothing is refused.

    Nor are the minutes of that wait taken for minutes of trying, of which there are five.
    """
    clock = VirtualClock(Timeline())
    office = Office(clock=clock, meter=OperatingMeter(clock, model, 40, ban))
    line = Line(office, operating=40)
    slow = {"kind": "slow", "seconds": 70.0, "method": CONTACT_LIST, "times": 2}
    office.portal.faults.load([slow])
    other = Command(COMPANY_LIST, {"select": ["ID"], "start": -1})
    line.client.read([other])  # known to take nothing, so it is not held back for its own part of the lost request
    assert len(line.client.read([other, PAGES[0]])) == 2
    assert line.stats["rejected"] == {}
    office.portal.faults.load([slow])
    line.clock.sleep(600)
    assert len(line.client.read_together(PAGES[:1])) == 1
    assert line.stats["rejected"] == {}


def test_the_seconds_of_a_run_are_added_up() -> None:
    """What the meter counts, for the report."""
    line = slow_line(OperatingModel.DOCS)
    line.client.read(PAGES[:20])
    assert line.client.usage.operating_seconds == pytest.approx(60)
    assert line.client.usage.commands == 20
