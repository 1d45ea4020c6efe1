# SPDX-License-Identifier: GPL-2.0-or-later
"""What a growing list of excluded CIDRs costs: to write it, and each connection afterwards.

One IPv4 pod, layout istio. Every figure is the median of runs that take turns, each in a fresh
namespace. Nothing here passes or fails.
"""

import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.bench import BACKENDS, ROOT, Bench, in_fresh_netns
from tests.e2e.namespace import Namespace

RUNS = int(os.environ.get("RUNS", "100")) // 5
SIZES = (10, 100, 1000, 5000)
CONNECTS = 400
APPLY = ROOT / "build/release/tests/bench/apply_bench"


def exclusions(count):
    """As apply_bench.cc has them."""
    return ",".join(f"11.{i // 100}.{i % 100 * 2}.0/24" for i in range(count))


def flags(count):
    return ["--exclude-outbound-cidrs", exclusions(count)] if count else []


def in_process(netns, backend, count):
    done = subprocess.run([APPLY, f"/run/netns/{netns}", backend, str(count)], check=True, capture_output=True)
    return int(done.stdout)


class Ways:
    """To write the same rules, by title: a function of a namespace's name that returns microseconds."""

    def __init__(self, bench, count):
        self.bench = bench
        bench.save_rules("growth.rules", "--family", "ipv4", "--format", "restore", *flags(count))
        bench.save_rules("growth.nft", "--family", "ipv4", "--format", "nft", *flags(count))
        self.all = {
            "xtables, in process": lambda netns: in_process(netns, "xtables", count),
            "nftables, in process": lambda netns: in_process(netns, "nftables", count),
            "sluice apply, xtables": lambda netns: self.apply(netns, "xtables", count),
            "sluice apply, nftables": lambda netns: self.apply(netns, "nftables", count),
            "iptables-legacy-restore": lambda netns: self.tool(netns, "iptables-legacy-restore", "growth.rules"),
            "nft -f": lambda netns: self.tool(netns, "nft", "-f", "growth.nft"),
        }

    def apply(self, netns, backend, count):
        return self.bench.run(ROOT / "out/sluice", "apply", "--netns", f"/run/netns/{netns}", "--ipv6", "never",
                              "--backend", backend, *flags(count))[0]

    def tool(self, netns, *words):
        *command, name = words
        return self.bench.run("nsenter", f"--net=/run/netns/{netns}", *command, f"{self.bench.work}/{name}")[0]


def grow(bench, prefix):
    columns = {}
    for count in SIZES:
        ways = Ways(bench, count)
        runs = {title: [] for title in ways.all}
        for turn in range(-1, RUNS):
            for title, write in ways.all.items():
                took = in_fresh_netns(f"{prefix}-g", write)
                if turn >= 0:  # else warm-up
                    runs[title].append(took)
        columns[count] = {title: statistics.median(taken) for title, taken in runs.items()}
    print(f"\nrules of an IPv4 pod with excluded CIDRs, median us of {RUNS}, fresh namespaces")
    print("| | " + " | ".join(map(str, SIZES)) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for title in columns[SIZES[0]]:
        print(f"| {title} | " + " | ".join(f"{columns[count][title]:.0f}" for count in SIZES) + " |")


def connect_times(namespace, listener):
    """Microseconds of connect(2) to an address beyond the pod that is redirected: its packets see all
    rules."""
    times = []
    for _ in range(CONNECTS):
        caller = namespace.socket(socket.AF_INET, socket.SOCK_STREAM, 1000, 1000)
        start = time.perf_counter_ns()
        try:
            caller.connect(("12.1.2.3", 80))
        except BlockingIOError:
            pass
        took = time.perf_counter_ns() - start
        accepted, _ = listener.accept()
        caller.close()
        accepted.close()
        times.append(took / 1000)
    return times


def connect_in(netns, backend, count):
    # Not over lo: what goes there is the pod's own affair.
    subprocess.run(["ip", "-n", netns, "-batch", "-"], input="link set lo up\nlink set host0 up\nlink set eth0 up\n"
                   "addr add 10.1.1.2/24 dev eth0\nroute add default dev eth0\n", text=True, check=True)
    path = f"/run/netns/{netns}"
    if backend:
        subprocess.run([ROOT / "out/sluice", "apply", "--netns", path, "--ipv6", "never", "--backend", backend,
                        *flags(count)], check=True)
    else:  # the same without rules
        subprocess.run(["ip", "-n", netns, "addr", "add", "12.1.2.3/32", "dev", "lo"], check=True)
    namespace = Namespace(path)
    try:
        listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM, 1337, 1337)
        listener.settimeout(10)
        with listener:
            listener.bind(("0.0.0.0", 15001 if backend else 80))
            listener.listen(64)
            return connect_times(namespace, listener)
    finally:
        namespace.close()


def connect(prefix):
    cases = [(backend, count) for count in (0, 5000) for backend in BACKENDS] + [(None, 0)]
    runs = {case: [] for case in cases}
    for _ in range(max(1, RUNS // 4)):
        for case in cases:
            runs[case] += in_fresh_netns(f"{prefix}-c", lambda netns, case=case: connect_in(netns, *case))
    print(f"\none redirected TCP connect(2), median us of {len(runs[cases[0]])}")
    print("| | 0 exclusions | 5000 exclusions |\n|---|---|---|")
    for backend in BACKENDS:
        print(f"| {backend} | " + " | ".join(f"{statistics.median(runs[backend, count]):.1f}"
                                             for count in (0, 5000)) + " |")
    print(f"| without rules | {statistics.median(runs[None, 0]):.1f} | |")


def main():
    prefix = f"sluice-growth-{os.getpid()}"
    with tempfile.TemporaryDirectory() as work:
        grow(Bench(Path(work)), prefix)
    connect(prefix)


if __name__ == "__main__":
    main()
