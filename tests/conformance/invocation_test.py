# SPDX-License-Identifier: GPL-2.0-or-later
"""Invocation and environment: A-001 to A-033. Streams, limits and the rest of the process: process_test.py."""

import re

from tests.conformance.cases import case
from tests.conformance.conformance import ConformanceCase, ours, plain
from tests.protocol.environment_test import ABOUT, BAD_IDS, BAD_NAMES, REQUIRED, OpenPipe
from tests.protocol.netconf import VERSIONS
from tests.protocol.runtime import KUBERNETES_ARGS

# A shell that becomes the plugin without any variable and without stdin.
NOTHING = ("sh", "-c", 'exec env -i "$@" <&-', "sh")
# Only execve itself can pass an environment with a name in it twice.
TWICE = (
    "/usr/bin/python3", "-c",
    "import ctypes, os, sys\n"
    "def strings(*s): return (ctypes.c_char_p * (len(s) + 1))(*s)\n"
    "path = os.fsencode(sys.argv[1])\n"
    "rest = [k + b'=' + v for k, v in os.environb.items() if k != b'CNI_COMMAND']\n"
    "twice = (b'CNI_COMMAND=ADD', b'CNI_COMMAND=VERSION')\n"
    "ctypes.CDLL(None).execve(path, strings(path), strings(*twice, *rest))\n",
)  # fmt: skip
CONTAINER = ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH")
VERSION_DOCUMENT = {"cniVersion": "1.1.0", "supportedVersions": list(VERSIONS)}
# Some settings cannot be read, which grep takes for a failure.
SETTINGS_OF_ALL = "cd /proc/sys/net; grep -sr . ipv4/conf/all ipv6/conf/all ipv4/conf/default ipv6/conf/default || true"


