"""The checker of answers finds what is wrong in histories made by hand, and nothing in those that are right."""

from __future__ import annotations

from support.discovery_history import Answer, Cause, Deed, History, Outage, Promises
from support.discovery_plan import plan

PROMISES = Promises(bounds_s=dict.fromkeys(Cause, 1.0), recovered_s=5.0)

X, Y = 1, 2
OWNERS = {X: "a", Y: "b"}


def deed(at: float, cause: Cause, location: int = X, *, lasts_s: float = 0.1) -> Deed:
    return Deed(location=location, cause=cause, began=at, ended=at + lasts_s)


def up(location: int = X, *, at: float = 0.0) -> list[Deed]:
    return [deed(at, Cause.STARTED, location), deed(at, Cause.REGISTERED, location)]


def answer(
    at: float, *locations: int, site: str = "a", client: str = "", limit: int = 0, lasts_s: float = 0.1
) -> Answer:
    name = client or f"client of {site}"
    return Answer(client=name, site=site, asked=at, answered=at + lasts_s, locations=locations, max_count=limit)


def broken(deeds: list[Deed], *answers: Answer, outages: tuple[Outage, ...] = ()) -> list[str]:
    """Return the rules that are broken, each once, in the order of their discovery."""
    history = History(owners=OWNERS, deeds=deeds, answers=answers, outages=outages, promises=PROMISES)
    found = list(history.violations())
    for violation in found:
        assert history.story_of(violation).endswith("<- this one")
    return list(dict.fromkeys(violation.rule for violation in found))


def test__nothing_was_done__nothing_may_be_named() -> None:
    assert broken([], answer(5)) == []
    assert broken([], answer(5, X)) == ["stale"]


def test__unknown_location__is_named() -> None:
    assert broken([], answer(5, 99)) == ["stale"]


def test__same_location__is_named_twice() -> None:
    assert broken(up(), answer(5, X, X)) == ["once"]


def test__registered_and_serving__may_be_missing_until_the_bound_is_over() -> None:
    assert broken(up(), answer(1.0), answer(1.05, X)) == []
    assert broken(up(), answer(1.2)) == ["missing"]
    # The question was asked early enough, however late the answer was.
    assert broken(up(), answer(1.0, lasts_s=9)) == []


def test__registered_and_not_serving__or_the_other_way_round__is_missing_rightly() -> None:
    assert broken([deed(0, Cause.REGISTERED)], answer(5)) == []
    assert broken([deed(0, Cause.STARTED)], answer(5)) == []
    assert broken([*up(), deed(2, Cause.SICKENED)], answer(5)) == []
    assert broken([*up(), deed(2, Cause.SICKENED), deed(3, Cause.HEALED)], answer(5)) == ["missing"]


def test__interruption__begins_before_it_is_done() -> None:
    # It may have been dead already when the answer was given.
    assert broken([*up(), deed(4, Cause.DIED, lasts_s=2.0)], answer(5)) == []
    assert broken([*up(), deed(4, Cause.DIED, lasts_s=2.0)], answer(3)) == ["missing"]


def test__registered_anew__may_be_missing_for_a_while_again() -> None:
    assert broken([*up(), deed(4, Cause.REGISTERED)], answer(4.5)) == []
    assert broken([*up(), deed(4, Cause.REGISTERED)], answer(5.5)) == ["missing"]


def test__deregistered_dead_or_not_serving__may_be_named_until_the_bound_is_over() -> None:
    for cause in (Cause.DEREGISTERED, Cause.DIED, Cause.SICKENED):
        assert broken([*up(), deed(3, cause)], answer(4.0, X)) == [], cause
        assert broken([*up(), deed(3, cause)], answer(4.2, X)) == ["stale"], cause


def test__dead__and_deregistered_later__is_stale_by_the_first_of_them() -> None:
    assert broken([*up(), deed(3, Cause.DIED), deed(4, Cause.DEREGISTERED)], answer(4.5, X)) == ["stale"]


def test__not_serving__and_dead_later__is_not_pardoned_by_the_second() -> None:
    assert broken([*up(), deed(3, Cause.SICKENED), deed(4, Cause.DIED)], answer(4.5, X)) == ["stale"]


def test__back__may_be_named_as_soon_as_it_has_begun() -> None:
    deeds = [*up(), deed(2, Cause.DIED), deed(5, Cause.STARTED)]
    assert broken(deeds, answer(4.9, X, lasts_s=0.2)) == []
    assert broken(deeds, answer(4.8, X)) == ["stale"]


def test__limit__is_kept_and_used() -> None:
    deeds = [*up(X), *up(Y)]
    assert broken(deeds, answer(5, X, limit=1), answer(6, Y, X, limit=2), answer(7, Y, X, limit=9)) == []
    assert broken(deeds, answer(5, X, Y, limit=1)) == ["limit"]
    assert broken(deeds, answer(5, limit=1)) == ["too few"]
    assert broken(deeds, answer(5, X, limit=2)) == ["too few"]


def test__deregistration_that_was_seen__is_not_forgotten() -> None:
    deeds = [*up(), deed(3, Cause.DEREGISTERED)]
    assert broken(deeds, answer(2.5, X), answer(3.2, X), answer(3.5), answer(3.9)) == []
    assert broken(deeds, answer(2.5, X), answer(3.2), answer(3.5, X)) == ["back"]
    # Two clients may ask two balancers.
    assert broken(deeds, answer(3.2, client="one"), answer(3.5, X, client="two")) == []
    # A question for one of them alone tells nothing.
    assert broken([*deeds, *up(Y)], answer(3.2, Y, limit=1), answer(3.5, X, Y)) == []


