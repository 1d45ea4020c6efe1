# SPDX-License-Identifier: GPL-2.0-or-later
"""Privileges, the kernel and the file system: A-148 to A-161.

There is no folder of state: what is asked about one is asked about the node's file system, which must not matter,
and about the rules in the pod, which are the state.
"""

import itertools

from tests.conformance.cases import case
from tests.conformance.conformance import FOLDERS, SANITIZED, SPARSER, ConformanceCase, ours, plain, state
from tests.protocol.add_del_check_test import FOREIGN_FILTER, FOREIGN_NAT
from tests.protocol.netconf import V6, injected
from tests.protocol.runtime import PLUGIN
from tests.protocol.trace_test import WRITES

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
IN_USER_NAMESPACE = ("unshare", "--user", "--map-root-user")
DAMAGE = (
    ("-F", "ISTIO_OUTPUT"), ("-F", "ISTIO_INBOUND"), ("-D", "OUTPUT", "1"), ("-D", "PREROUTING", "1"),
    ("-I", "ISTIO_OUTPUT", "-j", "RETURN"), ("-A", "ISTIO_REDIRECT", "-p", "udp", "-j", "ACCEPT"),
)  # fmt: skip


def without(capability):
    return ("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}")


def in_mounts(*commands):
    """A mount namespace of its own in which these commands have run."""
    return ("unshare", "--mount", "sh", "-c", " && ".join((*commands, 'exec "$@"')), "sh")


READ_ONLY = in_mounts("mount -o remount,bind,ro /", "! touch /conformance 2>/dev/null")
NO_PROC = in_mounts("umount -R -l /sys", "umount -R -l /proc")