class Invocation(ConformanceCase):
    @case("A-001", "with no environment and no stdin it says what it is, on stderr")
    def test_a_001(self):
        outcome = self.call("", None, wrap=NOTHING)
        self.assert_success_silent(outcome)
        self.assertRegex(outcome.stderr, ABOUT)

    @case("A-002", "an empty CNI_COMMAND is none: the about text, and stdin is left unread")
    def test_a_002(self):
        with OpenPipe() as stdin:
            outcome = self.call("", stdin, self.pod(), seconds=2)
        self.assert_success_silent(outcome)
        self.assertRegex(outcome.stderr, ABOUT)

    @case("A-003", "an unknown command is refused by name, even with an empty stdin")
    def test_a_003(self):
        self.refused("UPDATE", b"", 4, "CNI_COMMAND", "UPDATE", pod=self.pod())

    @case("A-004", "a command in another case or with blanks around it is unknown")
    def test_a_004(self):
        pod = self.pod()
        for command in ("add", "ADD ", " ADD"):
            self.refused(command, ours(pod), 4, f'"{command}"', pod=pod)

    @case("A-005", "of CNI_COMMAND given twice the first counts")
    def test_a_005(self):
        pod = self.pod()
        self.add(pod, wrap=TWICE)

    @case("A-006", "each variable is required by exactly the commands that need it, and named where it is missing")
    def test_a_006(self):
        pod = self.pod()
        for command in ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"):
            for name in CONTAINER:
                with self.subTest(command=command, name=name), self.many(pod):
                    env = {name: None}
                    if name in REQUIRED.get(command, ()):
                        self.refused(command, plain("1.1.0"), 4, f"[{name}]", pod=pod, env=env)
                    else:
                        self.assertEqual(self.call(command, plain("1.1.0"), pod, env=env).rc, 0)

    @case("A-007", "several missing variables are one error that lists them in order")
    def test_a_007(self):
        env = {"CNI_NETNS": None, "CNI_IFNAME": None}
        self.refused("ADD", plain(), 4, "[CNI_NETNS,CNI_IFNAME]", env=env)

    @case("A-008", "an ill-formed container ID is said before what is missing behind it")
    def test_a_008(self):
        self.refused("ADD", plain(), 4, "CNI_CONTAINERID", env={"CNI_CONTAINERID": "a/b", "CNI_IFNAME": None})

    @case("A-009", "ill-formed container IDs are refused and lead to no file")
    def test_a_009(self):
        pod = self.pod()
        for value in BAD_IDS:
            for command in ("ADD", "DEL", "CHECK"):
                with self.subTest(value=value, command=command):
                    env = {"CNI_CONTAINERID": value}
                    self.refused(command, ours(pod), 4, "CNI_CONTAINERID", pod=pod, env=env)

    @case("A-010", "a container ID of 4,096 characters is served, by DEL too")
    def test_a_010(self):
        pod, env = self.pod(), {"CNI_CONTAINERID": "c" * 4096}
        self.add(pod, env=env)
        self.delete(pod, env=env)

    def assert_apart(self, one, other):
        """Two pods, each as (pod, variables): what is done to one is not done to the other."""
        for pod, env in (one, other):
            document = ours(pod)
            document["prevResult"]["interfaces"][1]["name"] = env.get("CNI_IFNAME", "eth0")
            self.add(pod, document, env=env)
        self.delete(one[0], env=one[1])
        self.same(other[0])
        self.silent("CHECK", ours(other[0]), other[0], env=other[1])

    @case("A-011", "container IDs that begin with the same 200 characters are two pods")
    def test_a_011(self):
        self.assert_apart(*((self.pod(), {"CNI_CONTAINERID": "c" * 200 + end}) for end in "12"))

    @case("A-012", "container IDs that differ in case alone are two pods")
    def test_a_012(self):
        self.assert_apart(*((self.pod(), {"CNI_CONTAINERID": value}) for value in ("Ab", "aB")))

    @case("A-013", "ID a.b with interface c is not ID a with interface b.c: the namespace is the key")
    def test_a_013(self):
        pods = []
        for container_id, ifname in (("a.b", "c"), ("a", "b.c")):
            pod = self.pod(bare=True)
            self.add_interface(pod, ifname)
            pods.append((pod, {"CNI_CONTAINERID": container_id, "CNI_IFNAME": ifname}))
        self.assert_apart(*pods)

    @case("A-014", "an interface name has at most 15 bytes")
    def test_a_014(self):
        pod = self.pod()
        self.add_interface(pod, "fifteen-bytes-x")
        self.assertEqual(self.call("ADD", ours(pod), pod, env={"CNI_IFNAME": "fifteen-bytes-x"}).rc, 0)
        self.refused("ADD", ours(pod), 4, "CNI_IFNAME", env={"CNI_IFNAME": "sixteen-bytes-xx"}, pod=pod)

    @case("A-015", "bytes are counted, not letters: seven of two bytes are looked up, eight are too long")
    def test_a_015(self):
        pod = self.pod()
        self.refused("ADD", ours(pod), 101, pod=pod, env={"CNI_IFNAME": "é" * 7})
        self.refused("ADD", ours(pod), 4, "CNI_IFNAME", pod=pod, env={"CNI_IFNAME": "é" * 8})

    @case("A-016", "dots, slashes, colons and white space of any script are no interface name")
    def test_a_016(self):
        pod = self.pod()
        for value in BAD_NAMES:
            for command in ("ADD", "DEL", "CHECK"):
                with self.subTest(value=value, command=command):
                    self.refused(command, ours(pod), 4, "CNI_IFNAME", pod=pod, env={"CNI_IFNAME": value})

    @case("A-017", "odd but valid interface names are looked up as they are and not found")
    def test_a_017(self):
        pod = self.pod()
        for value in ("eth0%d", "-eth0", "\udcff", "%n%n%s"):
            with self.subTest(value=value):
                self.refused("ADD", ours(pod), 101, pod=pod, env={"CNI_IFNAME": value})

    @case("A-018", "interfaces called all and default are not found, and no setting of that name is written")
    def test_a_018(self):
        pod = self.pod()
        before = pod.inside("sh", "-c", SETTINGS_OF_ALL)
        for value in ("all", "default"):
            for command in ("ADD", "CHECK"):
                self.refused(command, ours(pod), 101, value, pod=pod, env={"CNI_IFNAME": value})
            self.assert_success_silent(self.call("DEL", ours(pod), pod, env={"CNI_IFNAME": value}))
        self.assertEqual(pod.inside("sh", "-c", SETTINGS_OF_ALL), before)

    @case("A-019", "an interface that the pod has not is an error with nothing changed")
    def test_a_019(self):
        pod = self.pod()
        self.refused("ADD", ours(pod), 101, "eth7", pod=pod, env={"CNI_IFNAME": "eth7"})

    @case("A-020", "an interface of the node alone is not the pod's, and is left alone")
    def test_a_020(self):
        pod = self.pod()
        self.refused("ADD", ours(pod), 101, "uplink0", pod=pod, env={"CNI_IFNAME": "uplink0"})

    @case("A-021", "CNI_PATH is not needed by a plugin that calls no other")
    def test_a_021(self):
        pod = self.pod()
        self.add(pod, env={"CNI_PATH": None})
        self.silent("CHECK", ours(pod), pod, env={"CNI_PATH": ""})
        self.delete(pod, env={"CNI_PATH": None})

    @case("A-022", "GC requires CNI_PATH")
    def test_a_022(self):
        for value in (None, ""):
            self.refused("GC", plain("1.1.0"), 4, "CNI_PATH", env={"CNI_PATH": value})

    @case("A-023", "unknown arguments are ignored where they may be")
    def test_a_023(self):
        self.passes(plain(), env={"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=a;FOO=b"})

    @case("A-024", "and where they may not: a chained plugin holds no pod up over what others are to read")
    def test_a_024(self):
        pod = self.pod()
        self.add(pod, env={"CNI_ARGS": KUBERNETES_ARGS.replace("IgnoreUnknown=1;", "") + ";FOO=b"})

    @case("A-025", "ill-formed arguments are skipped")
    def test_a_025(self):
        for value in (";;", "FOO", "A=b=c", "=x", ";A=b;", "  A=b", "IgnoreUnknown=yes", "ignoreunknown=1"):
            with self.subTest(value=value):
                pod = self.pod()
                self.add(pod, env={"CNI_ARGS": f"{value};K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0"})

    @case("A-026", "arguments of 120 KiB are read in no time")
    def test_a_026(self):
        pod = self.pod()
        self.add(pod, env={"CNI_ARGS": "A=b;" * 30000 + "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"}, seconds=1)
        self.passes(plain(), env={"CNI_ARGS": "A=" + "b" * 120 * 1024}, seconds=1)

    @case("A-027", "a pod's name is data, never a command, and one line of the log")
    def test_a_027(self):
        for value in ("$(reboot)", "';drop", "a\nsluice-cni: error: b", "é", "%n%s", "\udcff"):
            with self.subTest(value=value):
                pod = self.pod()
                outcome = self.add(pod, env={"CNI_ARGS": f"K8S_POD_NAMESPACE=demo;K8S_POD_NAME={value}"})
                for line in outcome.stderr.splitlines():
                    self.assertRegex(line, "^sluice-cni: (info|warn): ")

    @case("A-028", "a name without a namespace is no Kubernetes pod: passed, unless all are redirected")
    def test_a_028(self):
        pod, env = self.pod(), {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=c96fa7d040bb"}
        with self.many(pod):
            self.passes(ours(pod), pod, env=env)
        self.add(pod, ours(pod, redirect="all"), env=env)

    @case("A-029", "of an argument given twice the last counts")
    def test_a_029(self):
        pod, other = self.pod(), ";K8S_POD_NAMESPACE=other"
        document = ours(pod, excludeNamespaces=["other"])
        with self.many(pod):
            self.passes(document, pod, env={"CNI_ARGS": KUBERNETES_ARGS + other})
        self.add(pod, document, env={"CNI_ARGS": other[1:] + ";" + KUBERNETES_ARGS})

    @case("A-030", "GC and STATUS look at no variable of a container")
    def test_a_030(self):
        for value in ("../garbage", "", "a b\n"):
            env = dict.fromkeys(("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"), value)
            for command in ("GC", "STATUS"):
                self.silent(command, plain("1.1.0"), env=env)

    @case("A-031", "VERSION answers with the dummies that runtimes send along")
    def test_a_031(self):
        env = {"CNI_CONTAINERID": "", "CNI_NETNS": "dummy", "CNI_IFNAME": "dummy", "CNI_PATH": "dummy"}
        self.assert_result(self.call("VERSION", b'{"cniVersion":"1.1.0"}', env=env), VERSION_DOCUMENT)

    @case("A-032", "VERSION does not wait for stdin")
    def test_a_032(self):
        with OpenPipe() as stdin:
            self.assert_result(self.call("VERSION", stdin, seconds=1), VERSION_DOCUMENT)

    @case("A-033", "VERSION says the same whatever is on stdin")
    def test_a_033(self):
        answers = {self.call("VERSION", stdin).stdout for stdin in (b"garbage", b"", b'{"cniVersion":"9.9.9"}')}
        self.assertEqual(len(answers), 1)
        self.assertRegex(re.sub(r"\s", "", answers.pop().decode()), '"supportedVersions":\\["0.1.0",.*"1.1.0"]')
