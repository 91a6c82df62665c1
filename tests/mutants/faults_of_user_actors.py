"""Faults in what keeps, finds and reads the configuration of actors of users."""

from __future__ import annotations

from mutants.planting import Fault

_TREE = ("tests/core/test_tree_own_end.py", "tests/actors/test_user_actors.py")
_FINDING = (
    "tests/core/test_user_actor.py",
    "tests/actors/test_finding_on_hosts.py",
    "tests/actors/test_user_actors.py",
)
_ACTORS = ("tests/actors/test_user_actors.py",)
_CONFIG = ("tests/config/test_config_actors.py",)

FAULTS_OF_USER_ACTORS = (
    Fault(
        name="user actors: one that crashes ends the whole tree",
        file="core/tree.py",
        old="return _end_by_own_rule(tree, child, reason, now)",
        new="return _restart(tree, child, reason, now)",
        tests=_TREE,
    ),
    Fault(
        name="user actors: given up one restart too early",
        file="core/tree.py",
        old="if len(recent) > rule.intensity.limit:",
        new="if len(recent) >= rule.intensity.limit:",
        tests=_TREE,
    ),
    Fault(
        name="user actors: transient counts a crash as done",
        file="core/tree.py",
        old="if rule.restart is RestartType.TRANSIENT and child.finished:",
        new="if rule.restart is RestartType.TRANSIENT:",
        tests=_TREE,
    ),
    Fault(
        name="user actors: the stop waits for one that was given up",
        file="core/tree.py",
        old="left = [c for c in tree.children.values() if c.state not in AT_REST]",
        new="left = [c for c in tree.children.values() if c.state is not ActorState.STOPPED]",
        tests=_TREE,
    ),
    Fault(
        name="user actors: one that begins afresh is given up for what was before",
        file="core/tree.py",
        old="fresh = replace(child, restarts=(), failures=0) if child.state in AT_REST else child",
        new="fresh = child",
        tests=_TREE,
    ),
    Fault(
        name="user actors: what is required does not count on named hosts",
        file="core/user_actor.py",
        old="and not lacking(actor.requires, host.capabilities)",
        new="and (actor.hosts or not lacking(actor.requires, host.capabilities))",
        tests=_FINDING,
    ),
    Fault(
        name="user actors: one that is given up is waited for",
        file="core/finding.py",
        old="            trouble = Trouble.ENDED",
        new="            trouble = Trouble.AWAY",
        tests=_FINDING,
    ),
    Fault(
        name="user actors: a lost host is waited for",
        file="core/finding.py",
        old="trouble = Trouble.LOST if host.state is HostState.LOST else Trouble.AWAY",
        new="trouble = Trouble.AWAY",
        tests=_FINDING,
    ),
    Fault(
        name="user actors: every host is asked for one that is on a certain one",
        file="actors/hosts.py",
        old='return [name for name in others if request.host in {"", name}]',
        new="return others",
        tests=_FINDING,
    ),
    Fault(
        name="user actors: where one was is believed without end",
        file="actors/user_actor.py",
        old="if known.address is not None and now < known.known_until and not known.unsent:",
        new="if known.address is not None and not known.unsent:",
        tests=_ACTORS,
    ),
    Fault(
        name="user actors: whoever waits is not told of the crash",
        file="actors/user_actor.py",
        old='            self._refuse(self._sender, f"{self.name} crashed: {reason}")',
        new="            self._sender = None",
        tests=_ACTORS,
    ),
    Fault(
        name="user actors: a message for another one is handled",
        file="actors/user_actor.py",
        old="        if letter.to != self.name:",
        new='        if letter.to == "":',
        tests=_ACTORS,
    ),
    Fault(
        name="user actors: other settings do not replace it",
        file="core/spec.py",
        old="return self.class_name, self.folder, self.settings",
        new="return self.class_name, self.folder",
        tests=_FINDING,
    ),
    Fault(
        name="user actors: one that was given up does not end the cluster",
        file="actors/user_actors.py",
        old="            if phase is not known.report.phase:",
        new="            if phase is known.report.phase:",
        tests=_ACTORS,
    ),
    Fault(
        name="user actors: what the class requires is forgotten",
        file="config/actors.py",
        old="spec = replace(spec, requires=tuple(dict.fromkeys((*spec.requires, *own))))",
        new="own = ()",
        tests=_CONFIG,
    ),
    Fault(
        name="user actors: a class of the configuration's folder hides another one",
        file="adapters/actor_class.py",
        old="sys.path.append(folder)",
        new="sys.path.insert(0, folder)",
        tests=_CONFIG,
    ),
)
