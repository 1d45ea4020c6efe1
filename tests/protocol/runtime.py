# SPDX-License-Identifier: GPL-2.0-or-later
"""A mini container runtime: makes throw-away pod namespaces and runs the plugin in the way libcni does."""

import atexit
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Absolute: a test may give the plugin another working directory.
PLUGIN = os.path.abspath(os.environ.get("SLUICE_CNI", ROOT / "out" / "sluice-cni"))
PREFIX = "sluice-proto"
CONTAINER_ID = "f2d49e2dec59a0d50b54fd5562fb68d01d66736ca3dd6e30c18160ebbe069709"
KUBERNETES_ARGS = (
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0;"
    f"K8S_POD_INFRA_CONTAINER_ID={CONTAINER_ID};K8S_POD_UID=11111111-2222-3333-4444-555555555555"
)
# A path that no test creates: a pod that is not ours must never be looked into.
NO_NETNS = "/run/netns/sluice-proto-does-not-exist"

_numbers = itertools.count(1)
_made = set()


def tool(*argv, text=None, timeout=20):
    """Runs a tool of the test, returns its output and raises when it fails."""
    done = subprocess.run(argv, input=text, text=True, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: rc {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def _add_namespace(label):
    name = f"{PREFIX}-{os.getpid()}-{label}"
    tool("ip", "netns", "add", name)
    _made.add(name)
    return name


def _delete_namespace(name):
    if name in _made:
        tool("ip", "netns", "del", name)
        _made.discard(name)


def _sweep():
    """Removes what this process left, and what a killed run of these tests left before."""
    for name in list(_made):
        _delete_namespace(name)
    for path in pathlib.Path("/run/netns").glob(f"{PREFIX}-*"):
        owner = path.name.removeprefix(f"{PREFIX}-").split("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            tool("ip", "netns", "del", path.name)


atexit.register(_sweep)


def _far_end():
    """One namespace takes the node's ends of all veth pairs, so that eth0 is a pod's only interface."""
    name = f"{PREFIX}-{os.getpid()}-node"
    if name not in _made:
        _sweep()
        _add_namespace("node")
    return name


class Pod:
    """A network namespace with lo and, unless bare, eth0 holding 10.78.0.2/24 and fd78::2/64."""

    def __init__(self, bare=False):
        node = _far_end()
        self.name = self._create()
        self.path = f"/run/netns/{self.name}"
        self.ip("link set lo up")
        if not bare:
            self._add_eth0(node)

    def _create(self):
        return _add_namespace(next(_numbers))

    def _add_eth0(self, node):
        # Neither duplicate address detection nor a link-local address: both would change `ip addr` later.
        self.ip(
            f"link add eth0 type veth peer name h{next(_numbers)} netns {node}",
            "link set eth0 addrgenmode none",
            "link set eth0 up",
            "addr add 10.78.0.2/24 dev eth0",
            "addr add fd78::2/64 dev eth0 nodad",
        )

    def add_interface(self, name):
        self.ip(f"link add {name} type veth peer name h{next(_numbers)} netns {_far_end()}")

    def ip(self, *lines):
        tool("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    def inside(self, *argv, text=None):
        return tool("nsenter", f"--net={self.path}", *argv, text=text)

    def delete(self):
        _delete_namespace(self.name)

    def snapshot(self):
        """All that a plugin could change, in words: every table in use and every address.

        The save tools are run without -t, since naming a table would bring it into being.
        """
        script = "iptables-legacy-save; ip6tables-legacy-save; ip -o addr"
        return without_counters(self.inside("sh", "-c", script))

    def nat(self, family=4):
        """The nat table as {chain: [rule, …]}; built-in chains without rules are left out."""
        save = "iptables-legacy-save" if family == 4 else "ip6tables-legacy-save"
        return nat_chains(self.inside(save))

    def loopback_addresses(self):
        return re.findall(r"inet6? (\S+)", self.inside("ip", "-o", "addr", "show", "dev", "lo"))


class UserPod(Pod):
    """A pod with a user namespace of its own, mapped as the kubelet does: 65,536 users, from the pod's root on."""

    owner = None  # of the namespace, a user of the node; root if none

    def _create(self):
        name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        command = ["unshare", "--user", "--net", "sh", "-c", "echo; exec sleep 20"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, user=self.owner) as holder:
            holder.stdout.readline()
            for file in ("uid_map", "gid_map"):
                pathlib.Path(f"/proc/{holder.pid}/{file}").write_text("0 100000 65536\n")
            tool("ip", "netns", "attach", name, str(holder.pid))
            holder.kill()
        _made.add(name)
        return name


def without_counters(saved):
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    return "\n".join(re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in lines)


def nat_chains(saved):
    chains, table = {}, None
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif table == "nat" and line.startswith(":") and line.split()[1] == "-":
            chains.setdefault(line[1:].split()[0], [])
        elif table == "nat" and line.startswith("-A "):
            chain, rule = line[3:].split(" ", 1)
            chains.setdefault(chain, []).append(rule)
    return chains


@dataclass(repr=False)
class Outcome:
    """What the runtime sees of one call."""

    rc: int
    stdout: bytes
    stderr: str
    seconds: float

    def parsed(self):
        return json.loads(self.stdout)

    def __str__(self):
        return f"rc {self.rc}, stdout {self.stdout[:2000]}, stderr {self.stderr[:2000]!r}"

    __repr__ = __str__


def environment(command, pod=None, **changes):
    """The variables of a call; a change to None takes the variable away."""
    variables = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": CONTAINER_ID,
        "CNI_NETNS": pod.path if pod else NO_NETNS,
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": KUBERNETES_ARGS,
        "CNI_PATH": "/opt/cni/bin",
    }
    variables.update(changes)
    return {name: value for name, value in variables.items() if value is not None}


def _encoded(stdin):
    if stdin is None:
        return b""
    if isinstance(stdin, str):
        return stdin.encode()
    return stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()


def run(command, stdin=None, pod=None, *, env=None, wrap=(), argv=(), timeout=10, plugin=PLUGIN, **streams):
    """Runs one verb. stdin is a document (dict), its text or an open file; wrap is put before the plugin."""
    if hasattr(stdin, "fileno"):
        streams["stdin"], document = stdin, None
    else:
        streams["stdin"], document = subprocess.PIPE, _encoded(stdin)
    streams.setdefault("stdout", subprocess.PIPE)
    start = time.monotonic()
    child = subprocess.Popen(
        [*wrap, plugin, *argv],
        env=environment(command, pod, **(env or {})),
        stderr=subprocess.PIPE,
        start_new_session=True,
        **streams,
    )
    try:
        out, err = child.communicate(document, timeout=timeout)
    except BaseException:
        # The group is the child's own, so this ends a wrapped plugin too.
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise
    return Outcome(child.returncode, out or b"", err.decode(errors="replace"), time.monotonic() - start)
