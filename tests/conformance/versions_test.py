# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions: A-077 to A-092."""

import copy

from tests.conformance.cases import case
from tests.conformance.conformance import RULES, ConformanceCase, ours, plain, state
from tests.protocol.netconf import ABSENT, V4, V6, VERSIONS, prev_result
from tests.protocol.result_test import FAMILIES, INTERFACES, comparable, golden
from tests.protocol.stdin_test import BAD_VERSIONS


def unlabelled(result):
    return {key: value for key, value in result.items() if key != "cniVersion"}


class Versions(ConformanceCase):
    @case("A-077", "a configuration without a version is one of 0.1.0, and so is its result")
    def test_a_077(self):
        for value in (ABSENT, "", None):
            outcome = self.call("ADD", plain(cniVersion=value, prevResult=golden("0.2.0")))
            self.assert_result(outcome, golden("0.1.0"))

    @case("A-078", "a newer result is converted for it, one without any address refused")
    def test_a_078(self):
        for result in (golden("1.0.0"), unlabelled(golden("1.0.0"))):
            outcome = self.call("ADD", plain(cniVersion=ABSENT, prevResult=result))
            self.assertEqual(comparable(outcome.parsed()), comparable(golden("0.1.0")))
        result = {"cniVersion": "1.0.0", "interfaces": INTERFACES, "ips": []}
        self.refused("ADD", plain(cniVersion=ABSENT, prevResult=result), (6, 7), "address")

    @case("A-079", "a version is a string")
    def test_a_079(self):
        pod = self.pod()
        for value in (1, 1.0, [], {}, True):
            for command in ("ADD", "DEL", "CHECK", "STATUS", "GC"):
                self.refused(command, ours(pod, cniVersion=value), 6, "cniVersion", pod=pod)

    @case("A-080", "what is almost a supported version is not supported")
    def test_a_080(self):
        pod = self.pod()
        for value in BAD_VERSIONS:
            with self.subTest(value=value), self.many(pod):
                for command in ("ADD", "DEL"):
                    self.refused(command, ours(pod, version=value), 1, value, pod=pod)
                for command in ("CHECK", "STATUS", "GC"):
                    self.refused(command, ours(pod, version=value), (1, 6), pod=pod)

    @case("A-081", "a version to come is refused, with a list of those that are there")
    def test_a_081(self):
        for value in ("1.2.0", "2.0.0", "9.9.9"):
            error = self.refused("ADD", plain(cniVersion=value), 1, "incompatible CNI versions")
            self.assertEqual(error["msg"], "incompatible CNI versions")
            for version in (value, *VERSIONS):
                self.assertIn(f'"{version}"', error["details"])

    @case("A-082", "each version's result is passed on in the form of that version")
    def test_a_082(self):
        for version in VERSIONS:
            pod = self.pod()
            self.passes(plain(version, prevResult=golden(version)))
            self.add(pod, ours(pod, version=version, prevResult=golden(version)))

    @case("A-083", "a result without a version gets the configuration's")
    def test_a_083(self):
        for version in VERSIONS:
            outcome = self.call("ADD", plain(version, prevResult=unlabelled(golden(version))))
            self.assert_result(outcome, golden(version))

    def converted(self, theirs, version):
        """ADD under one version of a result in another: nothing of the old form is left in it."""
        outcome = self.call("ADD", plain(version, prevResult=golden(theirs)))
        wanted = copy.deepcopy(golden(version))
        if theirs < "0.3" <= version:
            # The oldest form knows no interface, so the newer one has none to point to.
            del wanted["interfaces"], wanted["ips"][0]["interface"]
        self.assertEqual(comparable(outcome.parsed()), comparable(wanted))

    @case("A-084", "a result of a version of the same form is labelled anew")
    def test_a_084(self):
        for family in FAMILIES:
            for theirs in family:
                for version in family:
                    self.converted(theirs, version)

    @case("A-085", "a result of another form is converted")
    def test_a_085(self):
        for theirs in VERSIONS:
            for version in VERSIONS:
                self.converted(theirs, version)

    @case("A-086", "a result of an unknown version is refused, by CHECK too; an empty version is none")
    def test_a_086(self):
        pod = self.pod()
        for value in ("9.9.9", 5, [], True):
            document = ours(pod, prevResult={**golden("1.0.0"), "cniVersion": value})
            for command in ("ADD", "CHECK"):
                self.refused(command, document, 6, "prevResult", pod=pod)
        for value in ("", None):
            outcome = self.call("ADD", plain(prevResult={**golden("1.0.0"), "cniVersion": value}))
            self.assert_result(outcome, golden("1.0.0"))

    @case("A-087", "of two spellings of a result's version the exact one counts, and it alone is printed")
    def test_a_087(self):
        for other in ("CNIVersion", "cniversion"):
            outcome = self.call("ADD", plain(prevResult={other: "9.9.9", **golden("1.0.0")}))
            self.assert_result(outcome, golden("1.0.0"))

    @case("A-088", "where an address does not say its family it is seen from the address")
    def test_a_088(self):
        pod = self.pod()
        document = ours(pod, version="0.4.0", addresses=(V6, V4))
        for ip in document["prevResult"]["ips"]:
            del ip["version"]
        self.add(pod, document)
        self.assertIn("::6/128", state(pod))

    @case("A-089", "the key ip of a 0.3.0 result is kept as any unknown one")
    def test_a_089(self):
        result = golden("0.3.0") | {"ip": [{"version": "4", "address": "10.1.0.5/16"}]}
        self.passes(plain("0.3.0", prevResult=result))

    @case("A-090", "both families, name servers and routes of a 0.2.0 result are kept")
    def test_a_090(self):
        pod = self.pod()
        result = prev_result("0.2.0", addresses=(V4, V6))
        result["ip4"]["routes"].append({"dst": "10.0.0.0/8", "gw": "10.1.0.9"})
        result["dns"] = {"nameservers": ["10.96.0.10"], "search": ["x.example"]}
        self.add(pod, ours(pod, version="0.2.0", prevResult=result))

    @case("A-091", "CHECK came with 0.4.0, GC and STATUS with 1.1.0, and the refusal says so")
    def test_a_091(self):
        for command, first in (("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")):
            for version in VERSIONS:
                if version < first:
                    self.refused(command, plain(version), 1, f"config version does not allow {command}")
                else:
                    self.silent(command, plain(version))

    @case("A-092", "DEL under an unsupported version is refused and removes nothing")
    def test_a_092(self):
        pod = self.pod()
        self.add(pod)
        before = state(pod, RULES)
        self.refused("DEL", ours(pod, version="9.9.9"), 1, pod=pod)
        self.assertEqual(state(pod, RULES), before)
