"""Faults in the actors, and in what they have in their hands."""

from __future__ import annotations

from mutants.planting import Fault

_ACTORS = ("tests/actors",)
_PROCESSES = ("tests/adapters/test_processes.py",)
_STATE = ("tests/adapters/test_state_file.py", "tests/model")
_FRAMES = ("tests/system/test_sealing.py", "tests/system/test_frames.py", "tests/system/test_transport.py")
_HEALTH = ("tests/adapters/test_health.py", "tests/adapters/test_health_sharing.py")
_FRONTEND = ("tests/adapters/test_frontend.py", "tests/adapters/test_balancer.py")
_LINK = ("tests/adapters/test_store_link.py",)

FAULTS_OF_ACTORS = (
    Fault(
        name="agent: nothing is written down",
        file="actors/agent.py",
        old="            self._notes.save(self._group)\n            others",
        new="            others",
        tests=_ACTORS,
    ),
    Fault(
        name="agent: the registry is not told again after it was replaced",
        file="actors/agent.py",
        old="        self.send(registry, Announce(owner=self._owner, introduction=self._introduction, registrations=",
        new="        _ = (registry, Announce(owner=self._owner, introduction=self._introduction, registrations=",
        tests=_ACTORS,
    ),
    Fault(
        name="agent: a new prober is told nothing",
        file="actors/agent.py",
        old="            self._probe(each)\n            if each.state",
        new="            if each.state",
        tests=_ACTORS,
    ),
    Fault(
        name="agent: announces what does not serve",
        file="actors/agent.py",
        old="if each.state is MemberState.SERVING]\n        found",
        new="if each.port is not None]\n        found",
        tests=_ACTORS,
    ),
    Fault(
        name="agent: its timer is not set again",
        file="actors/agent.py",
        old="        self.wake_at(DEADLINES, group.next_deadline(self._group))\n",
        new="        if DEADLINES not in self._wakeups:\n"
        "            self.wake_at(DEADLINES, group.next_deadline(self._group))\n",
        tests=_ACTORS,
    ),
    Fault(
        name="agent: strays are left alone",
        file="actors/agent.py",
        old="            self._processes.end_stray(stray)\n",
        new="            pass\n",
        tests=_ACTORS,
    ),
    Fault(
        name="root: a new agent supervisor is not told of a change meanwhile",
        file="actors/root.py",
        old="        self._catch_up(name, address)\n",
        new="",
        tests=_ACTORS,
    ),
    Fault(
        name="root: balancers are not told of the registry",
        file="actors/root.py",
        old="            self.send(registry, Follow(follower=follower))\n",
        new="            pass\n",
        tests=_ACTORS,
    ),
    Fault(
        name="actor: a crash is swallowed",
        file="actors/base.py",
        old="            self._crash(error)\n",
        new='            self.log.error("crashed: %s", error)\n',
        tests=_ACTORS,
    ),
    Fault(
        name="actor: a wake-up that is moved comes at the old time",
        file="actors/base.py",
        old="            self._wakeups[key] = at\n",
        new="            self._wakeups.setdefault(key, at)\n",
        tests=_ACTORS,
    ),
    Fault(
        name="processes: adopted by pid only",
        file="adapters/processes.py",
        old="    if start_ticks(process.pid) != process.start_ticks:",
        new="    if start_ticks(process.pid) is None:",
        tests=_PROCESSES,
    ),
    Fault(
        name="processes: grandchildren live on",
        file="adapters/processes.py",
        old="        signal_group(watched, signal.SIGKILL)\n        result",
        new="        result",
        tests=_PROCESSES,
    ),
    Fault(
        name="processes: members inherit our descriptors",
        file="adapters/processes.py",
        old="            os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only",
        new="            os.get_inheritable(descriptor)",
        tests=_PROCESSES,
    ),
    Fault(
        name="state file: of another boot is believed",
        file="adapters/state_file.py",
        old='(records[0].get("version"), records[0].get("boot")) != (VERSION, boot_id())',
        new='records[0].get("version") != VERSION',
        tests=_STATE,
    ),
    Fault(
        name="state file: what is gone is remembered",
        file="adapters/state_file.py",
        old='            yield {"gone": name}\n',
        new='            yield {"left": name}\n',
        tests=_STATE,
    ),
    Fault(
        name="frames: the same frame counts twice",
        file="system/sealing.py",
        old="is_repeated=not self._note(sender, counter, now)",
        new="is_repeated=self._note(sender, counter, now) and False",
        tests=_FRAMES,
    ),
    Fault(
        name="frames: old ones are accepted",
        file="system/sealing.py",
        old="if not oldest <= sealed_at <= now + self._skew_s:",
        new="if not sealed_at <= now + self._skew_s:",
        tests=_FRAMES,
    ),
    Fault(
        name="frames: for another actor are accepted",
        file="system/sealing.py",
        old="head + payload, destination)))",
        new='head + payload, b"")))',
        tests=_FRAMES,
    ),
    Fault(
        name="health: a server that is silent is taken for well",
        file="adapters/health_link.py",
        old="                    self._be_silent()\n                    return None\n",
        new="                    return None\n",
        tests=_HEALTH,
    ),
    Fault(
        name="frontend: negative counts are answered",
        file="adapters/frontend.py",
        old="    if request.max_count < 0:\n",
        new="    if request.max_count < -(2**31):\n",
        tests=_FRONTEND,
    ),
    Fault(
        name="link: the next store is not tried",
        file="adapters/store_link.py",
        old="            self._stores.append(self._stores.pop(0))\n",
        new="            pass\n",
        tests=_LINK,
    ),
)
