"""The keys of members' lives: restarts, probes, stops, recycling and what processes run as; good ones and bad ones."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, LoadedCluster, load_balancer, load_cluster
from quaestor_actors.core.probe import ProbeKind, ProbeSpec
from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType, Strategy
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, OutputSpec, RecyclingSpec, RestartSpec, StopSpec
from quaestor_actors.errors import ConfigError

HEAD = "clusterConfig: {name: c}\n"
TRANSIENT = "restart: transient\n    "


def loaded(folder: Path, text: str) -> LoadedCluster:
    """Load a cluster file with this text; `run.py` in its folder is a program."""
    (folder / CLUSTER_FILE).write_text(text)
    (folder / "run.py").touch()
    return load_cluster(folder, environ={"PATH": ""})


def with_agent(folder: Path, keys: str) -> LoadedCluster:
    """Load a cluster with one agent, whose further keys begin in line 5."""
    return loaded(folder, f"{HEAD}agents:\n  - agentType: A\n    executablePath: run.py\n    {keys}\n")


def one_agent(folder: Path, keys: str) -> AgentSpec:
    """Return the only agent of a cluster, with these further keys, about which there is nothing to remark."""
    result = with_agent(folder, keys)
    assert result.warnings == ()
    return result.spec.agents[0]


def agent_faults(folder: Path, keys: str) -> list[str]:
    """Return the faults of a cluster with one agent, without file and folder."""
    with pytest.raises(ConfigError) as caught:
        with_agent(folder, keys)
    return [str(fault).replace(f"{folder}/", "").removeprefix(f"{CLUSTER_FILE}:") for fault in caught.value.faults]


def agent_warnings(folder: Path, keys: str) -> list[str]:
    """Return the warnings about a cluster with one agent, without the file."""
    return [line.removeprefix(f"{folder / CLUSTER_FILE}:") for line in with_agent(folder, keys).warnings]


def test__cluster_keys__any_case__reach_their_fields(tmp_path: Path) -> None:
    keys = "STRATEGY: Rest_For_One, Intensity: 3, periodseconds: 5, autoShutdown: ALL_significant, loglevel: Debug"
    agent = "{executablePath: run.py, significant: true, restart: temporary}"
    result = loaded(tmp_path, f"clusterConfig: {{name: c, {keys}}}\nagents: {{A: {agent}}}\n")
    assert result.warnings == ()
    assert result.spec == ClusterSpec(
        name="c",
        strategy=Strategy.REST_FOR_ONE,
        intensity=Intensity(limit=3, period_s=5.0),
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        log_level="debug",
        agents=(
            AgentSpec(
                agent_type="A",
                executable=str(tmp_path / "run.py"),
                significant=True,
                restart=RestartSpec(type=RestartType.TEMPORARY),
            ),
        ),
    )


def test__agent_keys__any_case__reach_their_fields(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = f"""\
clusterConfig: {{name: c, autoShutdown: any_significant}}
agents:
  - agentType: A
    executablePath: run.py
    RESTART: Transient
    strategy: ONE_FOR_ALL
    intensity: 4
    periodSeconds: 10
    autoshutdown: any_Significant
    significant: true
    essential: true
    backoffInitialSeconds: 0.25
    backoffFactor: 1
    backoffMaxSeconds: 3
    backoffJitter: 0
    stableSeconds: 7
    startConcurrency: 2
    probe: HTTP
    probePath: /healthz?deep=1
    probeIntervalSeconds: 3
    probeTimeoutSeconds: 0.5
    failureThreshold: 3
    stopSignal: int
    drainSeconds: 0
    maxShutdownTimeSeconds: 0
    recyclingIntervalHours: 2
    recyclingMemoryMegabytes: 300
    maxUnavailable: 2
    workingDirectory: data
    user: {os.geteuid()}
    umask: "022"
    RLimits: {{NOFILE: 64, core: 0}}
    logMaxMegabytes: 0
    logFiles: 0
