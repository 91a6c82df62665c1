"""What each key of the configuration means: the tables of docs/configuration.md, for editors.

A test compares it with the page; tests/support/documented_keys.py writes it anew.
"""

from __future__ import annotations

DESCRIPTIONS: dict[str, dict[str, str]] = {
    "clusterConfig": {
        "name": "Names the cluster in commands and files.",
        "heartBeatIntervalSeconds": "Period of the health checks that back up what is pushed. Default: 30.",
        "memberResponseTimeOutSeconds": "Deadline of one health check. Default: 5.",
        "memberMaxShutdownTimeSeconds": "From the polite signal to SIGKILL; 0 kills at once. Default: 45.",
        "memberMaxStartupRetries": "Failed starts in a row after which a member is given up. Default: 25.",
        "strategy": (
            "Which agents start afresh with one that gave up: `one_for_one` none, `one_for_all` all, "
            "`rest_for_one` those after it. Default: one_for_one."
        ),
        "intensity": (
            "An agent that gave up starts afresh, unless more than this many gave up within the period. Default: 0."
        ),
        "periodSeconds": (
            "An agent that gave up starts afresh, unless more than this many gave up within the period. Default: 60."
        ),
        "autoShutdown": (
            "Ends the cluster, exit code 0, when `any_significant` or `all_significant` agents have done "
            "their work. Default: never."
        ),
        "caCertificateFile": (
            "PEM file: members' certificates are trusted that these authorities have signed; see TLS. "
            "Default: the system's roots."
        ),
        "logLevel": "Of the cluster's own log: `debug`, `info`, `warning` or `error`. Default: info.",
        "metrics": "Where Prometheus finds the numbers, `{port: 9150}`: a mapping with the two keys that follow.",
        "port": "Of `metrics`: the port.",
        "host": (
            "Of `metrics`: the address, or its name. There is no login: let nobody reach it who must not read"
            " it. Default: 127.0.0.1."
        ),
        "actors": "Mapping from names to actors of your own, see `actors`.",
        "hosts": "Mapping from names to the machines that are one cluster, see below. Default: this machine alone.",
        "address": "Of one of `hosts`: the IPv4 address by which the others reach it.",
        "adminPort": "Of one of `hosts`: the port of its actors. Default: 7071.",
        "capabilities": (
            "Of one of `hosts`: what it can do that not every host can, `[camera, gpu]`; actors may require it."
        ),
        "allowedNetworks": (
            "Who else may connect to the ports of actors: networks such as `10.0.0.0/24`, or addresses. "
            "Default: the hosts alone."
        ),
        "cookieFile": (
            "The secret that all hosts have in common, from the folder of the file. Default: `QUAESTOR_COOKIE`."
        ),
    },
    "actors": {
        "class": (
            "`package.module:Class`, derived from `quaestor_actors.actor.Actor`; installed beside quaestor, "
            "in PYTHONPATH, or in the folder of the file."
        ),
        "settings": "Mapping: the arguments of the class, by name.",
        "hosts": "Names of hosts that run it, one each. Default: all that have what is required.",
        "requires": (
            "Capabilities that a host must have to run it, `[camera]`; those that the class requires by "
            "itself are added."
        ),
        "restart": (
            "Which ends are followed by a new one: `permanent` all, `transient` all but `finish()`, "
            "`temporary` none. Default: permanent."
        ),
        "intensity": (
            "More restarts than this within the period, and the actor is given up: it is `failed`. Default: no limit."
        ),
        "periodSeconds": (
            "More restarts than this within the period, and the actor is given up: it is `failed`. Default: 60."
        ),
        "essential": "If the actor is given up, the cluster ends on this host with exit code 1. Default: false.",
    },
    "agents": {
        "agentType": (
            "Any name; `LoadBalancer` without `executablePath` is the balancer inside the cluster, "
            "`KeyValueStore` is etcd."
        ),
        "executablePath": (
            "Absolute, or from the file's folder, the current one, or PATH. A `.py` file without executable "
            "bit is run by quaestor's own Python."
        ),
        "commandLineArguments": "One string; `{HostName}` and `{Port}` stand for the member's own.",
        "environmentVariables": "Added to the launcher's environment.",
        "workingDirectory": "Absolute, or from the folder of the file. Default: the launcher's.",
        "user": "Name or number, with its groups; another than the present one needs root. Default: the launcher's.",
        "umask": 'Octal, in quotes: `"022"`. Default: the launcher\'s.',
        "rlimits": "E.g. `{nofile: 4096, core: unlimited}`: names of getrlimit(2) in lower case, soft and hard alike.",
        "processCount": "Members, named `TYPE/1`, `TYPE/2`, ... Default: 1.",
        "ports": "As many as members. Default: free ones.",
        "startupWaitSeconds": "A new member must serve by then; it counts as started the moment it serves. Default: 8.",
        "startConcurrency": "Members of the agent that may be starting at the same time. Default: 4 per processor.",
        "dependsOn": (
            "Mapping from agent type to what it must have reached before members of this one start: `serving`"
            " (every member serves), `started` (every member has a process), `completed` (every member has "
            "ended normally); a list means `serving`. Stopping goes the other way round."
        ),
        "hostName": (
            "Where health checks and clients reach the members. Default: localhost, with `hosts` of the "
            "cluster or of etcd the own one of them."
        ),
        "useTLS": "Health checks and the balancer use TLS; see TLS. Default: false.",
        "clientCertificate": (
            "PEM files that are presented to members that ask for a certificate; the first may hold the key, too."
        ),
        "clientPrivateKeyFile": (
            "PEM files that are presented to members that ask for a certificate; the first may hold the key, too."
        ),
        "caCertificateFile": (
            "PEM file: members' certificates are trusted that these authorities have signed. Default: that of"
            " `clusterConfig` or `loadBalancerConfig`, else the system's roots."
        ),
        "serviceNames": (
            "Each is health-checked and registered; none: the whole server is checked and nothing is registered."
        ),
        "probe": (
            "`grpc` (pushed by `Health.Watch`, else asked by `Check`), `tcp`, `http` (https with `useTLS`), "
            "`exec`, or `none`: a live process serves. Default: grpc."
        ),
        "probePath": "Of `http`: what is asked for; a status from 200 to 399 is well. Default: /.",
        "probeCommand": (
            "Of `exec`, required: exits with 0 when all is well; `{HostName}` and `{Port}` are replaced; run "
            "as the cluster's user."
        ),
        "probeIntervalSeconds": "Between two checks. Default: `heartBeatIntervalSeconds`.",
        "probeTimeoutSeconds": (
            "Deadline of one check; finds a process that hangs, which `tcp` cannot. Default: "
            "`memberResponseTimeOutSeconds`."
        ),
        "failureThreshold": (
            "Failed checks in a row that make a member unhealthy. It is not handed out from the first one on."
            " Default: 1."
        ),
        "restart": (
            "Which ends are followed by a new process: `permanent` all, `transient` abnormal ones, "
            "`temporary` none. Default: permanent."
        ),
        "strategy": (
            "Which members restart with one that ended: `one_for_one` none, `one_for_all` all, `rest_for_one`"
            " those after it. Default: one_for_one."
        ),
        "intensity": (
            "More restarts than this within the period, over all members, and the agent gives up: its members"
            " are `failed`, and can be started by hand. Default: no limit."
        ),
        "periodSeconds": (
            "More restarts than this within the period, over all members, and the agent gives up: its members"
            " are `failed`, and can be started by hand. Default: 60."
        ),
        "essential": (
            "If the agent gives up, the cluster ends with exit code 1; one given-up member is enough. Default: false."
        ),
        "significant": "Counts in the cluster's `autoShutdown`; not with `restart: permanent`. Default: false.",
        "autoShutdown": (
            "Ends the agent when `any_significant` (one) or `all_significant` of its members have done their "
            "work; not with `restart: permanent`. Default: never."
        ),
        "backoffInitialSeconds": "Pause before the second restart in a row; the first is at once. Default: 0.5.",
        "backoffFactor": "By which each further pause grows, 1 or more. Default: 2.",
        "backoffMaxSeconds": "Longest pause. Default: 30.",
        "backoffJitter": "Part of a pause, 0 to 1, by which chance varies it. Default: 0.1.",
        "stableSeconds": "A member that served this long starts again as if it had never failed. Default: 30.",
        "clusterShutdownAction": (
            "`None`: members run on and are adopted by the next start; `Kill`: they are ended. Default: None."
        ),
        "drainSeconds": (
            "After the deregistration, how long requests under way may take; over when the load report says "
            "idle, and skipped where there is none. Default: 10."
        ),
        "stopSignal": "The polite signal, to the whole process group. Default: SIGTERM.",
        "maxShutdownTimeSeconds": (
            "From the signal to SIGKILL of the whole group; 0 kills at once. Default: `memberMaxShutdownTimeSeconds`."
        ),
        "recyclingIntervalHours": "Age at which an idle member is replaced, ±10 %; 0: never. Default: 0.",
        "recyclingMemoryMegabytes": "Resident memory above which an idle member is replaced; 0: never. Default: 0.",
        "maxUnavailable": (
            "Members that may be out of service at once for recycling, a changed configuration or `restart "
            "--rolling`; one that failed counts, one that was stopped or drained by hand does not. Default: "
            "1."
        ),
        "logMaxMegabytes": "Size at which a member's output file `TYPE-N.log` is rotated; 0: never. Default: 10.",
        "logFiles": "Rotated files that are kept: `TYPE-N.log.1` is the newest. Default: 5.",
        "floating": "Members that run on any hosts, see below: a mapping with the three keys that follow.",
        "count": "Of `floating`: how many members there are on all hosts together. Default: 1.",
        "spread": "Of `floating`: no host runs a second one while another has none. Default: true.",
        "prefer": "Of `floating`: hosts that come before the others, the best first; what runs is not moved for it.",
        "excludeFromServiceRegistry": "Kept running, not handed out. Default: false.",
        "endpoints": "Further members of the same etcd, `[host:port, ...]`; whichever answers is used.",
        "hosts": (
            "The hosts of an etcd whose members all have the first of `ports`, see below; of any other agent "
            "those that it runs on."
        ),
        "peerPort": "Where the members of the etcd talk to each other. Default: the port after that.",
        "dataDirectory": (
            "Where the etcd that is started keeps its data, from the folder of the file. Default: "
            "`/var/lib/quaestor/CLUSTER/etcd-PORT`, see below."
        ),
        "leaseTtlSeconds": "What a host has registered vanishes so long after the host did; 2 to 3600. Default: 10.",
        "storeUser": "Who we are at etcd. Default: `QUAESTOR_ETCD_USER`.",
        "storePasswordFile": (
            "Its first line is the password, from the folder of the file; only its owner may have access to "
            "it. Default: `QUAESTOR_ETCD_PASSWORD`."
        ),
    },
    "loadBalancerConfig": {
        "hostName": "Where the balancer listens. Default: localhost.",
        "port": "Where the balancer listens. Default: 5150.",
        "certificate": "PEM files: clients connect by TLS. Unusable ones are an error.",
        "privateKeyFile": "PEM files: clients connect by TLS. Unusable ones are an error.",
        "enforceMutualTls": (
            "Clients must present a certificate that one of `caCertificateFile` has signed. Default: false."
        ),
        "caCertificateFile": "PEM file: whose clients and services are trusted. Default: the system's roots.",
        "serviceResponseTimeoutSeconds": "A location that answers later is left out. Default: 2.",
        "frontends": "Processes that share the port, for very many requests per second; see the balancer. Default: 1.",
        "ranking": (
            'What "best" means: `least_loaded`, `original`, an entry point\'s name or `package.module:Class`; '
            "see ranking. Default: least_loaded."
        ),
        "recentlyUsedTimeoutSeconds": (
            "Among equally loaded locations, one handed out within this time comes behind the others; with "
            "`original` behind all others. Default: 5."
        ),
        "loadReportMaxAgeSeconds": (
            "How busy a location is counts as unknown when its last report is older. Default: 60."
        ),
        "metrics": "As in `clusterConfig`, of a balancer that runs alone.",
    },
}
"""By section of the file, then by key."""
