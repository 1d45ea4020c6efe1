# SPDX-License-Identifier: GPL-2.0-or-later
"""CNI_NETNS and what is in it: A-110 to A-126."""

import functools
import os
import socket

from tests.conformance.cases import case
from tests.conformance.conformance import ours, state
from tests.conformance.meanwhile import MeanwhileCase
from tests.protocol import runtime
from tests.protocol.add_del_check_test import FOREIGN_FILTER, FOREIGN_NAT
from tests.protocol.namespace_test import within

FOREIGN_NFT = "table inet theirs { chain c { type nat hook output priority -100; tcp dport 81 redirect to :82; }; }"
OWN_PID_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


class Namespace(MeanwhileCase):
    def no_namespace(self, *paths, seconds=5):
        """ADD and CHECK refuse them by name, DEL has nothing to do."""
        for path in paths:
            with self.subTest(path=path[:80]):
                env = {"CNI_NETNS": str(path)}
                for command in ("ADD", "CHECK"):
                    self.refused(command, ours(self.node.pod), 4, "CNI_NETNS", env=env, seconds=seconds)
                self.silent("DEL", ours(self.node.pod), env=env, seconds=seconds)

    @case("A-110", "a namespace that is not there fails ADD and CHECK by name, not DEL")
    def test_a_110(self):
        self.no_namespace(runtime.NO_NETNS, "/nowhere/at/all")
        self.assertFalse(os.path.exists(runtime.NO_NETNS))

    @case("A-111", "neither is a file, folder, device, socket, loop of links or endless path; none is touched")
    def test_a_111(self):
        regular, loop = self.directory / "regular", self.directory / "loop"
        regular.write_text("content")
        os.utime(regular, ns=(1, 1))
        loop.symlink_to("loop")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.directory / "socket"))
            before = sorted(os.listdir(self.directory))
            self.no_namespace(str(regular), str(self.directory), "/dev/null", str(self.directory / "socket"),
                              str(loop), "/x" * 2500, "relative/path")  # fmt: skip
        self.assertEqual((regular.read_text(), regular.stat().st_mtime_ns), ("content", 1))
        self.assertEqual(sorted(os.listdir(self.directory)), before)

    @case("A-112", "a FIFO in its place does not hold the call up")
    def test_a_112(self):
        os.mkfifo(self.directory / "fifo")
        self.no_namespace(str(self.directory / "fifo"), seconds=1)

    @case("A-113", "a namespace of another kind is no network namespace")
    def test_a_113(self):
        self.no_namespace(*(f"/proc/self/ns/{kind}" for kind in ("mnt", "pid", "user", "uts", "ipc", "cgroup")))

    @case("A-114", "the plugin's own namespace is refused before anything is changed, and left alone by DEL")
    def test_a_114(self):
        self.no_namespace("/proc/self/ns/net", "/proc/thread-self/ns/net")

    @case("A-115", "so it is behind a bind mount, a link, or its name on the node")
    def test_a_115(self):
        link, mount = self.directory / "link", self.directory / "mount"
        link.symlink_to(self.node.pod.path)
        mount.touch()
        runtime.tool("mount", "--bind", self.node.pod.path, str(mount))
        try:
            self.no_namespace(str(link), str(mount), self.node.pod.path)
        finally:
            runtime.tool("umount", str(mount))

    @case("A-116", "CNI_NETNS_OVERRIDE of 1 or true, in any case, allows it, nothing else does")
    def test_a_116(self):
        for value in ("1", "true", "TRUE", "True"):
            pod = self.pod()
            self.add(pod, env={"CNI_NETNS_OVERRIDE": value}, wrap=within(pod))
        for value in ("yes", "0", "", "false", "2", " 1"):
            pod = self.pod()
            env = {"CNI_NETNS_OVERRIDE": value}
            self.refused("ADD", ours(pod), 4, "CNI_NETNS", pod=pod, env=env, wrap=within(pod))

    @case("A-117", "the first process's namespace is the node's, and so the plugin's own")
    def test_a_117(self):
        env = {"CNI_NETNS": "/proc/1/ns/net"}
        for command in ("ADD", "CHECK"):
            self.refused(command, ours(self.node.pod), 4, "CNI_NETNS", env=env, wrap=OWN_PID_NAMESPACE)
        self.silent("DEL", ours(self.node.pod), env=env, wrap=OWN_PID_NAMESPACE)

    @case("A-118", "two container IDs in one namespace are one pod: rules belong to the namespace, not to an ID")
    def test_a_118(self):
        pod = self.pod()
        self.add_interface(pod, "net1")
        one, other = {"CNI_CONTAINERID": "one"}, {"CNI_CONTAINERID": "other", "CNI_IFNAME": "net1"}
        self.add(pod, env=one)
        before = state(pod)
        self.add(pod, env=other)
        self.assertEqual(state(pod), before)
        # The other's DEL leaves it as long as the first is attached.
        self.silent("DEL", ours(pod), pod, env=other)
        self.assertEqual(state(pod), before)
        self.ip(pod, "link del net1")
        self.delete(pod, env=one)

    @case("A-119", "a namespace that is deleted meanwhile: all or nothing, and DEL has nothing to do")
    def test_a_119(self):
        for call in ("setns", "socket"):
            pod = runtime.Pod()
            with self.meanwhile(call, pod.path, pod.delete) as wrap:
                outcome = self.call("ADD", ours(pod), pod, wrap=wrap)
            if outcome.rc == 1:
                self.assert_error(outcome, {4, 11, *range(100, 110)})
            self.silent("DEL", ours(pod), pod)

    @case("A-120", "a path that comes to name another namespace meanwhile: the one that was opened is used")
    def test_a_120(self):
        pod, other, link = self.pod(), self.pod(), self.directory / "link"
        link.symlink_to(pod.path)

        def swap():
            (self.directory / "new").symlink_to(other.path)
            (self.directory / "new").rename(link)

        with self.meanwhile("setns", str(link), swap) as wrap:
            self.passes(ours(pod), env={"CNI_NETNS": str(link)}, wrap=wrap)
        self.assert_redirected(pod)
        self.same(other)

    @case("A-121", "an interface that goes or is renamed meanwhile: all or nothing")
    def test_a_121(self):
        for call in ("setns", "setsockopt"):
            for change in ("link del eth0", "link set eth0 name eth9"):
                with self.subTest(call=call, change=change):
                    pod = self.pod()
                    act = functools.partial(pod.ip, change)
                    with self.meanwhile(call, pod.path, act) as wrap, self.many():
                        outcome = self.call("ADD", ours(pod), pod, wrap=wrap)
                    self.clean(outcome, pod)
                    if call == "setns":
                        self.assert_error(outcome, 101, "eth0")

    @case("A-122", "interfaces that are down and a pod without address or route are redirected all the same")
    def test_a_122(self):
        for change in (("link set eth0 down",), ("link set lo down",), ("addr flush dev eth0",),
                       ("link set eth0 down", "link set lo down", "addr flush dev eth0")):  # fmt: skip
            pod = self.pod()
            self.ip(pod, *change)
            self.add(pod)
            self.silent("CHECK", ours(pod), pod)

    @case("A-123", "a namespace that belongs to a pod's own user namespace is served by the node's root")
    def test_a_123(self):
        pod = runtime.UserPod()
        self.addCleanup(pod.delete)
        self.add(pod)
        self.silent("CHECK", ours(pod), pod)
        pod.inside("ip", "link", "del", "eth0")
        self.delete(pod)

    @case("A-124", "10,000 rules of others and 1,000 interfaces cost no more than their number")
    def test_a_124(self):
        pod = self.pod()
        rules = "".join(f"-A THEIRS -d 10.{n >> 8}.{n & 255}.1/32 -j RETURN\n" for n in range(10000))
        self.by_hand(pod, "iptables-legacy-restore", text=f"*nat\n:THEIRS - [0:0]\n{rules}COMMIT\n")
        self.ip(pod, *(f"link add a{n} type veth peer name b{n}" for n in range(500)))
        self.add(pod)
        self.silent("CHECK", ours(pod), pod)
        # Rules stay while any other interface could connect the pod.
        self.silent("DEL", ours(pod), pod)
        self.assert_redirected(pod)

    @case("A-125", "rules of others stay byte for byte, with their counters, on ADD and DEL")
    def test_a_125(self):
        pod = self.pod()
        pod.inside("iptables-legacy-restore", "--counters", text=FOREIGN_NAT + FOREIGN_FILTER)
        self.by_hand(pod, "nft", "-f", "-", text=FOREIGN_NFT)

        def theirs():
            lines = pod.inside("iptables-legacy-save", "-c").splitlines()
            kept = [line for line in lines if "ISTIO_" not in line and not line.startswith("#")]
            return kept, pod.inside("nft", "list", "table", "inet", "theirs")

        before = theirs()
        for _ in range(2):
            self.add(pod)
            self.assertEqual(theirs(), before)
        self.delete(pod)
        self.assertEqual(theirs(), before)

    @case("A-126", "where IPv6 is switched off IPv4 is redirected, and what is left out is said")
    def test_a_126(self):
        pod = self.pod()
        self.by_hand(pod, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        document = ours(pod, dualStack=True)
        self.assertIn("::6/128 is not added", self.add(pod, document).stderr)
        self.silent("CHECK", document, pod)
        self.delete(pod, document)
