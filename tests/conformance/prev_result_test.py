# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in prevResult: A-093 to A-109."""

from tests.conformance.cases import case
from tests.conformance.conformance import ConformanceCase, ours, plain, state
from tests.protocol import result_test
from tests.protocol.netconf import ABSENT, V4, V6, prev_result

NO_RESULTS = ([], "x", 5, True)
# Entries of ips that an injected pod is refused for; others get them back as they came.
BAD_ADDRESSES = (*result_test.Malformed.ADDRESSES, ABSENT, None)


def result_with(**members):
    return {**prev_result("1.0.0"), **members}


def entry(address=V4, **members):
    """The only entry of ips, without an address if that is ABSENT."""
    return result_with(ips=[members if address is ABSENT else {"address": address, **members}])


class PreviousResult(ConformanceCase):
    def redirects_ipv6(self, pod):
        return "::6/128" in state(pod)

    @case("A-093", "ADD without a previous result: it must be called as a chained plugin")
    def test_a_093(self):
        for value in (ABSENT, None):
            pod = self.pod()
            self.refused("ADD", ours(pod, prevResult=value), 7, "must be called as a chained plugin", pod=pod)
            self.refused("ADD", plain(prevResult=value), 7, "must be called as a chained plugin")

    @case("A-094", "DEL does without it, CHECK does not")
    def test_a_094(self):
        for value in (ABSENT, None):
            pod = self.pod()
            self.add(pod)
            self.refused("CHECK", ours(pod, prevResult=value), 7, "prevResult", pod=pod)
            self.delete(pod, ours(pod, prevResult=value))

    @case("A-095", "an empty one is printed with nothing but the version")
    def test_a_095(self):
        for version in ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
            self.assert_result(self.call("ADD", plain(version, prevResult={})), {"cniVersion": version})
            pod = self.pod()
            outcome = self.call("ADD", ours(pod, version=version, prevResult={}), pod)
            self.assert_result(outcome, {"cniVersion": version})
            self.assert_redirected(pod)

    @case("A-096", "one that is no object fails ADD and CHECK, and DEL cleans up all the same")
    def test_a_096(self):
        for value in NO_RESULTS:
            pod = self.pod()
            for command in ("ADD", "CHECK"):
                self.refused(command, ours(pod, prevResult=value), 6, "prevResult", pod=pod)
            self.add(pod)
            self.delete(pod, ours(pod, prevResult=value))

    @case("A-097", "lists that are null, empty or hold null are none; other types fail a pod that needs them")
    def test_a_097(self):
        for member in ("ips", "interfaces"):
            for value in (None, [], [None]):
                with self.subTest(member=member, value=value):
                    pod = self.pod()
                    self.add(pod, ours(pod, prevResult=result_with(**{member: value})))
            for value in ("x", {}, 5):
                with self.subTest(member=member, value=value):
                    pod = self.pod()
                    result = result_with(**{member: value})
                    self.refused("ADD", ours(pod, prevResult=result), 6, "prevResult", pod=pod)
                    self.passes(plain(prevResult=result))

    @case("A-098", "an interface number that points nowhere is none; one that is no whole number is refused")
    def test_a_098(self):
        for index in (2, 7, -1, 1.0, -(2**63)):
            with self.subTest(index=index):
                pod = self.pod()
                self.add(pod, ours(pod, prevResult=entry(interface=index)))
        for index in (1.5, "1", 2**63, 1e300, True, []):
            with self.subTest(index=index):
                pod = self.pod()
                self.refused("ADD", ours(pod, prevResult=entry(interface=index)), 6, "interface", pod=pod)
                self.passes(plain(prevResult=entry(interface=index)))

    @case("A-099", "a malformed address fails a pod that needs it and comes back as it was from others")
    def test_a_099(self):
        for address in BAD_ADDRESSES:
            with self.subTest(address=address):
                pod = self.pod()
                self.refused("ADD", ours(pod, prevResult=entry(address, interface=1)), 6, pod=pod)
                outcome = self.passes(plain(prevResult=entry(address, interface=1)))
                self.assertNotIn(b"<nil>", outcome.stdout)
        pod = self.pod()
        self.passes(ours(pod, prevResult=entry("::ffff:10.1.0.5/112")), pod)

    @case("A-100", "one family, both, 64 addresses and equal ones: the first address decides over IPv6")
    def test_a_100(self):
        many = tuple(f"10.1.0.{number}/16" for number in range(1, 65))
        for addresses, ipv6 in (((V6,), True), ((V4,), False), (many, False), ((V6, *many), True),
                                ((V4, V4, V6, V6), False), (("fd00::1/64",) * 64, True)):  # fmt: skip
            with self.subTest(addresses=addresses[:2]):
                pod = self.pod()
                document = ours(pod, addresses=addresses)
                self.add(pod, document)
                self.assertEqual(self.redirects_ipv6(pod), ipv6)
                self.silent("CHECK", document, pod)

    @case("A-101", "of two interfaces only CNI_IFNAME's addresses count")
    def test_a_101(self):
        pod = self.pod()
        self.add_interface(pod, "net1")
        result = result_with(ips=[{"address": V6, "interface": 1}, {"address": V4, "interface": 2}])
        result["interfaces"].append({"name": "net1", "sandbox": pod.path})
        self.add(pod, ours(pod, prevResult=result), env={"CNI_IFNAME": "net1"})
        self.assertFalse(self.redirects_ipv6(pod))

    @case("A-102", "an interface of the host with the same name is not the pod's")
    def test_a_102(self):
        pod = self.pod()
        for sandbox in ({}, {"sandbox": ""}):
            result = result_with(ips=[{"address": V6, "interface": 0}, {"address": V4, "interface": 1}])
            result["interfaces"][0] = {"name": "eth0", **sandbox}
            self.add(pod, ours(pod, prevResult=result))
            self.assertFalse(self.redirects_ipv6(pod))

    @case("A-103", "CNI_NETNS is the pod, whatever the result calls its sandbox")
    def test_a_103(self):
        for sandbox in ("/proc/1/ns/net", self.node.pod.path, "vm-5", "/run/netns/other"):
            pod, result = self.pod(), prev_result("1.0.0", sandbox)
            wrap = self.strace("-e", "trace=%file")
            self.add(pod, ours(pod, prevResult=result), wrap=wrap)
            opened = "\n".join(self.calls()[1:])
            self.assertIn(f'"{pod.path}"', opened)
            self.assertNotIn(f'"{sandbox}"', opened)

    def kept(self, version):
        result = {**prev_result(version), "x-vendor": {"deep": [1, 2.5, None, "é", 12345678901234567890]}}
        result["interfaces"][1] |= {"x-interface": True}
        result["ips"][0] |= {"x-ip": 1, "gateway": ""}
        result["routes"] = [{"dst": "10.0.0.0/8", "x-route": "y"}]
        result["dns"] = {"nameservers": [], "x-dns": {}}
        return result

    @case("A-104", "unknown keys are kept at every level")
    def test_a_104(self):
        for version in ("0.3.0", "0.4.0", "1.0.0", "1.1.0"):
            pod = self.pod()
            self.add(pod, ours(pod, version=version, prevResult=self.kept(version)))

    @case("A-105", "keys of 1.1.0 are kept under 1.0.0")
    def test_a_105(self):
        pod = self.pod()
        result = prev_result("1.0.0")
        result["interfaces"][1] |= {"mtu": 1450, "socketPath": "/s", "pciID": "p"}
        result["routes"] = [{"dst": "0.0.0.0/0", "mtu": 1400, "advmss": 1360, "priority": 5, "table": 7, "scope": 253}]
        self.add(pod, ours(pod, prevResult=result))

    @case("A-106", "zeros, an empty gateway and a route without destination come back as they were")
    def test_a_106(self):
        pod = self.pod()
        result = prev_result("1.1.0")
        result["routes"] = [{"dst": "10.0.0.0/8", "table": 0, "scope": 0, "gw": ""}, {"gw": "10.1.0.1"}, {}]
        self.add(pod, ours(pod, version="1.1.0", prevResult=result))

    @case("A-107", "name servers of any text and 20 MB come back equal")
    def test_a_107(self):
        for search in (["<&>\u2028\u2029\u007f\"\\"], ["s" * 1000] * 20000):
            self.passes(plain(prevResult=result_with(dns={"search": search})))

    @case("A-108", "a result of 32 MiB is passed on")
    def test_a_108(self):
        self.passes(plain(prevResult=result_with(**{"x-large": ["y" * 1023] * (32 * 1024)})))

    @case("A-109", "a result that names an interface the pod has not is not believed")
    def test_a_109(self):
        pod = self.pod(bare=True)
        for command in ("ADD", "CHECK"):
            self.refused(command, ours(pod), 101, "eth0", pod=pod)
