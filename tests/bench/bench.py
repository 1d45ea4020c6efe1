# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures one ADD from exec to exit, through each backend, against the vendor's tools and an empty
program.

All of them run in turn, each in a fresh namespace, so that the ratios hold although the machine's
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
BACKENDS = ("xtables", "nftables")
EMPTY = "int main() { return 0; }\n"


def compile_static(source, program):
    subprocess.run(["g++", "-O2", "-std=c++20", "-static", "-s", "-o", program, source], check=True)


def stdin_document(backend):
    """What containerd sends for the default pod of a dual-stack mesh: rules for both families."""
    return {
        "backend": backend,
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
        for backend in BACKENDS:
            Path(f"{work}/{backend}.json").write_text(json.dumps(stdin_document(backend)))
        for family in ("ipv4", "ipv6"):
            self.save_rules(f"{family}.rules", "--family", family, "--format", "restore")
        self.save_rules("both.nft", "--format", "nft")

    def save_rules(self, name, *arguments):
        rules = subprocess.run([ROOT / "out/sluice", "rules", *arguments], check=True,
                               capture_output=True).stdout
        Path(f"{self.work}/{name}").write_bytes(rules)

    def run(self, *command, env=None, stdin="/dev/null"):
        """Microseconds and KiB of one run."""
        result = subprocess.run([self.measure, stdin, *map(str, command)], check=True,
                                capture_output=True, env=env or {"PATH": os.environ["PATH"]})
        time, memory, status, _ = map(int, result.stdout.split())
        if status != 0:
            sys.exit(f"bench: {command[0]} failed with status {status}")
        return time / 1000, memory

    def add(self, netns, backend):
        return self.run(ROOT / "out/sluice-cni", stdin=f"{self.work}/{backend}.json", env={
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

    def nft(self, netns):
        return self.run("nsenter", f"--net=/run/netns/{netns}", "nft", "-f", f"{self.work}/both.nft")


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
        rows = {
            "sluice-cni ADD, backend xtables": lambda netns: bench.add(netns, "xtables"),
            "sluice-cni ADD, backend nftables": lambda netns: bench.add(netns, "nftables"),
            "nsenter + iptables-legacy-restore, both families": bench.restore,
            "nsenter + nft -f, both families": bench.nft,
            "empty static C++ program": lambda netns: bench.run(bench.empty),
        }
        runs = {title: [] for title in rows}
        for turn in range(-2, RUNS):
            for number, (title, measure) in enumerate(rows.items()):
                result = in_fresh_netns(f"{prefix}-{number}", measure)
                if turn >= 0:  # else warm-up
                    runs[title].append(result)
    scale = statistics.median(time for time, _ in next(iter(runs.values())))
    print(f"ADD of the default pod, IPv4 and IPv6, {RUNS} fresh namespaces each, exec to exit")
    print("| | median us | p90 us | p99 us | peak KiB | / xtables |")
    print("|---|---|---|---|---|---|")
    for title, results in runs.items():
        print(row(title, results, scale))
    print(f"sluice-cni: {os.path.getsize(ROOT / 'out/sluice-cni')} bytes, stripped, static")


if __name__ == "__main__":
    main()
