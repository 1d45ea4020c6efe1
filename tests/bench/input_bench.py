# SPDX-License-Identifier: GPL-2.0-or-later
"""What large input costs the plugin: documents of up to 16 MiB, and every list that can grow.

Times are from exec to exit, medians of runs that take turns; what is largest is run once. Growth is judged by the least
processor time, which other programs on the machine change least. Nothing here passes or fails: what grows faster than
its input, or is slow, is marked.
"""

import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench import BACKENDS, ROOT, compile_static
from tests.protocol.netconf import STATUS, conf, injected
from tests.protocol.runtime import CONTAINER_ID, KUBERNETES_ARGS, PLUGIN, Pod, environment

RUNS = max(1, int(os.environ.get("RUNS", "100")) // 33)
KIB, MIB = 1024, 1024 * 1024
DOCUMENTS = (64 * KIB, MIB, 16 * MIB)
COMMANDS = ("ADD", "CHECK", "DEL", "GC")
SIZES = (10, 100, 1000, 5000)
# Two numbers of entries, and from which factor on the second is suspicious: linear growth is 11 and 5, quadratic
# growth 101 and 25.
GROWTHS = ((100, 1000, 20), (1000, 5000, 15))
NOISE = 500  # microseconds of processor time of which nothing can be told
SLOW = 500_000  # microseconds for 1,000 entries


@dataclass
class Run:
    time: float  # microseconds
    cpu: int  # microseconds
    kib: int
    status: int


class Plugin:
    """The shipped program under measure.cc."""

    def __init__(self, work):
        self.stdin = Path(f"{work}/stdin.json")
        self.measure = f"{work}/measure"
        compile_static(ROOT / "tests/bench/measure.cc", self.measure)

    def run(self, command, document, pod, **env):
        if document is not None:
            text = document if isinstance(document, str) else json.dumps({**document, "logLevel": "none"})
            self.stdin.write_text(text, encoding="ascii")
        done = subprocess.run([self.measure, self.stdin, PLUGIN], check=True, capture_output=True,
                              env=environment(command, pod, **env))  # fmt: skip
        time, kib, status, cpu = map(int, done.stdout.split())
        return Run(time / 1000, cpu, kib, status)


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


def print_head(*titles):
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")


# ---- documents


def repeated(element, size):
    """So many bytes of elements between commas; `element` makes the text of the n-th."""
    return ",".join(element(i) for i in range(size // (len(element(0)) + 1)))


def result(size):
    """A result of which a third each are addresses, interfaces and routes."""
    ips = repeated(lambda i: f'{{"address":"10.{100 + i // 150 % 150}.{100 + i % 150}.1/24","interface":0}}', size // 3)
    interfaces = repeated(lambda i: f'{{"name":"veth{i:07}","mac":"92:17:5c:68:e9:22"}}', size // 3)
    routes = repeated(lambda i: f'{{"dst":"10.{100 + i // 150 % 150}.{100 + i % 150}.0/24"}}', size // 3)
    return f'{{"cniVersion":"1.1.0","interfaces":[{interfaces}],"ips":[{ips}],"routes":[{routes}]}}'


def array(text):
    return lambda size: f'"x":[{repeated(lambda _: text, size)}]'


# What stands behind the other members of a document of so many bytes.
SHAPES = {
    "a string": lambda size: f'"x":"{"y" * size}"',
    "an array of numbers, 15 digits": lambda size: f'"x":[{repeated(lambda i: str(10**14 + i), size)}]',
    "an array of numbers, 1 digit": array("1"),
    "arrays, 1,000 levels": array("[" * 1000 + "]" * 1000),
    "an array of empty objects": array("{}"),
    "keys, 84 bytes with their value": lambda size: repeated(lambda i: f'"k{i:07}":"{"v" * 70}"', size),
    "keys, 12 bytes with their value": lambda size: repeated(lambda i: f'"{i:07}":1', size),
    "prevResult": lambda size: f'"prevResult":{result(size)}',
    "valid attachments": lambda size: '"cni.dev/valid-attachments":['
    + repeated(lambda _: f'{{"containerID":"{CONTAINER_ID}","ifname":"eth0"}}', size) + "]",
}  # fmt: skip


def measure_documents(plugin, pod):
    plain = json.dumps(conf(annotations={}, pod=pod))[:-1]
    print("\nstdin of 16 MiB, pod not injected: ms, in brackets of 64 KiB and 1 MiB; peak memory of the 16 MiB")
    print_head("mostly", *COMMANDS, "processor ms", "peak MiB", "/ input")
    for title, shape in SHAPES.items():
        runs = {}
        for size in DOCUMENTS:
            plugin.stdin.write_text(f"{plain},{shape(size)}}}", encoding="ascii")
            for command in COMMANDS:
                runs[command, size] = [plugin.run(command, None, pod) for _ in range(1 if size > MIB else 3)]
        cells = []
        for command in COMMANDS:
            small, middle, large = (median(runs[command, size], "time") / 1000 for size in DOCUMENTS)
            refused = any(run.status for size in DOCUMENTS for run in runs[command, size])
            cells.append(f"{large:.0f} ({small:.1f}, {middle:.0f}){' refused' if refused else ''}")
        largest = [runs[command, DOCUMENTS[-1]][0] for command in COMMANDS]
        cpu, peak = max(run.cpu for run in largest), max(run.kib for run in largest)
        factor = peak * KIB / plugin.stdin.stat().st_size
        print(f"| {title} | {' | '.join(cells)} | {cpu / 1000:.0f} | {peak / KIB:.0f} | {factor:.1f} |")


# ---- lists


def print_lists(heading, rows):
    """Rows by title: runs by number of entries."""
    print(f"\n{heading}: median us by the number of entries; growth of the processor time")
    growths = [f"{few:,} to {many:,}" for few, many, _ in GROWTHS]
    print_head("", *(f"{size:,}" for size in SIZES), "processor us, 1,000", *growths, "peak KiB", "")
    for title, runs in rows.items():
        cells = [f"{median(runs[size], 'time'):.0f}" + (" refused" if any(run.status for run in runs[size]) else "")
                 for size in SIZES]  # fmt: skip
        cpu = {size: min(run.cpu for run in runs[size]) for size in SIZES}
        remarks = ["slow"] if median(runs[1000], "time") > SLOW else []
        cells.append(str(cpu[1000]))
        suspicions = []
        for few, many, suspicious in GROWTHS:
            # What the program costs without a list hides no growth.
            less, more = cpu[few] - cpu[10], cpu[many] - cpu[10]
            cells.append(f"{more / less:.1f}" if less >= NOISE else "-")
            if less >= NOISE:
                suspicions.append(more / less > suspicious)
        if suspicions and all(suspicions):
            remarks.append("quadratic?")
        peak = max(run.kib for size in SIZES for run in runs[size])
        print(f"| {title} | {' | '.join(cells)} | {peak} | {' '.join(remarks)} |")


def turns():
    """Runs in turn, by number of entries."""
    return ((turn, size) for turn in range(RUNS) for size in SIZES if turn == 0 or size <= 1000)


def numbers(first, count):
    """None next to another: neighbours would be merged."""
    return ",".join(str(first + 2 * i) for i in range(count))


def cidrs(count):
    """Of both families in turn."""
    return ",".join(f"fd11:{i:x}::/40" if i % 2 else f"11.{i // 250}.{i % 250}.0/25" for i in range(count))


def names(count):
    return ",".join(f"net{i}" for i in range(count))


def uids(count):
    return ";".join(f"tcp:{20001 + 2 * i}:{2001 + 2 * i}" for i in range(count))


def pod_with(annotation, entries):
    return lambda count: {**injected(), annotation: entries(count)}


# The annotations of a pod, by what they list; each entry becomes rules, or an element of a set.
RULES = {
    annotation.rpartition("/")[2]: pod_with(annotation, entries)
    for annotation, entries in {
        "traffic.sidecar.istio.io/excludeOutboundPorts": lambda count: numbers(20001, count),
        "traffic.sidecar.istio.io/includeOutboundPorts": lambda count: numbers(20001, count),
        "traffic.sidecar.istio.io/includeInboundPorts": lambda count: numbers(20001, count),
        "traffic.sidecar.istio.io/excludeInboundPorts": lambda count: numbers(20001, count),
        "traffic.sidecar.istio.io/includeOutboundIPRanges": cidrs,
        "traffic.sidecar.istio.io/excludeOutboundIPRanges": cidrs,
        "sluice.dev/exclude-inbound-cidrs": cidrs,
        "traffic.sidecar.istio.io/excludeInterfaces": names,
        "istio.io/reroute-virtual-interfaces": names,
        "sluice.dev/exclude-owner-groups": lambda count: numbers(2001, count),
        "sluice.dev/exclude-outbound-for-uids": uids,
    }.items()
}
# The life of a pod: what is measured, the verb, how many entries more than before.
LIFE = (("ADD", "ADD", 0), ("CHECK", "CHECK", 0), ("ADD with one entry more", "ADD", 1), ("DEL", "DEL", 1))


def live(plugin, backend, annotations, life=LIFE):
    """One run each of `life` in a pod of its own; `annotations` of so many entries more."""
    pod = Pod()
    try:
        keys = {"pod": pod, "backend": backend, "dualStack": True}
        return {title: plugin.run(command, conf(annotations=annotations(more), **keys), pod)
                for title, command, more in life}  # fmt: skip
    finally:
        pod.delete()


def measure_rules(plugin):
    rows = {title: {(name, backend): {size: [] for size in SIZES} for name in RULES for backend in BACKENDS}
            for title, _, _ in LIFE}  # fmt: skip
    for _, size in turns():
        for name, make in RULES.items():
            for backend in BACKENDS:
                lives = live(plugin, backend, lambda more, make=make, size=size: make(size + more))
                for title, run in lives.items():
                    rows[title][name, backend][size].append(run)
    for title, found in rows.items():
        print_lists(f"{title}, both families",
                    {f"{name}, {backend}": runs for (name, backend), runs in found.items()})  # fmt: skip


def measure_most(plugin):
    """As many rules as 256 KiB of annotations, what the API server takes, can ask for."""
    annotations = {f"sluice.dev/proxy-{kind}": numbers(2001, 64) for kind in ("uid", "gid")}
    for name, count in (("exclude-owner-groups", 8000), ("exclude-outbound-for-uids", 8000),
                        ("excludeInterfaces", 5000), ("excludeOutboundPorts", 8000)):  # fmt: skip
        annotations.update(RULES[name](count))
    life = [(command, command, 0) for command in ("ADD", "CHECK", "DEL")]
    size = sum(len(key) + len(value) for key, value in annotations.items())
    print(f"\n{size // KIB} KiB of annotations that make as many rules as they can, once: ms (processor ms)")
    print_head("", *(title for title, _, _ in life), "peak MiB")
    for backend in BACKENDS:
        runs = live(plugin, backend, lambda _: annotations, life).values()
        cells = [f"{run.time / 1000:.0f} ({run.cpu / 1000:.0f}){' refused' if run.status else ''}" for run in runs]
        print(f"| {backend} | {' | '.join(cells)} | {max(run.kib for run in runs) / KIB:.0f} |")


# ---- what is read and does not become rules


def many(count, make):
    return [make(i) for i in range(count)]


def plain(pod, **keys):
    return conf(**{"annotations": {}, "pod": pod, **keys})


def proxy_config(count):
    text = "proxyMetadata:\n" + "".join(f"  K{i}: v\n" for i in range(count))
    return {**injected(), "proxy.istio.io/config": text, "sidecar.istio.io/interceptionMode": "NONE"}


def status(count):
    return {STATUS: json.dumps({"initContainers": ["istio-init"], "containers": many(count, lambda i: f"c{i}")})}


def networks(count):
    return {f"n{i}": {"proxyUid": i + 1} for i in range(count)}


def addresses(count):
    return many(count, lambda i: f"10.{i // 62500}.{i // 250 % 250}.{i % 250}/32")


# Verb, document and changed variables of a call with so many; none of them opens the pod's namespace.
READ = {
    "annotations": lambda n, pod: ("ADD", plain(pod, annotations={f"example.com/{i}": "v" for i in range(n)}), {}),
    "status: containers": lambda n, pod: ("ADD", plain(pod, annotations=status(n)), {}),
    "proxyMetadata": lambda n, pod: ("ADD", plain(pod, annotations=proxy_config(n)), {}),
    "CNI_ARGS": lambda n, pod: ("ADD", plain(pod),
                                {"CNI_ARGS": KUBERNETES_ARGS + "".join(f";K{i}=v" for i in range(n))}),
    "prevResult: ips": lambda n, pod: ("ADD", plain(pod, addresses=addresses(n)), {}),
    "prevResult: ips, to 0.2.0": lambda n, pod: ("ADD", {**plain(pod, addresses=addresses(n)), "cniVersion": "0.2.0"},
                                                 {}),
    "excludeNamespaces": lambda n, pod: ("ADD", plain(pod, excludeNamespaces=many(n, lambda i: f"n{i}")), {}),
    "namespaces": lambda n, pod: ("ADD", plain(pod, namespaces=networks(n)), {}),
    "unknown keys": lambda n, pod: ("ADD", {**plain(pod), **{f"k{i}": 1 for i in range(n)}}, {}),
    "valid attachments": lambda n, pod: ("GC", {**plain(pod), "cni.dev/valid-attachments": many(
        n, lambda i: {"containerID": CONTAINER_ID, "ifname": f"net{i}"})}, {}),
}  # fmt: skip


def measure_read(plugin, pod):
    rows = {title: {size: [] for size in SIZES} for title in READ}
    for _, size in turns():
        for title, make in READ.items():
            command, document, env = make(size, pod)
            rows[title][size].append(plugin.run(command, document, pod, **env))
    print_lists("what is read and does not become rules", rows)


def main():
    with tempfile.TemporaryDirectory() as work:
        plugin = Plugin(work)
        pod = Pod()
        try:
            measure_documents(plugin, pod)
            measure_read(plugin, pod)
        finally:
            pod.delete()
        measure_rules(plugin)
        measure_most(plugin)


if __name__ == "__main__":
    main()