class Privilege(ConformanceCase):
    @case("A-148", "a missing capability is named, and nothing changed; VERSION and the about text need none")
    def test_a_148(self):
        for capability in ("sys_admin", "net_admin"):
            pod = self.pod()
            self.refused("ADD", ours(pod), 103, f"CAP_{capability.upper()}", pod=pod, wrap=without(capability))
        for wrap in (NOBODY, NO_CAPABILITIES, IN_USER_NAMESPACE):
            pod = self.pod()
            self.refused("ADD", ours(pod), 103, "CAP_SYS_ADMIN", pod=pod, wrap=wrap)
            self.assertEqual(self.call("VERSION", b"", wrap=wrap).rc, 0)
            self.assertIn("CNI sluice-cni plugin", self.call("", b"", wrap=wrap).stderr)

    @case("A-149", "root of a user namespace alone is refused clearly; a pod that is not ours needs no root")
    def test_a_149(self):
        pod = self.pod()
        wrap = (*IN_USER_NAMESPACE, "--net")
        self.refused("ADD", ours(pod), 103, pod=pod, wrap=wrap)
        self.passes(plain(), wrap=wrap)

    def forbidden(self, pod, document, call, error):
        # The first one looks for streams that are closed.
        number = "2+" if call == "openat" else "1+"
        wrap = self.strace("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}")
        with self.many():
            outcome = self.call("ADD", document, pod, wrap=wrap)
            self.clean(outcome, pod)
            if outcome.rc == 1:
                operations = "open|enter|namespace|socket|table|commit|netlink|kernel"
                self.assertRegex(outcome.parsed()["msg"], operations)
            self.call("DEL", document, pod)

    @case("A-150", "a call that a security module forbids is an error that names it, with nothing changed")
    def test_a_150(self):
        pod = self.pod()
        # The tables are in use from here on, which is the only trace that a refused ADD may leave.
        self.add(pod, ours(pod, backend="xtables"))
        self.delete(pod)
        # A program that is not static opens its libraries first.
        calls = ("setns", "socket", "bind", "setsockopt", "getsockopt", "sendto", "recvmsg", "sendmsg")
        calls = calls if SANITIZED else ("openat", *calls)
        modes = itertools.product(("auto", "xtables", "nftables"), ("REDIRECT", "TPROXY"))
        faults = list(itertools.product(calls, modes, ("EACCES", "EPERM", "ENOSYS")))
        for call, (backend, mode), error in faults[::SPARSER]:
            with self.subTest(call=call, error=error, backend=backend, mode=mode):
                self.forbidden(pod, ours(pod, backend=backend, interceptionMode=mode), call, error)

    @case("A-151", "a kernel without the tables is named, with nothing changed")
    def test_a_151(self):
        pod = self.pod()
        wrap = self.strace("-e", "trace=getsockopt", "-e", "inject=getsockopt:error=ENOPROTOOPT:when=1+")
        error = self.refused("ADD", ours(pod, backend="xtables"), 102, pod=pod, wrap=wrap)
        self.assertRegex(error["msg"] + error.get("details", ""), "ip_tables|iptable_nat")

    @case("A-152", "a kernel that lacks an extension: the error says so, and nothing is left")
    def test_a_152(self):
        for error in ("ENOENT", "EOPNOTSUPP"):
            pod = self.pod()
            document = ours(pod, backend="xtables")
            self.add(pod, document)
            self.delete(pod, document)
            wrap = self.strace("-e", "trace=setsockopt")
            self.call("ADD", document, pod, wrap=wrap)
            number = next(n for n, call in enumerate(self.calls(), 1) if "SO_SET_REPLACE" in call)
            self.delete(pod, document)
            wrap = self.strace("-e", "trace=setsockopt", "-e", f"inject=setsockopt:error={error}:when={number}+")
            self.refused("ADD", document, 102, pod=pod, wrap=wrap)
            self.assert_not_redirected(pod)

    @case("A-153", "rules of both of the kernel's interfaces stand beside ours; those of others stay")
    def test_a_153(self):
        pod = self.pod()
        pod.inside("iptables-legacy-restore", text=FOREIGN_NAT + FOREIGN_FILTER)
        self.by_hand(pod, "iptables-nft-restore", text=FOREIGN_FILTER)
        self.by_hand(pod, "nft", "add table ip6 theirs; add chain ip6 theirs c; add rule ip6 theirs c accept")
        before = {line for line in state(pod).splitlines() if not line.startswith("*")}
        self.add(pod)
        self.assertLessEqual(before, set(state(pod).splitlines()))
        self.silent("CHECK", ours(pod), pod)
        self.delete(pod)
        self.assertLessEqual(before, set(state(pod).splitlines()))

    def lives(self, wrap):
        """ADD, CHECK and DEL in surroundings that must not matter."""
        pod = self.pod()
        self.add(pod, wrap=wrap)
        self.silent("CHECK", ours(pod), pod, wrap=wrap)
        self.delete(pod, wrap=wrap)

    @case("A-154", "a read-only file system does not matter: there is no folder of state")
    def test_a_154(self):
        self.lives(READ_ONLY)

    @case("A-155", "folders that would hold a state may be missing, files, links or empty: none is looked at")
    def test_a_155(self):
        self.lives(in_mounts("mount -t tmpfs none /var/lib", "touch /var/lib/cni", "ln -s /etc /var/lib/sluice"))
        pod = self.pod()
        for command in ("ADD", "CHECK", "DEL"):
            self.assertEqual(self.call(command, ours(pod), pod, wrap=self.strace("-e", "trace=%file")).rc, 0)
            text = "\n".join(self.calls())
            self.assertIn(pod.path, text)
            for folder in FOLDERS:
                self.assertNotIn(f'"{folder}', text)

    @case("A-156", "a full disk does not matter: nothing is written to one")
    def test_a_156(self):
        full = "dd if=/dev/zero of={0}/full bs=4k 2>/dev/null; true"
        tops = [top for top in ("/tmp", "/var/lib", "/var/tmp") if not PLUGIN.startswith(f"{top}/")]
        mounts = [f"mount -t tmpfs -o size=4k none {top}" for top in tops]
        self.lives(in_mounts(*mounts, *(full.format(top) for top in tops)))
        pod = self.pod()
        self.add(pod, wrap=self.strace("-e", "trace=%file,write"))
        writes = [call for call in self.calls() if WRITES.search(call) and "/dev/null" not in call]
        self.assertEqual(writes, [])
        self.release_only("a sanitizer writes into pipes to see what memory it may read")
        self.assertEqual({call[:8] for call in self.calls() if call.startswith("write(")}, {"write(1,", "write(2,"})

    @case("A-157", "rules in the pod that were cut short or tampered with: CHECK says so, ADD mends, DEL takes out")
    def test_a_157(self):
        for words in DAMAGE:
            with self.subTest(words=words):
                pod = self.pod()
                document = ours(pod, backend="xtables")
                self.add(pod, document)
                self.by_hand(pod, "iptables-legacy", "-t", "nat", *words)
                self.refused("CHECK", document, 105, pod=pod)
                self.add(pod, document)
                self.silent("CHECK", document, pod)
                self.by_hand(pod, "iptables-legacy", "-t", "nat", *words)
                self.delete(pod, document)

    @case("A-158", "without /proc and /sys it works or says what it lacks, and DEL succeeds")
    def test_a_158(self):
        self.release_only("a sanitizer reads its own memory's layout in /proc")
        pod = self.pod()
        with self.many():
            outcome = self.call("ADD", ours(pod), pod, wrap=NO_PROC)
            self.clean(outcome, pod)
            if outcome.rc == 1:
                self.assertIn("/proc", outcome.parsed()["msg"])
        self.silent("DEL", ours(pod), pod, wrap=NO_PROC)
        self.passes(plain(), wrap=NO_PROC)

    @case("A-159", "no call dumps core or makes a sanitizer report: each of this suite is judged so")
    def test_a_159(self):
        pod = self.pod()
        for command in ("ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION", "OTHER"):
            for stdin in (b"", b"[", b"{}", ours(pod, version="1.1.0"), ours(pod, version="9")):
                wrap = ("prlimit", "--core=unlimited")
                self.call(command, stdin, pod, wrap=wrap)
        with self.assertRaisesRegex(AssertionError, "Sanitizer"):
            self.call("", b"", wrap=("sh", "-c", "echo ERROR: AddressSanitizer >&2"))
        with self.assertRaisesRegex(AssertionError, "-6 not found"):
            self.call("", b"", wrap=("sh", "-c", "ulimit -c 0; kill -ABRT $$"))

    @case("A-160", "a reboot between ADD and DEL: a path that is a file or gone succeeds, another's pod is left alone")
    def test_a_160(self):
        stale = self.directory / "stale"
        stale.touch()
        other = self.pod()
        before = state(other)
        for path in (str(stale), str(self.directory / "gone")):
            self.silent("DEL", ours(other), env={"CNI_NETNS": path})
        # The kernel may give the next namespace the number of the last: nothing is kept by number.
        self.silent("DEL", ours(other), other)
        self.assertEqual(state(other), before)

    @case("A-161", "what another version or layout wrote, DEL takes out and ADD replaces")
    def test_a_161(self):
        for layout in ("istio", "istio-1.6", "sluice"):
            for later in ("istio", "istio-1.6", "sluice"):
                with self.subTest(layout=layout, later=later):
                    pod = self.pod()
                    self.add(pod, ours(pod, layout=layout, addresses=(V6,)))
                    self.add(pod, ours(pod, injected(), layout=later))
                    self.silent("CHECK", ours(pod, layout=later), pod)
                    self.delete(pod, ours(pod, layout=layout))