def test__deregistered_and_registered_again__may_be_back() -> None:
    deeds = [*up(), deed(3, Cause.DEREGISTERED), deed(3.3, Cause.REGISTERED)]
    assert broken(deeds, answer(3.2), answer(3.35, X)) == []


def test__missing_for_another_reason__may_be_back() -> None:
    # It is not known of the first answer whether it was missing for its health or for its deregistration.
    deeds = [*up(), deed(2, Cause.SICKENED), deed(3, Cause.DEREGISTERED), deed(3.2, Cause.HEALED)]
    assert broken(deeds, answer(3.1), answer(3.4, X)) == []
    # It had never arrived.
    deeds = [*up(), deed(0.5, Cause.DEREGISTERED)]
    assert broken(deeds, answer(0.6), answer(0.7, X)) == []


def test__store_away__news_of_others_may_be_late() -> None:
    outage = Outage(began=3.0, ended=8.0)
    deeds = [*up(X), *up(Y), deed(4, Cause.DEREGISTERED, Y)]
    assert broken(deeds, answer(7, X, Y), answer(12, X, Y), outages=(outage,)) == []
    assert broken(deeds, answer(13.1, X, Y), outages=(outage,)) == ["stale"]


def test__store_away__news_of_its_own_are_not_late() -> None:
    outage = Outage(began=3.0, ended=8.0)
    deeds = [*up(X), *up(Y), deed(4, Cause.DEREGISTERED, Y)]
    assert broken(deeds, answer(7, X, Y, site="b"), outages=(outage,)) == ["stale"]


def test__store_away__nobody_may_vanish_for_that() -> None:
    outage = Outage(began=3.0, ended=8.0)
    assert broken(up(Y), answer(7), outages=(outage,)) == ["missing"]
    assert broken(up(Y), answer(9), outages=(outage,)) == ["missing"]


def test__store_away__the_dead_are_no_news_of_the_store() -> None:
    outage = Outage(began=3.0, ended=8.0)
    assert broken([*up(Y), deed(4, Cause.DIED, Y)], answer(7, Y), outages=(outage,)) == ["stale"]


def test__store_back__what_is_done_right_after_may_be_late_too() -> None:
    outage = Outage(began=3.0, ended=8.0)
    deeds = [*up(Y), deed(10, Cause.DEREGISTERED, Y)]
    assert broken(deeds, answer(14, Y), outages=(outage,)) == []
    assert broken(deeds, answer(15.2, Y), outages=(outage,)) == ["stale"]
    assert broken([*up(Y), deed(14, Cause.DEREGISTERED, Y)], answer(15.2, Y), outages=(outage,)) == ["stale"]


def test__registrar_away__news_of_its_site_may_be_late_and_no_others() -> None:
    outage = Outage(began=3.0, ended=8.0, site="b")
    assert broken([*up(Y), deed(4, Cause.DEREGISTERED, Y)], answer(7, Y), outages=(outage,)) == []
    assert broken([*up(X), deed(4, Cause.DEREGISTERED, X)], answer(7, X), outages=(outage,)) == ["stale"]
    assert broken([*up(X), deed(4, Cause.DEREGISTERED, X)], answer(7, X, site="b"), outages=(outage,)) == []


def test__quiet__everybody_agrees() -> None:
    # What they say is right or wrong; here it is said by a location that nothing is known of for sure.
    deeds = [deed(0, Cause.REGISTERED, X, lasts_s=0), deed(0, Cause.STARTED, X, lasts_s=3)]
    assert "agree" not in broken(deeds, answer(2, X), answer(2, site="b"))
    assert "agree" in broken(deeds, answer(5, X), answer(5, site="b"))
    assert "agree" in broken(deeds, answer(5, X), answer(6))
    assert broken(deeds, answer(5, X), answer(6, X, site="b")) == []


def test__story__tells_what_concerns_the_location_and_when_it_came_and_went() -> None:
    deeds = [*up(X), *up(Y), deed(3, Cause.DEREGISTERED)]
    told = [answer(2, X, Y), answer(2.1, X, Y), answer(3.2, Y), answer(5, X, Y)]
    history = History(owners=OWNERS, deeds=deeds, answers=told, promises=PROMISES)
    violation = next(history.violations())
    assert history.story_of(violation).splitlines() == [
        "stale: 1 has not been registered for too long",
        "0.000..0.100  1 registered",
        "0.000..0.100  1 started",
        "3.000..3.100  1 deregistered",
        "3.200..3.300  client of a at a: 2",
        "5.000..5.100  client of a at a: 1 2  <- this one",
    ]


def test__plan__is_decided_by_its_seed_and_possible() -> None:
    owners = [0, 0, 1, 1]
    steps = plan(7, 200, owners=owners, rest_s=2.0)
    assert steps == plan(7, 200, owners=owners, rest_s=2.0)
    assert steps != plan(8, 200, owners=owners, rest_s=2.0)
    assert {step.cause for step in steps} == {*Cause, None}
    for number in range(len(owners)):
        causes = [step.cause for step in steps if step.location == number]
        alive = [cause for cause in causes if cause in {Cause.DIED, Cause.STARTED}]
        assert alive[::2] == [Cause.DIED] * len(alive[::2])
        assert alive[1::2] == [Cause.STARTED] * len(alive[1::2])
