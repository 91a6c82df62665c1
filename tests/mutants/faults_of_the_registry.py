"""Faults in what is registered, and in what clients are told of it."""

from __future__ import annotations

from mutants.planting import Fault

_OWN = ("tests/core/test_registry.py", "tests/model")
_REGISTRAR = (
    "tests/core/test_registrar.py",
    "tests/core/test_registrar_following.py",
    "tests/core/test_registrar_view.py",
    "tests/core/test_registrar_model.py",
)
_KEYS = ("tests/core/test_location_key.py",)
_VIEW = (
    "tests/core/test_live_view.py",
    "tests/core/test_live_view_ranked.py",
    "tests/core/test_live_view_kept_order.py",
    "tests/core/test_live_view_model.py",
)
_RANKING = ("tests/core/test_ranking.py", "tests/core/test_ranking_standing_order.py")
_STORE = ("tests/adapters/test_store_contract.py", "tests/adapters/test_store_contract_watches.py")

FAULTS_OF_THE_REGISTRY = (
    Fault(
        name="owners: an older incarnation replaces a newer one",
        file="core/registry.py",
        old="if known is None or known.registration.incarnation < registration.incarnation:",
        new="if known is None or known.registration.incarnation != registration.incarnation:",
        tests=_OWN,
    ),
    Fault(
        name="owners: a late deregistration takes the successor away",
        file="core/registry.py",
        old=" and known.owner == owner and known.registration.incarnation <= registration.incarnation:",
        new=" and known.owner == owner:",
        tests=_OWN,
    ),
    Fault(
        name="owners: told before everybody has announced",
        file="core/registry.py",
        old="return not self.awaited",
        new="return len(self.awaited) <= 1",
        tests=_OWN,
    ),
    Fault(
        name="owners: an announcement adds only",
        file="core/registry.py",
        old="if entry.owner != owner}",
        new="}",
        tests=_OWN,
    ),
    Fault(
        name="store: not written again after a failure",
        file="core/registrar.py",
        old="        dirty=state.dirty | frozenset(event.keys),\n",
        new="",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: no re-registration after the lease ended",
        file="core/registrar.py",
        old="        must_list=True,\n        hold_until=now + rules.hold_s,\n",
        new="        hold_until=now + rules.hold_s,\n",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: watched from the last revision, not the next",
        file="core/registrar.py",
        old="from_revision=state.revision + 1)",
        new="from_revision=state.revision + 2)",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: compacted, and not listed again",
        file="core/registrar.py",
        old="        case FollowingFailed(compacted=True):\n"
        "            return replace(_given_up(state, now + FIRST_RETRY_S), must_list=True), set(), []",
        new="        case FollowingFailed(compacted=True):\n"
        "            return _given_up(state, now + FIRST_RETRY_S), set(), []",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: an answer to an older question counts",
        file="core/registrar.py",
        old="            if event.number != state.follow_number:\n                return state, set(), []\n",
        new="",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: no pause after a failure",
        file="core/registrar.py",
        old="return min(max(FIRST_RETRY_S, away_s / 5), LAST_RETRY_S)",
        new="return 0.0",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: others' keys are deleted",
        file="core/registrar_writes.py",
        old="return key not in state.own and stored is not None and stored.lease in state.mine",
        new="return key not in state.own and stored is not None",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: keys under a live lease of others are taken",
        file="core/registrar_writes.py",
        old="(stored.lease != state.lease and stored.lease in state.mine | {NO_LEASE})",
        new="stored.lease != state.lease",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: deleted before the agents have announced",
        file="core/registrar_writes.py",
        old="if state.is_complete and len(removals) < MAX_OPERATIONS:",
        new="if len(removals) < MAX_OPERATIONS:",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: an echo undoes what was written since",
        file="core/registrar_view.py",
        old="if before is not None and event.mod_revision <= before.mod_revision:",
        new="if before is not None and event.mod_revision < 0:",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: everything vanishes right after an outage",
        file="core/registrar_view.py",
        old="    return now < state.hold_until or is_outage(state, now)",
        new="    return False",
        tests=_REGISTRAR,
    ),
    Fault(
        name="store: what is held is held for ever",
        file="core/registrar_view.py",
        old="over = {location for location, each in state.held.items() if now >= each.until}",
        new="over: set[Location] = set()",
        tests=_REGISTRAR,
    ),
    Fault(
        name="keys: names are not escaped",
        file="core/location_key.py",
        old='return part.replace("%", "%25").replace("/", "%2F")',
        new='return part.replace("%", "%25")',
        tests=_KEYS,
    ),
    Fault(
        name="memory: a lease ends and its keys stay",
        file="adapters/store_memory.py",
        old="        self._apply([Delete(key=key) for key in keys])\n        del self._leases[lease]",
        new="        self._apply([Delete(key=key) for key in keys[1:]])\n        del self._leases[lease]",
        tests=_STORE,
    ),
    Fault(
        name="memory: conditions are not looked at",
        file="adapters/store_memory.py",
        old="return entry is not None and entry.lease == condition.lease",
        new="return entry is not None",
        tests=_STORE,
    ),
    Fault(
        name="etcd: keeping a dead lease alive succeeds",
        file="adapters/store_etcd.py",
        old="            if answer.TTL <= 0:\n                raise _no_lease(link, lease)\n",
        new="",
        tests=_STORE,
    ),
    Fault(
        name="view: what does not serve is handed out",
        file="core/live_entry.py",
        old="        return Entry(registration=self.registration, health=health, health_detail=detail)",
        new="        return replace(self, health=health, health_detail=detail)",
        tests=_VIEW,
    ),
    Fault(
        name="view: news of an older incarnation counts",
        file="core/live_view.py",
        old="return entry if entry is not None and entry.registration == registration else None",
        new="return entry",
        tests=_VIEW,
    ),
    Fault(
        name="view: hand-outs do not count",
        file="core/live_entry.py",
        old="handed_out_at = (*self.handed_out_at[lapsed:], now)",
        new="handed_out_at = self.handed_out_at[lapsed:]",
        tests=_VIEW,
    ),
    Fault(
        name="view: hand-outs count for ever",
        file="core/live_entry.py",
        old="            if now >= valid_until:\n",
        new="            if now >= valid_until + 1e9:\n",
        tests=_VIEW,
    ),
    Fault(
        name="view: a report never gets too old",
        file="core/live_entry.py",
        old="        if now < stale_at:\n",
        new="        if now >= 0 or now < stale_at:\n",
        tests=_VIEW,
    ),
    Fault(
        name="view: capacity 0 is offered",
        file="core/live_entry.py",
        old="return self.candidate is not None and self.candidate.report.request_capacity > 0",
        new="return self.candidate is not None",
        tests=_VIEW,
    ),
    Fault(
        name="ranking: full ones come with the free ones",
        file="core/ranking.py",
        old="standing = 1 if candidate.is_stale else 0 if load < 1.0 else 2",
        new="standing = 1 if candidate.is_stale else 0",
        tests=_RANKING,
    ),
    Fault(
        name="ranking: equal ones are not told apart",
        file="core/ranking.py",
        old="return (standing, load, host_load, used_at, lot, host, location.port)",
        new="return (standing, load, host_load, used_at, lot)",
        tests=_RANKING,
    ),
)
