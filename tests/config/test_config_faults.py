"""Each kind of fault, word by word, with its place; and all of them at once."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, load_balancer, load_cluster
from quaestor_actors.errors import ConfigError

HEAD = "clusterConfig: {name: c}\n"


def faults(folder: Path, cluster: str | bytes, balancer: str | None = None) -> list[str]:
    """Return the faults of a cluster file, without the folder in front."""
    raw = textwrap.dedent(cluster).encode() if isinstance(cluster, str) else cluster
    (folder / CLUSTER_FILE).write_bytes(raw)
    program = folder / "run.py"
    program.touch()
    if balancer is not None:
        (folder / LOAD_BALANCER_FILE).write_text(textwrap.dedent(balancer))
    with pytest.raises(ConfigError) as caught:
        load_cluster(folder, environ={"PATH": "/nowhere"})
    return [str(fault).replace(f"{folder}/", "").removeprefix(f"{CLUSTER_FILE}:") for fault in caught.value.faults]


def agent_faults(folder: Path, keys: str) -> list[str]:
    """Return the faults of a cluster with one agent, whose further keys are in line 5."""
    return faults(folder, f"{HEAD}agents:\n  - agentType: Worker\n    executablePath: run.py\n    {keys}\n")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("agentTyp: x", "5:5: agents[0].agentTyp: unknown key (did you mean agentType?)"),
        ("<<: {}", "5:5: agents[0].<<: merging with `<<` is not part of YAML 1.2; write the keys out"),
        ("EXECUTABLEPATH: x", "5:5: agents[0].EXECUTABLEPATH: the key is there already, in line 4"),
        ("processCount: abc", "5:19: agents[0].processCount: expected a whole number, found text 'abc'"),
        ("processCount: 4.0", "5:19: agents[0].processCount: expected a whole number, found the number 4.0"),
        ("processCount: true", "5:19: agents[0].processCount: expected a whole number, found the boolean true"),
        (
            "processCount: '4'",
            "5:19: agents[0].processCount: expected a whole number, found text '4' (remove the quotes)",
        ),
        (
            "startupWaitSeconds: 3e6",
            "5:25: agents[0].startupWaitSeconds: expected a number not above 2000000, found 3e6",
        ),
        ("processCount: -1", "5:19: agents[0].processCount: expected a number not below 0, found -1"),
        ("useTLS: no", "5:13: agents[0].useTLS: expected true or false, found text 'no' (write false)"),
        ("useTLS: On", "5:13: agents[0].useTLS: expected true or false, found text 'On' (write true)"),
        ("hostName: 5", "5:15: agents[0].hostName: expected text, found the number 5 (put it in quotes)"),
        (
            "hostName: 'a b'",
            "5:15: agents[0].hostName: expected a host name without spaces or slashes, found text 'a b'",
        ),
        (
            "hostName: h:1",
            "5:15: agents[0].hostName: expected a host name alone, found text 'h:1'; the port has a key of its own",
        ),
        ("ports: 5161", "5:12: agents[0].ports: expected a list, found the number 5161 (write [5161])"),
        ("ports: [65536]", "5:13: agents[0].ports[0]: expected a port from 1 to 65535, found 65536"),
        (
            "ports: [7001, 7002]",
            "5:12: agents[0].ports: 2 ports for 1 process; give as many as processCount, or none",
        ),
        (
            "{keys}: 1",
            "5:5: agents[0]: expected text as the key, found a mapping",
        ),
        (
            "commandLineArguments: {Port}",
            "5:27: agents[0].commandLineArguments: expected text, found a mapping (put it in quotes)",
        ),
        (
            "commandLineArguments: 'x {Prot}'",
            "5:27: agents[0].commandLineArguments: unknown placeholder {Prot} (did you mean {Port}?)",
        ),
        (
            "commandLineArguments: 'x {Zzzzzzzzz}'",
            "5:27: agents[0].commandLineArguments: unknown placeholder {Zzzzzzzzz} (known are {HostName}, {Port})",
        ),
        (
            'commandLineArguments: "x \'y"',
            (
                "5:27: agents[0].commandLineArguments: a quote is not closed or a backslash ends the line; "
                "arguments split like a shell's"
            ),
        ),
        (
            "environmentVariables: {'A B': x}",
            "5:28: agents[0].environmentVariables.A B: 'A B' cannot name an environment variable",
        ),
        (
            "environmentVariables: {A: }",
            "5:30: agents[0].environmentVariables.A: expected text, found nothing (write '' for empty text)",
        ),
        (
            "environmentVariables: {A: 1, A: 2}",
            "5:34: agents[0].environmentVariables.A: the variable is there already, in line 5",
        ),
        (
            "serviceNames: ['']",
            "5:20: agents[0].serviceNames[0]: an empty name; leave out serviceNames to check the server as a whole",
        ),
        (
            "startupWaitSeconds: .inf",
            "5:25: agents[0].startupWaitSeconds: expected a finite number, found the number .inf",
        ),
        (
            "clusterShutdownAction: Keep",
            "5:28: agents[0].clusterShutdownAction: expected None or Kill, found text 'Keep'",
        ),
    ],
)
def test__agent__one_wrong_key__is_told_with_its_place(tmp_path: Path, keys: str, expected: str) -> None:
    assert agent_faults(tmp_path, keys) == [expected]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", " the file is empty"),
        (b"# nothing\n", " the file is empty"),
        (b"- 1\n", "1:1: expected a mapping, found a list"),
        (b"a: 1\nb: \xff\n", "2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: \x07\n", "1:4: character U+0007 is not allowed in YAML"),
        (b"clusterConfig:\n\tname: x\n", "2:1: not valid YAML: a tab in the indentation; use spaces"),
        (b"a: 1\n---\nb: 2\n", "2:1: not valid YAML: a second document begins; one file holds one"),
        (b"a: [1\n", "2:1: not valid YAML: a list or mapping in brackets is not closed, or lacks a comma"),
        (b"a: 'x\n", "2:1: not valid YAML: the file ends inside a quoted text"),
        (b"a: b: c\n", "1:5: not valid YAML: unexpected `:`; mend the indentation, or put the text in quotes"),
        (b"a: *x\n", "1:4: not valid YAML: an alias (`*name`) of an anchor (`&name`) that is not there"),
        (b'a: "\\UFFFFFFFF"\n', "1:7: not valid YAML: a number or an escape is out of range"),
        (b'a: "\\0"\n', "1:4: an escape for a character that no text can hold"),
        (b"a: !!python/object/apply:os.system [x]\n", "1:4: tags (`!...`) are not used here; remove it"),
    ],
)
def test__document__not_usable_at_all__one_fault(tmp_path: Path, raw: bytes, expected: str) -> None:
    assert faults(tmp_path, raw) == [expected]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test__document__nested_without_end__one_fault(tmp_path: Path, opening: str) -> None:
    (fault,) = faults(tmp_path, (opening * 20_000).encode())
    assert "nested deeper than 40 levels" in fault


def test__document__aliases_that_unfold_for_ever__one_fault(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (bomb,) = faults(tmp_path, "\n".join(lines))
    (circle,) = faults(tmp_path, "a: &a [*a]\n")
    assert "aliases unfold into more" in bomb
    assert "aliases unfold into more" in circle


def test__document__not_a_readable_file__one_fault(tmp_path: Path) -> None:
    (tmp_path / CLUSTER_FILE).mkdir()
    with pytest.raises(ConfigError, match="not a regular file"):
        load_cluster(tmp_path, environ={})
    with pytest.raises(ConfigError, match="there is no such file"):
        load_balancer(tmp_path, environ={})
    (tmp_path / LOAD_BALANCER_FILE).write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load_balancer(tmp_path, environ={})


def test__both_files__many_things_wrong__all_told_at_once_in_order(tmp_path: Path) -> None:
    cluster = """\
        clusterConfig:
          heartBeatIntervalSeconds: 0
          nam: x
        agents:
          - agentType: Worker
            executablePath: run.py
            processCount: 2
            ports: [7001, 7001]
            usTLS: true
          - agentType: worker
            executablePath: gone
            ports: [5150]
          - agentType: .hidden
          - agentType: LoadBalancer
            processCount: 2
          - agentType: LoadBalancr
          - executablePath: run.py
          - 7
        """
    balancer = """\
        loadBalancerConfig: {port: 5150, certificate: a.pem}
        agents:
          - agentType: Worker
          - {agentType: KeyValueStore, ports: [0]}
        """
    looked = f"{tmp_path}/gone, {Path.cwd()}/gone and in PATH (/nowhere)".replace(f"{tmp_path}/", "")
    assert faults(tmp_path, cluster, balancer) == [
        "2:29: clusterConfig.heartBeatIntervalSeconds: expected a number above 0, found 0",
        "3:3: clusterConfig.nam: unknown key (did you mean name?)",
        "8:19: agents[0].ports[1]: port 7001 is taken by Worker, in line 8",
        "9:5: agents[0].usTLS: unknown key (did you mean useTLS?)",
        "10:16: agents[1].agentType: the agent type worker is there already, in line 5",
        f"11:21: agents[1].executablePath: no such program; looked for {looked}",
        "12:13: agents[1].ports[0]: port 5150 is taken by the load balancer",
        (
            "13:16: agents[2].agentType: expected 1 to 60 printable characters without `/`, not starting with `.` or `-`, "  # noqa: E501 - golden text
            "found text '.hidden'"
        ),
        "15:19: agents[3].processCount: the built-in LoadBalancer has exactly 1 process",
        "16:5: agents[4].executablePath: missing (did you mean the agent type LoadBalancer?)",
        "17:5: agents[5]: agentType is missing",
        "18:5: agents[6]: expected a mapping, found the number 7",
        f"{LOAD_BALANCER_FILE}:1:47: loadBalancerConfig.certificate: privateKeyFile is missing; TLS needs both",
        f"{LOAD_BALANCER_FILE}:3:5: agents[0]: ports is missing; the balancer must know where Worker is",
        f"{LOAD_BALANCER_FILE}:4:40: agents[1].ports[0]: expected a port from 1 to 65535, found 0",
    ]


def test__top_level__missing_parts__are_told(tmp_path: Path) -> None:
    assert faults(tmp_path, "{}") == [
        "1:1: agents: missing; list what the cluster runs, or write [] for nothing",
        "1:1: clusterConfig.name: missing; every cluster has a name",
    ]
    assert faults(tmp_path, f"{HEAD}agents: 5\n") == ["2:9: agents: expected a list of agents, found the number 5"]
    assert faults(tmp_path, "clusterConfig: {name: ../up}\nagents: []\n") == [
        (
            "1:23: clusterConfig.name: expected 1 to 60 printable characters without `/`, not starting with `.` or `-`, "  # noqa: E501 - golden text
            "found text '../up'"
        )
    ]


def test__misspelt_key__is_one_fault_and_not_a_missing_one_too(tmp_path: Path) -> None:
    assert faults(tmp_path, "clustrConfig: {name: c}\nagent: []\n") == [
        "1:1: clustrConfig: unknown key (did you mean clusterConfig?)",
        "2:1: agent: unknown key (did you mean agents?)",
    ]
    text = f"{HEAD}agents:\n- agentTyp: Worker\n  executablPath: run.py\n  processCont: 2\n  ports: [1, 2]\n"
    assert faults(tmp_path, text) == [
        "3:3: agents[0].agentTyp: unknown key (did you mean agentType?)",
        "4:3: agents[0].executablPath: unknown key (did you mean executablePath?)",
        "5:3: agents[0].processCont: unknown key (did you mean processCount?)",
    ]


def test__faults_of_the_document_itself__are_in_file_order(tmp_path: Path) -> None:
    assert faults(tmp_path, "clusterConfig: !a {}\nagents: !b []\n") == [
        "1:16: tags (`!...`) are not used here; remove it",
        "2:9: tags (`!...`) are not used here; remove it",
    ]


def test__builtin_balancer__port_unlike_its_file__is_a_fault(tmp_path: Path) -> None:
    cluster = f"{HEAD}agents: {{LoadBalancer: {{ports: [5151]}}}}\n"
    assert faults(tmp_path, cluster, "loadBalancerConfig: {port: 5150}\n") == [
        f"2:33: agents.LoadBalancer.ports[0]: port 5151 contradicts port 5150 of {LOAD_BALANCER_FILE}"
    ]


def test__executable__file_without_execute_bit__remedy_is_told(tmp_path: Path) -> None:
    (tmp_path / "tool").touch()
    text = f"{HEAD}agents: {{A: {{executablePath: tool}}}}\n"
    assert faults(tmp_path, text) == ["2:30: agents.A.executablePath: tool is not executable; run: chmod +x tool"]


def test__message__control_characters_in_a_value__are_escaped(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, HEAD + 'agents: {A: {executablePath: "/gone/\\e[2J\\n"}}\n')
    assert fault == r"2:30: agents.A.executablePath: no such program; looked for /gone/\x1b[2J\n"
