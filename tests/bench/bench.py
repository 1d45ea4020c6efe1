# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures one ADD from exec to exit against iptables-restore and an empty program.

All three run in turn, each in a fresh namespace, so that the ratios hold although the machine's
speed drifts. Nothing here passes or fails.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("RUNS", "100"))
EMPTY = "int main() { return 0; }\n"


def compile_static(source, program):
    subprocess.run(["g++", "-O2", "-std=c++20", "-static", "-s", "-o", program, source], check=True)


def stdin_document():
    """What containerd sends for the default pod of a dual-stack mesh: rules for both families."""
    return {
        "cniVersion": "1.0.0", "name": "podnet", "type": "sluice-cni",
        "capabilities": {"io.kubernetes.cri.pod-annotations": True},
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/x"}],
            "ips": [{"address": "10.77.0.2/24", "gateway": "10.77.0.1", "interface": 1},
                    {"address": "fd77::2/64", "gateway": "fd77::1", "interface": 1}],
            "routes": [{"dst": "0.0.0.0/0"}]},
        "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {
            "sidecar.istio.io/status":
                '{"initContainers":["istio-validation"],"containers":["istio-proxy"]}',
            "sluice.dev/dual-stack": "true"}},
    }


class Bench:
    def __init__(self, work):
        self.work = work
        self.measure = f"{work}/measure"
        self.empty = f"{work}/empty"
        compile_static(ROOT / "tests/bench/measure.cc", self.measure)
        Path(f"{work}/empty.cc").write_text(EMPTY)
        compile_static(f"{work}/empty.cc", self.empty)
        self.stdin = f"{work}/stdin.json"
        Path(self.stdin).write_text(json.dumps(stdin_document()))
        for family in ("ipv4", "ipv6"):
            rules = subprocess.run([ROOT / "out/sluice", "rules", "--family", family, "--format",
                                    "restore"], check=True, capture_output=True).stdout
            Path(f"{work}/{family}.rules").write_bytes(rules)

    def run(self, *command, env=None):
        """Microseconds and KiB of one run."""
        result = subprocess.run([self.measure, self.stdin, *map(str, command)], check=True,
                                capture_output=True, env=env or {"PATH": os.environ["PATH"]})
        time, memory, status = map(int, result.stdout.split())
        if status != 0:
            sys.exit(f"bench: {command[0]} failed with status {status}")
        return time / 1000, memory

    def add(self, netns):
        return self.run(ROOT / "out/sluice-cni", env={
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": netns, "CNI_IFNAME": "eth0",
            "CNI_NETNS": f"/run/netns/{netns}", "CNI_PATH": "/opt/cni/bin",
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0"})

    def restore(self, netns):
        """Both families one after the other, as a plugin without libiptc has to do it."""
        total, peak = 0.0, 0
        for tool, family in (("iptables-legacy-restore", "ipv4"),
                             ("ip6tables-legacy-restore", "ipv6")):
            time, memory = self.run("nsenter", f"--net=/run/netns/{netns}", tool,
                                    f"{self.work}/{family}.rules")
            total, peak = total + time, max(peak, memory)
        return total, peak


def in_fresh_netns(name, action):
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name",
                        "host0"], check=True)
        return action(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def row(title, runs, scale):
    times = [time for time, _ in runs]
    median = statistics.median(times)
    return (f"| {title} | {median:.0f} | {percentile(times, 0.9):.0f} | "
            f"{percentile(times, 0.99):.0f} | {max(memory for _, memory in runs)} | "
            f"{median / scale:.2f} |")


def main():
    prefix = f"sluice-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(work)
        add, restore, empty = [], [], []
        for turn in range(-2, RUNS):
            results = (in_fresh_netns(f"{prefix}-a", bench.add),
                       in_fresh_netns(f"{prefix}-r", bench.restore),
                       bench.run(bench.empty))
            if turn < 0:  # warm-up
                continue
            for runs, result in zip((add, restore, empty), results):
                runs.append(result)
    scale = statistics.median(time for time, _ in add)
    print(f"ADD of the default pod, IPv4 and IPv6, {RUNS} fresh namespaces each, exec to exit")
    print("| | median us | p90 us | p99 us | peak KiB | / sluice-cni |")
    print("|---|---|---|---|---|---|")
    print(row("sluice-cni ADD", add, scale))
    print(row("nsenter + iptables-legacy-restore, both families", restore, scale))
    print(row("empty static C++ program", empty, scale))
    print(f"sluice-cni: {os.path.getsize(ROOT / 'out/sluice-cni')} bytes, stripped, static")


if __name__ == "__main__":
    main()
