"""Who is asked for its load when: a model under random events, and the stories that the rules were made for."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.load_questions_world import EPSILON_S, World
from support.profiles import examples

from quaestor_actors.core import load_questions as rules
from quaestor_actors.core.load_questions import Answer, Watch, WatchEnd

SLACK_S = 0.15
"""Longer than it takes to call each of a few locations twice at the lower rate."""


class AnyEvents(RuleBasedStateMachine):
    """Anything that locations, clients and the clock may do, also news of locations that are gone."""

    keys = st.integers(1, 4)

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.busy_since: float | None = None
        self.busy_until = 0.0
        self.told: set[int] = set()
        self.old: set[int] = set()

    @rule(key=keys)
    def start(self, key: int) -> None:
        self.forget(key)
        self.world.start(key)

    @rule(key=keys)
    def stop(self, key: int) -> None:
        self.forget(key)
        self.world.stop(key)
        since = len(self.world.calls)
        self.world.questions.heard(key, now=self.world.now)
        self.world.do(
            self.world.questions.watch_ended(key, WatchEnd.UNMONITORED, reason="late", now=self.world.now),
        )
        self.world.do(self.world.questions.answered(key, Answer.NOTHING, reason="late", now=self.world.now))
        assert len(self.world.calls) == since

    def forget(self, key: int) -> None:
        self.told.discard(key)
        self.old.discard(key)

    @precondition(lambda self: self.world.watched)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.watched)))
        self.told.add(key)
        self.world.hear(key)

    @rule(key=keys)
    def hand_out(self, key: int) -> None:
        self.demand()
        self.world.questions.handed_out(key, now=self.world.now)

    @precondition(lambda self: self.world.watched)
    @rule(data=st.data(), end=st.sampled_from(WatchEnd))
    def end_watch(self, data: st.DataObject, end: WatchEnd) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.watched)))
        self.forget(key)
        if end is WatchEnd.UNKNOWN:
            self.old.add(key)
        self.world.end_watch(key, end)

    @precondition(lambda self: self.world.asked)
    @rule(data=st.data(), answer=st.sampled_from(Answer))
    def answer(self, data: st.DataObject, answer: Answer) -> None:
        self.world.answer(data.draw(st.sampled_from(sorted(self.world.asked))), answer)

    @rule()
    def demand(self) -> None:
        if self.busy_since is None or self.world.now >= self.busy_until:
            self.busy_since = self.world.now
        self.busy_until = self.world.now + rules.DEMAND_S
        self.world.demand()

    @rule(duration_s=st.sampled_from([0.001, 0.01, 0.05, 0.15, 0.5, 1.1, 2.5, 6.0, 61.0]))
    def pass_time(self, duration_s: float) -> None:
        self.world.pass_time(duration_s)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        world = self.world
        waiting = world.started - world.asked
        assert not waiting or world.wake_at is not None
        for key in waiting:
            assert world.now - world.contact[key] <= rules.IDLE_SILENCE_S + SLACK_S

    @invariant()
    def under_demand_nobody_is_stale(self) -> None:
        world = self.world
        if self.busy_since is None or world.now >= self.busy_until:
            return
        for key in world.started - world.asked:
            age_s = world.now - max(world.contact[key], self.busy_since)
            if key in self.told:
                # Once as one that is silent, and once as one that a client was sent to.
                assert age_s <= 2 * (rules.BUSY_SILENCE_S + SLACK_S)
            if key in self.old:
                assert age_s <= rules.BUSY_PERIOD_S + SLACK_S


AnyEvents.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=40)
test_any_events = AnyEvents.TestCase


def world_of(*keys: int, end: WatchEnd | None = None) -> World:
    """Return locations that were started, heard of if watched, and asked once if not."""
    world = World()
    world.start(*keys)
    for key in keys:
        while key not in world.watched:
            world.pass_time(1 / rules.BUSY_CALLS_PER_S, answers=True)
        if end is None:
            world.hear(key)
        else:
            world.end_watch(key, end)
    return world


def test__new_location__is_watched_at_once() -> None:
    world = World()
    world.start(1)
    assert world.calls == [(0.0, Watch(1))]


def test__worker_of_the_original__is_asked_at_once_and_never_watched_again() -> None:
    world = world_of(1, end=WatchEnd.UNKNOWN)
    world.pass_time(1 / rules.BUSY_CALLS_PER_S, answers=True)
    assert world.asks() == {1: 1}
    begin = world.now
    world.pass_time(10 * rules.BUSY_PERIOD_S, answers=True, demand=True)
    assert 9 <= world.asks(since=begin)[1] <= 11
    world.pass_time(rules.DEMAND_S + rules.IDLE_PERIOD_S, answers=True)
    begin = world.now
    world.pass_time(10 * rules.IDLE_PERIOD_S, answers=True)
    assert 9 <= world.asks(since=begin)[1] <= 11
    world.pass_time(2 * rules.CROWDED_PAUSE_S, answers=True)
    assert world.watches() == {1: 1}


def test__crowded_location__is_asked_and_watched_again_after_a_minute() -> None:
    world = world_of(1, end=WatchEnd.CROWDED)
    world.pass_time(rules.CROWDED_PAUSE_S - rules.IDLE_PERIOD_S, answers=True)
    assert world.asks()[1] > 20
    assert world.watches() == {1: 1}
    world.pass_time(2 * rules.IDLE_PERIOD_S, answers=True)
    assert world.watches() == {1: 2}
    world.hear(1)
    begin = world.now
    world.pass_time(rules.IDLE_SILENCE_S - EPSILON_S, answers=True)
    assert not world.asks(since=begin)


def test__broken_watch__is_asked_at_once_and_watched_again_at_growing_pauses() -> None:
    world = world_of(1)
    pauses = []
    for _ in range(5):
        ended_at = world.now
        world.end_watch(1, WatchEnd.BROKEN)
        while 1 not in world.watched:
            world.pass_time(0.01, answers=True)
        assert world.asks(since=ended_at)[1] >= 1
        pauses.append(world.now - ended_at)
    first, second, later = rules.RETRY_PAUSES_S
    expected = [first, second, later, later, later]
    assert all(0.0 <= pause - wanted < 0.1 for pause, wanted in zip(pauses, expected, strict=True))


def test__watch_that_lasted__is_tried_again_soon() -> None:
    world = world_of(1)
    for _ in range(3):
        for _ in range(3):
            world.pass_time(2.0, answers=True)
            world.hear(1)
        world.end_watch(1, WatchEnd.BROKEN)
        world.pass_time(rules.RETRY_PAUSES_S[0] + SLACK_S, answers=True)
        assert 1 in world.watched


def test__service_that_is_not_monitored__has_failed_and_is_watched_again_but_not_asked() -> None:
    world = world_of(1, end=WatchEnd.UNMONITORED)
    assert world.failures == [(1, "unmonitored")]
    world.pass_time(rules.RETRY_PAUSES_S[0] + SLACK_S)
    assert world.watches() == {1: 2}
    assert not world.asks()


def test__service_that_is_not_monitored_any_more__is_not_asked() -> None:
    world = world_of(1)
    world.end_watch(1, WatchEnd.UNMONITORED)
    world.pass_time(rules.RETRY_PAUSES_S[0] - EPSILON_S, demand=True)
    world.pass_time(SLACK_S, demand=True)
    world.end_watch(1, WatchEnd.UNMONITORED)
    world.pass_time(rules.RETRY_PAUSES_S[1] - EPSILON_S, demand=True)
    assert not world.asks()
    assert world.watches() == {1: 2}


def test__location_that_neither_refuses_nor_tells__is_asked() -> None:
    world = World()
    world.start(1)
    world.pass_time(rules.FIRST_WORD_S - EPSILON_S)
    assert not world.asks()
    world.pass_time(SLACK_S)
    assert world.asks() == {1: 1}


def test__silent_watched_location__is_asked_after_a_second_under_demand() -> None:
    world = world_of(1)
    world.pass_time(rules.BUSY_SILENCE_S - EPSILON_S, demand=True)
    assert not world.asks()
    world.pass_time(SLACK_S, demand=True)
    assert world.asks() == {1: 1}
    world.answer(1, Answer.NOTHING)
    assert world.failures == [(1, "nothing")]
    world.pass_time(rules.HUNG_PAUSE_S + EPSILON_S)
    assert world.asks() == {1: 2}


def test__hung_location_that_speaks_again__is_left_in_peace() -> None:
    world = world_of(1)
    world.pass_time(rules.BUSY_SILENCE_S + SLACK_S, demand=True)
    world.answer(1, Answer.NOTHING)
    world.hear(1)
    begin = world.now
    world.pass_time(rules.BUSY_SILENCE_S - EPSILON_S, demand=True)
    assert not world.asks(since=begin)


def test__watched_location_that_speaks_but_does_not_answer__has_not_failed() -> None:
    world = world_of(1)
    world.pass_time(rules.BUSY_SILENCE_S + SLACK_S, demand=True)
    world.hear(1)
    world.answer(1, Answer.NOTHING)
    assert world.failures == []


def test__watched_location_that_refuses_a_question__has_not_failed() -> None:
    world = world_of(1)
    world.pass_time(rules.BUSY_SILENCE_S + SLACK_S, demand=True)
    world.answer(1, Answer.REFUSAL)
    assert world.failures == []


def test__asked_location_that_refuses__has_failed() -> None:
    world = world_of(1, end=WatchEnd.UNKNOWN)
    world.pass_time(SLACK_S)
    world.answer(1, Answer.REFUSAL)
    assert world.failures == [(1, "refusal")]


MANY = range(1000)


def test__a_thousand_quiet_watched_locations__are_asked_at_a_low_rate_while_nobody_asks() -> None:
    world = world_of(*MANY)
    world.hear(*MANY)
    begin = world.now
    world.pass_time(60.0, answers=True)
    assert 0 < sum(world.asks(since=begin).values()) <= 60.0 * rules.IDLE_SILENT_CALLS_PER_S + 1
    assert max(world.asks(since=begin).values()) - min(world.asks(since=begin)[key] for key in MANY) <= 1


def test__demand_begins__silent_locations_are_asked_at_the_bounded_rate() -> None:
    world = world_of(*MANY)
    world.hear(*MANY)
    world.pass_time(rules.BUSY_SILENCE_S)
    begin = world.now
    world.pass_time(len(MANY) / rules.BUSY_SILENT_CALLS_PER_S + SLACK_S, answers=True, demand=True)
    assert set(world.asks(since=begin)) == set(MANY)
    assert sum(world.asks(since=begin).values()) <= (world.now - begin) * rules.BUSY_SILENT_CALLS_PER_S + 1


def test__silent_location_that_a_client_was_sent_to__does_not_wait_for_a_thousand_others() -> None:
    world = world_of(*MANY)
    world.hear(*MANY)
    world.demand()
    world.questions.handed_out(500, now=world.now)
    begin = world.now
    world.pass_time(rules.BUSY_SILENCE_S - EPSILON_S, answers=True, demand=True)
    assert not world.asks(since=begin)
    world.pass_time(2 / rules.BUSY_SILENT_CALLS_PER_S, answers=True, demand=True)
    assert world.asks(since=begin)[500] == 1
    world.questions.handed_out(501, now=world.now)
    # It says that the client has come.
    world.hear(501)
    world.pass_time(rules.BUSY_SILENCE_S + 1.0, answers=True, demand=True)
    assert 501 not in world.asks(since=begin)


def test__a_thousand_workers_of_the_original__take_turns_at_the_bounded_rate() -> None:
    world = world_of(*MANY, end=WatchEnd.UNKNOWN)
    world.pass_time(10.0, answers=True)
    for demand, rate in ((True, rules.BUSY_CALLS_PER_S), (False, rules.IDLE_CALLS_PER_S)):
        world.pass_time(rules.DEMAND_S, answers=True, demand=demand)
        begin = world.now
        world.pass_time(10.0, answers=True, demand=demand)
        counts = world.asks(since=begin)
        assert sum(counts.values()) <= 10.0 * rate + 1
        assert set(counts) == set(MANY)
        assert max(counts.values()) - min(counts.values()) <= 1


def test__newcomer__does_not_wait_behind_a_thousand_others() -> None:
    world = world_of(*MANY)
    world.pass_time(rules.BUSY_SILENCE_S + SLACK_S, answers=True, demand=True)
    begin = world.now
    world.start(len(MANY))
    world.pass_time(2 / rules.BUSY_CALLS_PER_S + EPSILON_S, answers=True, demand=True)
    assert world.watches(since=begin) == {len(MANY): 1}


def test__late_wake_up__makes_up_for_what_was_missed_but_not_for_much() -> None:
    questions: rules.LoadQuestions[int] = rules.LoadQuestions()
    effects = [effect for key in range(100) for effect in questions.start(key, now=0.0)]
    assert [effect for effect in effects if isinstance(effect, Watch)] == [Watch(0)]
    gap_s = 1 / rules.BUSY_CALLS_PER_S
    late = questions.wake(now=4.5 * gap_s)
    assert [effect for effect in late if isinstance(effect, Watch)] == [Watch(key) for key in range(1, 5)]
    later = questions.wake(now=100.0)
    assert len(later) == 1 + 1 + rules.CATCH_UP_S / gap_s
