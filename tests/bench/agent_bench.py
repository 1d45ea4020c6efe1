# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures what the node agent costs: an ADD that asks it, its memory, its time at rest."""

import json
import statistics
import tempfile
import time

from tests.agent.agent import Agent, Node, wait_until
from tests.agent.api_server import ApiServer
from tests.agent.mesh_pod import MeshPod
from tests.agent.pod_objects import pod_object
from tests.bench.bench import Bench, RUNS, percentile
from tests.protocol.netconf import injected, mesh_conf
from tests.protocol.runtime import PLUGIN, environment

REST_SECONDS = 20


def measured_add(bench, api, entry, work):
    """Microseconds and KiB of the first ADD of a new pod."""
    pod = MeshPod()
    try:
        api.put_pod(pod.object())
        # The watch needs a moment; what is measured is an answer from its cache.
        time.sleep(0.05)
        document = {**mesh_conf(pod, injected()), **entry}
        path = f"{work}/add.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        bench.stdin = path
        arguments = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={pod.pod_name};K8S_POD_UID={pod.uid}"
        return bench.run(PLUGIN, env=environment("ADD", pod, CNI_ARGS=arguments))
    finally:
        pod.delete()


def latency(api, node):
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(work)
        asked, alone = [], []
        entry = node.our_entry()
        for turn in range(-2, RUNS):
            both = (measured_add(bench, api, entry, work), measured_add(bench, api, {}, work))
            if turn >= 0:
                asked.append(both[0])
                alone.append(both[1])
    print("| ADD | median us | p90 us | p99 us | peak KiB | / annotations only |")
    print("|---|---|---|---|---|---|")
    scale = statistics.median(time for time, _ in alone)
    for title, runs in (("asks the agent", asked), ("annotations only", alone)):
        times = [time for time, _ in runs]
        print(f"| {title} | {statistics.median(times):.0f} | {percentile(times, 0.9):.0f} | "
              f"{percentile(times, 0.99):.0f} | {max(m for _, m in runs)} | "
              f"{statistics.median(times) / scale:.2f} |")


def memory(api, agent):
    print("| pods on the node | agent KiB (RSS) |")
    print("|---|---|")
    for count in (0, 50, 250):
        for number in range(count):
            api.put_pod(pod_object(f"bench-{number}", uid=f"bench-{number}", addresses=()))
        wait_until(lambda count=count: len(agent.status()["pods"]) >= count, "all pods are known")
        time.sleep(1)
        print(f"| {count} | {agent.memory_kib()} |")


def rest(agent):
    before = agent.cpu_seconds()
    time.sleep(REST_SECONDS)
    used = agent.cpu_seconds() - before
    print(f"agent at rest with 250 pods: {used:.2f} s of processor time in {REST_SECONDS} s "
          f"({100 * used / REST_SECONDS:.2f} %)")


def main():
    node = Node()
    with ApiServer() as api:
        api.put_daemonset("sluice-agent", "sluice-system")
        agent = Agent(node, api, "--repair", "report", "--log-level", "info").wait_ready()
        try:
            memory(api, agent)
            rest(agent)
        finally:
            agent.stop()
        agent = Agent(node, api, "--repair", "off", "--log-level", "info").wait_ready()
        try:
            latency(api, node)
        finally:
            agent.stop()
    node.remove()


if __name__ == "__main__":
    main()