"""
    result = loaded(tmp_path, text)
    assert result.warnings == ()
    assert result.spec.agents[0] == AgentSpec(
        agent_type="A",
        executable=str(tmp_path / "run.py"),
        working_directory=str(tmp_path / "data"),
        user=str(os.geteuid()),
        umask=0o022,
        rlimits=(("nofile", 64), ("core", 0)),
        output=OutputSpec(max_bytes=0, files=0),
        probe=ProbeSpec(
            kind=ProbeKind.HTTP, path="/healthz?deep=1", interval_s=3.0, timeout_s=0.5, failure_threshold=3
        ),
        start_concurrency=2,
        restart=RestartSpec(
            type=RestartType.TRANSIENT,
            strategy=Strategy.ONE_FOR_ALL,
            intensity=Intensity(limit=4, period_s=10.0),
            backoff=Backoff(initial_s=0.25, factor=1.0, cap_s=3.0, jitter=0.0, stable_s=7.0),
            auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        ),
        stop=StopSpec(signal="SIGINT", drain_s=0.0, deadline_s=0.0),
        recycling=RecyclingSpec(interval_s=7200.0, memory_bytes=300_000_000, max_unavailable=2),
        essential=True,
        significant=True,
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("SIGTERM", "SIGTERM"),
        ("term", "SIGTERM"),
        ("15", "SIGTERM"),
        ("'15'", "SIGTERM"),
        ("SigKill", "SIGKILL"),
        ("IOT", "SIGABRT"),
    ],
)
def test__stop_signal__name_or_number__becomes_its_name(tmp_path: Path, written: str, name: str) -> None:
    assert one_agent(tmp_path, f"stopSignal: {written}").stop.signal == name


def test__umask__both_octal_forms(tmp_path: Path) -> None:
    assert [one_agent(tmp_path, f"umask: '{text}'").umask for text in ("022", "0o022", "7")] == [18, 18, 7]


def test__intensity__alone__has_the_clusters_period(tmp_path: Path) -> None:
    assert one_agent(tmp_path, "intensity: 2").restart.intensity == Intensity(limit=2, period_s=60.0)


def test__probe__command_that_looks_like_a_number__is_text(tmp_path: Path) -> None:
    probe = one_agent(tmp_path, "probe: exec\n    probeCommand: 5").probe
    assert probe == ProbeSpec(kind=ProbeKind.EXEC, command="5")


def test__limits__unlimited__is_the_value_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    limits = one_agent(tmp_path, "rlimits: {core: Unlimited}").rlimits
    assert limits == (("core", resource.RLIM_INFINITY),)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("restart: always", "5:14: agents[0].restart: expected permanent, transient or temporary, found text 'always'"),
        (
            "restart: false",
            "5:14: agents[0].restart: expected permanent, transient or temporary, found the boolean false",
        ),
        (
            "strategy: oneForOne",
            "5:15: agents[0].strategy: expected one_for_one, one_for_all or rest_for_one, found text 'oneForOne'",
        ),
        (
            f"{TRANSIENT}autoShutdown: all",
            "6:19: agents[0].autoShutdown: expected never, any_significant or all_significant, found text 'all'",
        ),
        ("intensity: 1.5", "5:16: agents[0].intensity: expected a whole number, found the number 1.5"),
        ("periodSeconds: 5", "5:20: agents[0].periodSeconds: needs intensity, the number of restarts within it"),
        (
            "significant: true",
            (
                "5:18: agents[0].significant: members with restart permanent never end for good; "
                "set restart to transient or temporary"
            ),
        ),
        (
            "autoShutdown: any_significant",
            (
                "5:19: agents[0].autoShutdown: members with restart permanent never end for good; "
                "set restart to transient or temporary"
            ),
        ),
        ("backoffFactor: 0.5", "5:20: agents[0].backoffFactor: expected a number not below 1, found 0.5"),
        ("backoffJitter: 2", "5:20: agents[0].backoffJitter: expected a number not above 1, found 2"),
        (
            "backoffInitialSeconds: 40",
            (
                "5:28: agents[0].backoffInitialSeconds: backoffMaxSeconds (30) is below backoffInitialSeconds (40); "
                "raise it at least to that"
            ),
        ),
        ("startConcurrency: 0", "5:23: agents[0].startConcurrency: expected a number not below 1, found 0"),
        ("probe: https", "5:12: agents[0].probe: expected grpc, tcp, http, exec or none, found text 'https'"),
        (
            "probePath: /up",
            "5:5: agents[0].probePath: only probe http has it, and grpc is the default; set probe to http or remove it",
        ),
        (
            "probe: tcp\n    probeCommand: check",
            "6:5: agents[0].probeCommand: only probe exec has it, found probe tcp; set probe to exec or remove it",
        ),
        (
            "probe: exec",
            "5:12: agents[0].probe: needs probeCommand, the command that exits with 0 when all is well",
        ),
        ("probe: exec\n    probeCommand: ' '", "6:19: agents[0].probeCommand: expected a command, found empty text"),
        (
            "probe: exec\n    probeCommand: 'check {Prot}'",
            "6:19: agents[0].probeCommand: unknown placeholder {Prot} (did you mean {Port}?)",
        ),
        (
            "probe: http\n    probePath: healthz",
            (
                "6:16: agents[0].probePath: expected a path that starts with / and has no spaces; "
                "other characters are written like %C3%A4, found text 'healthz'"
            ),
        ),
        ("failureThreshold: 0", "5:23: agents[0].failureThreshold: expected a number not below 1, found 0"),
        ("stopSignal: HANGUP", "5:17: agents[0].stopSignal: expected a signal such as SIGTERM, found text 'HANGUP'"),
        ("stopSignal: 0", "5:17: agents[0].stopSignal: expected a signal such as SIGTERM, found text '0'"),
        (
            "stopSignal: stop",
            "5:17: agents[0].stopSignal: expected a signal that ends a process; SIGSTOP only suspends it",
        ),
        ("drainSeconds: -1", "5:19: agents[0].drainSeconds: expected a number not below 0, found -1"),
        (
            "recyclingMemoryMegabytes: 0.5",
            "5:31: agents[0].recyclingMemoryMegabytes: expected a whole number, found the number 0.5",
        ),
        ("maxUnavailable: 0", "5:21: agents[0].maxUnavailable: expected a number not below 1, found 0"),
        (
            "workingDirectory: gone",
            "5:23: agents[0].workingDirectory: there is no folder gone; create it or name another",
        ),
        ("workingDirectory: run.py", "5:23: agents[0].workingDirectory: expected a folder, found the file run.py"),
        (
            "user: no-such-user",
            (
                "5:11: agents[0].user: there is no user 'no-such-user' on this machine; "
                "name one that `getent passwd` lists"
            ),
        ),
        (
            "user: 99999999999999",
            (
                "5:11: agents[0].user: there is no user '99999999999999' on this machine; "
                "name one that `getent passwd` lists"
            ),
        ),
        ("umask: 022", "5:12: agents[0].umask: expected text, found the number 022 (put it in quotes)"),
        ("umask: '089'", "5:12: agents[0].umask: expected an octal number from 000 to 777, found text '089'"),
        ("umask: '1000'", "5:12: agents[0].umask: expected an octal number from 000 to 777, found text '1000'"),
        ("rlimits: {nofil: 1}", "5:15: agents[0].rlimits.nofil: unknown limit (did you mean nofile?)"),
        (
            "rlimits: {core: -1}",
            "5:21: agents[0].rlimits.core: expected a whole number not below 0, or unlimited, found the number -1",
        ),
        ("rlimits: {core: 1, CORE: 2}", "5:24: agents[0].rlimits.CORE: the name is there already, in line 5"),
        ("logFiles: -1", "5:15: agents[0].logFiles: expected a number not below 0, found -1"),
        ("assumeHealthy: true", "5:5: agents[0].assumeHealthy: unknown key"),
    ],
)
def test__agent__one_wrong_key__is_told_with_its_place(tmp_path: Path, keys: str, expected: str) -> None:
    (fault,) = agent_faults(tmp_path, keys)
    assert fault.startswith(expected) if expected.endswith("unknown key") else fault == expected


def test__cluster__log_level__is_one_of_four(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected debug, info, warning or error, found text 'loud'"):
        loaded(tmp_path, "clusterConfig: {name: c, logLevel: loud}\nagents: []\n")


def test__another_user_or_more_than_the_limit__without_root__is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 1024))
    assert agent_faults(tmp_path, "user: root\n    rlimits: {nofile: 1025, core: 1024, cpu: unlimited}") == [
        "5:11: agents[0].user: only root can start members as root; run the cluster as root, or remove user",
        (
            "6:23: agents[0].rlimits.nofile: "
            "only root can go beyond 1024 here; lower the value, or run the cluster as root"
        ),
        "6:46: agents[0].rlimits.cpu: only root can go beyond 1024 here; lower the value, or run the cluster as root",
    ]


def test__intensity__beyond_what_the_backoff_allows__is_warned_of(tmp_path: Path) -> None:
    # Without jitter members that end at once are restarted at 0, 0, 1, 3 and 7 s: five times in 10 s.
    steady = "backoffInitialSeconds: 1\n    backoffJitter: 0\n    periodSeconds: 10\n    "
    assert agent_warnings(tmp_path, f"{steady}intensity: 4") == []
    assert agent_warnings(tmp_path, f"{steady}intensity: 5") == [
        (
            "8:16: agents[0].intensity: beyond what the back-off allows: 1 member that ends at once is restarted "
            "at most 5 times in 10 s; lower it, raise periodSeconds or shorten the back-off"
        )
    ]
    assert agent_warnings(tmp_path, f"{steady}intensity: 9\n    processCount: 2") == []
    (warning,) = agent_warnings(tmp_path, f"{steady}intensity: 10\n    processCount: 2")
    assert "2 members that end at once are restarted at most 10 times in 10 s" in warning
    assert agent_warnings(tmp_path, "backoffInitialSeconds: 0\n    intensity: 100000") == []
    # Chance may shorten every pause to nothing.
    assert agent_warnings(tmp_path, "backoffJitter: 1\n    intensity: 1000") == []


def test__intensity__of_members_that_are_not_restarted__is_warned_of(tmp_path: Path) -> None:
    assert agent_warnings(tmp_path, "restart: temporary\n    intensity: 1") == [
        "6:16: agents[0].intensity: has no effect; members with restart temporary are not restarted"
    ]


def test__significant_and_the_clusters_auto_shutdown__are_warned_of_one_without_the_other(tmp_path: Path) -> None:
    assert agent_warnings(tmp_path, f"{TRANSIENT}significant: true") == [
        "6:18: agents[0].significant: has no effect while autoShutdown of clusterConfig is never"
    ]
    alone = loaded(tmp_path, "clusterConfig: {name: c, autoShutdown: all_significant}\nagents: []\n")
    assert [line.removeprefix(f"{tmp_path / CLUSTER_FILE}:") for line in alone.warnings] == [
        "1:40: clusterConfig.autoShutdown: has no effect; no agent is significant"
    ]


def test__builtin_balancer__keys_of_processes__are_warned_of_unless_they_say_nothing(tmp_path: Path) -> None:
    keys = "essential: true, drainSeconds: 10, umask: '022', dependsOn: [gone], significant: true"
    result = loaded(tmp_path, f"{HEAD}agents: {{LoadBalancer: {{{keys}}}}}\n")
    assert result.spec.agents[0] == AgentSpec(agent_type="LoadBalancer", essential=True, umask=0o022)
    assert [line.partition(": ")[2] for line in result.warnings] == [
        f"agents.LoadBalancer.{key}: has no effect on the built-in LoadBalancer"
        for key in ("umask", "dependsOn", "significant")
    ]


def test__balancer_file__keys_of_processes_and_probes__are_warned_of(tmp_path: Path) -> None:
    text = "agents:\n- {agentType: Worker, ports: [1], dependsOn: [gone], probe: tcp}\n"
    (tmp_path / LOAD_BALANCER_FILE).write_text(text)
    alone = load_balancer(tmp_path, environ={})
    assert [line.partition(": ")[2] for line in alone.warnings] == [
        "agents[0].dependsOn: has no effect here; the balancer starts and stops no process",
        "agents[0].probe: has no effect here; the balancer asks services by gRPC alone",
    ]
