"""The actors under a supervisor: what follows when they start, end, crash and stop."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.profiles import examples

from quaestor_actors.core import actor, tree
from quaestor_actors.core.actor import (
    ActorState,
    AskToStop,
    ChildCrashed,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ChildStopped,
    ClockAdvanced,
    CreateActor,
    GiveUp,
    KillActor,
    Reconfigured,
    ReplaceChild,
    StartTree,
    StopTree,
    TellStopped,
)
from quaestor_actors.core.restart import Intensity

SPECS = (
    ChildSpec(name="registry", stop_rank=2, stop_deadline_s=5),
    ChildSpec(name="agent", stop_rank=1, stop_deadline_s=50),
    ChildSpec(name="balancer", stop_rank=0, stop_deadline_s=5),
)


class Story:
    """Tells a supervisor events, one after the other, and remembers what each caused."""

    def __init__(self, intensity: Intensity | None = None) -> None:
        self.tree = tree.create(SPECS, intensity)
        self.now = 100.0
        self.effects: tuple[actor.Effect, ...] = ()

    def tell(self, event: actor.Event, *, after_s: float = 0.0) -> Story:
        self.now += after_s
        self.tree, self.effects = tree.decide(self.tree, event, self.now)
        return self

    def state(self, name: str) -> ActorState:
        return self.tree.children[name].state

    def ready(self, name: str) -> Story:
        return self.tell(ChildReady(name=name, incarnation=self.tree.children[name].incarnation, pid=7))

    def ended(self, name: str, *, after_s: float = 0.0) -> Story:
        return self.tell(ChildEnded(name=name, incarnation=self.tree.children[name].incarnation), after_s=after_s)

    def running(self) -> Story:
        self.tell(StartTree())
        for spec in SPECS:
            self.ready(spec.name)
        return self


def test__start__creates_every_actor() -> None:
    story = Story().tell(StartTree())
    assert story.effects == tuple(CreateActor(name=spec.name, incarnation=1) for spec in SPECS)
    assert story.running().state("agent") is ActorState.RUNNING
    assert tree.all_running(story.tree)


def test__end__is_replaced_at_once_with_a_reason() -> None:
    story = Story().running().ended("agent")
    assert story.effects == (CreateActor(name="agent", incarnation=2),)
    assert story.tree.children["agent"].reason == "restarted: its process ended unexpectedly"


def test__crash_then_end__keeps_the_crash_s_reason() -> None:
    story = Story().running().tell(ChildCrashed(name="agent", incarnation=1, reason="KeyError: 'x'"))
    assert story.state("agent") is ActorState.CRASHED
    assert story.ended("agent").tree.children["agent"].reason == "restarted: KeyError: 'x'"


def test__crashed_actor_that_does_not_end__is_killed() -> None:
    story = Story().running().tell(ChildCrashed(name="agent", incarnation=1, reason="stuck"))
    story.tell(ClockAdvanced(), after_s=tree.EXIT_DEADLINE_S)
    assert story.effects == (KillActor(name="agent", incarnation=1),)


def test__actor_that_is_never_ready__is_killed() -> None:
    story = Story().tell(StartTree())
    assert tree.next_deadline(story.tree) == 100 + tree.READY_DEADLINE_S
    story.tell(ClockAdvanced(), after_s=tree.READY_DEADLINE_S)
    assert {type(effect) for effect in story.effects} == {KillActor}


def test__facts_about_an_older_incarnation__change_nothing() -> None:
    story = Story().running().ended("agent")
    before = story.tree
    for event in (
        ChildEnded(name="agent", incarnation=1),
        ChildReady(name="agent", incarnation=1, pid=9),
        ChildCrashed(name="agent", incarnation=1, reason="late"),
        ChildStopped(name="agent", incarnation=1),
        ChildEnded(name="stranger", incarnation=1),
    ):
        assert story.tell(event).tree == before
        assert story.effects == ()


def test__second_end_in_a_row__waits_and_the_third_longer() -> None:
    story = Story().running().ended("agent").ended("agent")
    assert story.state("agent") is ActorState.BACKING_OFF
    assert story.effects == ()
    assert "failure 2 in a row, next try after 0.2 s" in story.tree.children["agent"].reason
    assert story.tell(ClockAdvanced(), after_s=0.2).effects == (CreateActor(name="agent", incarnation=3),)
    story.ended("agent")
    assert story.tree.children["agent"].deadline == story.now + 0.4


def test__stable_time__forgives() -> None:
    story = Story().running().ended("agent").ready("agent")
    story.ended("agent", after_s=60)
    assert story.effects == (CreateActor(name="agent", incarnation=3),)


def test__more_ends_than_the_intensity_allows__give_up_with_a_reason() -> None:
    story = Story(Intensity(limit=2, period_s=10)).running()
    story.ended("agent").ended("balancer").ended("registry")
    (effect,) = story.effects
    assert isinstance(effect, GiveUp)
    assert effect.reason.startswith("3 restarts of actors within 10 s (limit 2); the last: registry: ")


def test__as_many_ends_over_a_longer_time__do_not_give_up() -> None:
    story = Story(Intensity(limit=2, period_s=10)).running()
    for name in ("agent", "balancer", "registry"):
        story.ended(name, after_s=6)
        assert story.effects == (CreateActor(name=name, incarnation=2),)


def test__stop__goes_by_rank_and_tells_when_all_have_ended() -> None:
    story = Story().running().tell(StopTree())
    for name in ("balancer", "agent"):
        assert story.effects == (AskToStop(name=name, force=False),)
        assert story.tell(ChildStopped(name=name, incarnation=1)).effects == ()
        story.ended(name)
    assert story.effects == (AskToStop(name="registry", force=False),)
    assert story.ended("registry").effects == (TellStopped(),)


def test__stop_again_with_force__asks_again() -> None:
    story = Story().running().tell(StopTree()).ended("balancer").tell(StopTree(force=True))
    assert story.effects == (AskToStop(name="agent", force=True),)
    assert story.tell(StopTree(force=True)).effects == ()


def test__crash_while_stopping__is_not_replaced() -> None:
    story = Story().running().tell(StopTree())
    story.tell(ChildCrashed(name="balancer", incarnation=1, reason="late"))
    assert story.ended("balancer").effects == (AskToStop(name="agent", force=False),)


def test__actor_that_does_not_stop__is_killed_at_its_deadline() -> None:
    story = Story().running().tell(StopTree()).tell(ClockAdvanced(), after_s=5)
    assert story.effects == (KillActor(name="balancer", incarnation=1),)


def test__stop__of_an_actor_that_waits_for_its_next_try__does_not_start_it() -> None:
    story = Story().running().ended("balancer").ended("balancer").tell(StopTree())
    assert story.effects == (AskToStop(name="agent", force=False),)


def test__stop__of_nothing__tells_at_once() -> None:
    assert tree.decide(tree.create(()), StopTree(), 0.0)[1] == (TellStopped(),)


def test__crash_told_after_the_end__does_not_keep_the_actor_from_its_next_try() -> None:
    # The end is seen on a descriptor, the crash is told in a message: either may come first.
    story = Story().running().ended("agent").ended("agent")
    assert story.state("agent") is ActorState.BACKING_OFF
    story.tell(ChildCrashed(name="agent", incarnation=2, reason="late"))
    assert story.tell(ClockAdvanced(), after_s=0.2).effects == (CreateActor(name="agent", incarnation=3),)


def test__crash_told_after_the_end__does_not_keep_the_tree_from_stopping() -> None:
    story = Story().running().ended("balancer").ended("balancer")
    story.tell(ChildCrashed(name="balancer", incarnation=2, reason="late")).tell(StopTree())
    assert story.effects == (AskToStop(name="agent", force=False),)


# Other actors than before


REGISTRY, AGENT, BALANCER = SPECS
NEW = ChildSpec(name="agent/New", stop_rank=1, stop_deadline_s=5)


def test__reconfigured__added_actor__is_created() -> None:
    story = Story().running().tell(Reconfigured(specs=(*SPECS, NEW)))
    assert story.effects == (CreateActor(name=NEW.name, incarnation=1),)
    assert story.tree.children[NEW.name].reason == "added to the configuration"


def test__reconfigured__removed_actor__is_asked_to_stop_and_forgotten() -> None:
    story = Story().running().tell(Reconfigured(specs=(REGISTRY, BALANCER)))
    assert story.effects == (AskToStop(name="agent", leaving=True),)
    assert story.tell(Reconfigured(specs=(REGISTRY, BALANCER))).effects == ()
    assert story.ended("agent").effects == ()
    assert list(story.tree.children) == ["registry", "balancer"]
    assert story.tree.restarts == ()


def test__reconfigured__removed_actor_that_does_not_stop__is_killed() -> None:
    story = Story().running().tell(Reconfigured(specs=(REGISTRY, BALANCER))).tell(ClockAdvanced(), after_s=50)
    assert story.effects == (KillActor(name="agent", incarnation=1),)


def test__reconfigured__removed_actor_that_backs_off__is_forgotten_at_once() -> None:
    story = Story().running().ended("agent").ended("agent").tell(Reconfigured(specs=(REGISTRY, BALANCER)))
    assert (story.effects, list(story.tree.children)) == ((), ["registry", "balancer"])


def test__reconfigured__added_again_while_it_stops__is_replaced() -> None:
    story = Story().running().tell(Reconfigured(specs=(REGISTRY, BALANCER))).tell(Reconfigured(specs=SPECS))
    assert story.effects == ()
    assert story.ended("agent").effects == (CreateActor(name="agent", incarnation=2),)
    assert story.tree.restarts == ()


def test__reconfigured__while_stopping__changes_nothing() -> None:
    story = Story().running().tell(StopTree())
    before = story.tree
    assert story.tell(Reconfigured(specs=(*SPECS, NEW))).tree == before


def test__replace__running__is_asked_and_followed_at_once() -> None:
    story = Story().running().tell(ReplaceChild(name="agent", reason="another balancer"))
    assert story.effects == (AskToStop(name="agent"),)
    story.tell(ChildStopped(name="agent", incarnation=1))
    assert story.ended("agent").effects == (CreateActor(name="agent", incarnation=2),)
    child = story.tree.children["agent"]
    assert (child.reason, child.failures, story.tree.restarts) == ("another balancer", 0, ())


def test__replace__told_twice__is_not_killed() -> None:
    story = Story().running()
    for _ in range(2):
        story.tell(ReplaceChild(name="agent", reason="another balancer"))
    assert story.effects == ()


def test__replace__starting__is_killed_since_it_has_an_older_first_message() -> None:
    story = Story().tell(StartTree()).tell(ReplaceChild(name="agent", reason="another balancer"))
    assert story.effects == (KillActor(name="agent", incarnation=1),)
    assert story.ended("agent").effects == (CreateActor(name="agent", incarnation=2),)


def test__replace__starting_and_ready_before_its_end__is_not_forgotten() -> None:
    story = Story().tell(StartTree()).tell(ReplaceChild(name="agent", reason="another balancer")).ready("agent")
    assert tree.next_deadline(story.tree) is not None
    story.tell(ClockAdvanced(), after_s=tree.EXIT_DEADLINE_S)
    assert KillActor(name="agent", incarnation=1) in story.effects


def test__replace__backing_off__is_created_at_once() -> None:
    story = Story().running().ended("agent").ended("agent").tell(ReplaceChild(name="agent", reason="new plan"))
    assert story.effects == (CreateActor(name="agent", incarnation=3),)


def test__replace__stranger_leaving_stopping_or_given_up__changes_nothing() -> None:
    stories = [
        Story().running(),
        Story().running().tell(StopTree()),
        Story(Intensity(limit=0, period_s=9)).running().ended("agent"),
    ]
    for story, name in zip(stories, ("stranger", "agent", "agent"), strict=True):
        before = story.tree
        assert story.tell(ReplaceChild(name=name, reason="x")).tree == before
        assert story.effects == ()


def test__stop__while_an_actor_is_replaced__nothing_follows_it() -> None:
    story = Story().running().tell(ReplaceChild(name="balancer", reason="new plan")).tell(StopTree())
    assert story.effects == ()
    assert story.ended("balancer").effects == (AskToStop(name="agent"),)


class TreeMachine(RuleBasedStateMachine):
    """The world around a supervisor: actors that are alive by incarnation, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(Intensity(limit=4, period_s=10))
        self.alive: dict[str, int] = {}
        self.told_stopped = 0
        self.tell(StartTree())

    def tell(self, event: actor.Event) -> None:
        self.story.tell(event)
        for effect in self.story.effects:
            match effect:
                case CreateActor():
                    assert effect.name not in self.alive, "a second actor while one lives"
                    self.alive[effect.name] = effect.incarnation
                case TellStopped():
                    assert not self.alive
                    self.told_stopped += 1
                case _:
                    pass

    @rule(name=st.sampled_from([spec.name for spec in SPECS]), back=st.integers(0, 1))
    def ready(self, name: str, back: int) -> None:
        if child := self.story.tree.children.get(name):
            self.tell(ChildReady(name=name, incarnation=child.incarnation - back, pid=1))

    @rule(specs=st.sampled_from([SPECS, SPECS[:2], SPECS[1:], (*SPECS, NEW)]))
    def reconfigured(self, specs: tuple[ChildSpec, ...]) -> None:
        self.tell(Reconfigured(specs=specs))

    @rule(name=st.sampled_from([spec.name for spec in SPECS]))
    def replaced(self, name: str) -> None:
        self.tell(ReplaceChild(name=name, reason="new plan"))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), crash=st.sampled_from(["none", "told before the end", "told after the end"]))
    def ends(self, data: st.DataObject, crash: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        incarnation = self.alive[name]
        crashed = ChildCrashed(name=name, incarnation=incarnation, reason="crashed")
        if crash == "told before the end":
            self.tell(crashed)
        del self.alive[name]
        for _ in range(2):  # told twice
            self.tell(ChildEnded(name=name, incarnation=incarnation))
        if crash == "told after the end":
            self.tell(crashed)

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.story.now += seconds
        self.tell(ClockAdvanced())

    @rule(force=st.booleans())
    def stop(self, force: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
        self.tell(StopTree(force=force))

    @invariant()
    def whoever_waits_has_a_deadline(self) -> None:
        waiting = {ActorState.STARTING, ActorState.CRASHED, ActorState.STOPPING, ActorState.BACKING_OFF}
        for child in self.story.tree.children.values():
            assert child.state not in waiting or child.deadline is not None

    @invariant()
    def restarts_stay_within_the_intensity(self) -> None:
        state = self.story.tree
        assert len(state.restarts) <= state.intensity.limit or state.given_up

    @invariant()
    def stopped_is_told_once(self) -> None:
        assert self.told_stopped <= 1

    def teardown(self) -> None:
        """Asked to stop, everything ends, whatever happened before; unless it had given up."""
        if self.story.tree.given_up:
            return
        self.tell(StopTree())
        while self.alive:
            name, incarnation = self.alive.popitem()
            self.tell(ChildEnded(name=name, incarnation=incarnation))
        assert self.told_stopped == 1


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=examples(100), stateful_step_count=30)
