# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin can still do while it works on what tenants wrote."""

import re
import signal
import subprocess
import time

from tests.protocol.fake_agent import Agent, hang
from tests.protocol.lock_test import finish, locked, start
from tests.protocol.netconf import V6, mesh_conf
from tests.protocol.runtime import PLUGIN, UserPod, environment, run
from tests.protocol.signals_test import READ, waits_in
from tests.protocol.trace_test import Traced

NET_ADMIN = 1 << 12
# CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN.
TO_ENTER = 1 << 12 | 1 << 13 | 1 << 21
DAC_READ_SEARCH = 1 << 2
# strace knows the name of the type in some families of netlink only.
BATCH_BEGIN = re.compile(r"nlmsg_type=(0x10|NFNL_MSG_BATCH_BEGIN)\b")
NET_ADMIN_ALONE = "effective=1<<CAP_NET_ADMIN, permitted=1<<CAP_NET_ADMIN, inheritable=0"


def status_of(child):
    with open(f"/proc/{child.pid}/status") as file:
        return dict(re.findall(r"^(\w+):\t(.*)$", file.read(), re.MULTILINE))


def stopped(child):
    """Stops the process when it is confined, while it waits for a lock; its status then."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        child.send_signal(signal.SIGSTOP)
        status = status_of(child)
        if int(status["CapEff"], 16) == NET_ADMIN and status["Seccomp"] == "2":
            return status
        child.send_signal(signal.SIGCONT)
        time.sleep(0.002)
    return status_of(child)


class Confinement(Traced):
    def test_in_the_pod_it_can_write_rules_and_little_else(self):
        pod = self.pod()
        document = mesh_conf(pod)
        for command in ("ADD", "DEL"):
            with self.subTest(command=command), locked(pod):
                child = start(command, document, pod)
                status = stopped(child)
                child.send_signal(signal.SIGCONT)
                self.assertEqual(finish([child])[0][0], 0)
                for name, kept in (("CapEff", NET_ADMIN), ("CapPrm", NET_ADMIN), ("CapInh", 0), ("CapAmb", 0)):
                    self.assertEqual(int(status[name], 16), kept, status)
                self.assertEqual(status["NoNewPrivs"], "1")
                self.assertEqual(status["Seccomp"], "2")

    def test_a_pod_with_its_own_users_takes_a_child(self):
        for backend in ("xtables", "nftables"):
            with self.subTest(backend=backend):
                pod = UserPod()
                self.addCleanup(pod.delete)
                document = mesh_conf(pod, addresses=(V6,), backend=backend)
                self.assert_passed(run("ADD", document, pod), document)
                self.assertRegex(pod.inside("sh", "-c", "iptables-legacy-save; nft list ruleset"), "ISTIO|table inet")
                # Tables of x_tables make nf_tables' backend look into those, which takes the child too.
                pod.inside("sh", "-c", "iptables-legacy -t nat -N ISTIO_OUTPUT || true")
                self.assert_passed(run("ADD", document, pod), document)
                self.assert_success_silent(run("DEL", document, pod))
                self.assert_not_redirected(pod)

    def what_writes(self, command, pod):
        """By which steps a traced call through nf_tables comes to its first write, or to a child."""
        wrap = self.strace("-e", "trace=capset,seccomp,clone,sendto")
        document = mesh_conf(pod, addresses=(V6,), backend="nftables", logLevel="warn")
        outcome = run(command, document, pod, wrap=wrap)
        self.assertEqual((outcome.rc, outcome.stderr), (0, ""))
        steps = []
        for call in self.calls():
            if call.startswith("clone("):
                return [*steps, "child"]
            if BATCH_BEGIN.search(call):
                return [*steps, "write"]
            if call.startswith("seccomp("):
                steps.append("filter")
            if call.startswith("capset(") and NET_ADMIN_ALONE in call:
                steps.append("NET_ADMIN alone")
        return steps

    def test_of_a_pod_with_its_own_users_it_keeps_no_more_than_it_needs(self):
        pod = UserPod()
        self.addCleanup(pod.delete)
        alone = ["filter", "NET_ADMIN alone", "filter", "write"]
        self.assertEqual(self.what_writes("ADD", pod), alone)
        # Tables of others have to be looked into, and are nothing to write.
        pod.inside("iptables-legacy", "-t", "nat", "-A", "OUTPUT", "-j", "RETURN")
        self.assertEqual(self.what_writes("DEL", pod), alone)
        pod.inside("iptables-legacy", "-t", "nat", "-N", "ISTIO_OUTPUT")
        self.assertEqual(self.what_writes("ADD", pod), ["filter", "child"])

    def assert_few_capabilities(self, child, few=TO_ENTER):
        status = status_of(child)
        for name, kept in (("CapEff", few), ("CapPrm", few), ("CapInh", 0), ("CapAmb", 0)):
            self.assertEqual(int(status[name], 16), kept, status)
        self.assertEqual(status["NoNewPrivs"], "1")

    def test_nothing_is_read_with_more_capabilities_than_entering_takes(self):
        pod, user_pod = self.pod(), UserPod()
        self.addCleanup(user_pod.delete)
        for command, of in (("ADD", pod), ("DEL", pod), ("CHECK", pod), ("ADD", None), ("DEL", None), ("GC", None),
                            ("STATUS", None), ("ADD", user_pod)):
            with self.subTest(command=command, pod=of):
                child = subprocess.Popen([PLUGIN], env=environment(command, of), stdin=subprocess.PIPE,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
                with child:
                    self.assertTrue(waits_in(child, *READ))
                    self.assert_few_capabilities(child, TO_ENTER | (DAC_READ_SEARCH if of is user_pod else 0))

    def test_before_it_knows_whose_pod_it_is_it_can_ask_the_agent(self):
        pod, agent = self.pod(), Agent(self, hang)
        child = start("ADD", mesh_conf(pod, agentSocket=agent.path, agentTimeoutMs=9000), pod)
        deadline = time.monotonic() + 10
        while not agent.questions() and time.monotonic() < deadline:
            time.sleep(0.002)
        self.assert_few_capabilities(child)
        self.assertEqual(status_of(child)["Seccomp"], "0")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(finish([child])[0][0], 1)
