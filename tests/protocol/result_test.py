# SPDX-License-Identifier: GPL-2.0-or-later
"""prevResult in, result out: passed on unchanged, or converted to the version of the configuration."""

import copy

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import ABSENT, V4, V6, VERSIONS, conf, mesh_conf, prev_result
from tests.protocol.runtime import run

ROUTE = [{"dst": "0.0.0.0/0"}]
INTERFACES = [
    {"name": "vethd48b58f3", "mac": "92:17:5c:68:e9:22"},
    {"name": "eth0", "mac": "a6:7b:67:62:dc:c6", "sandbox": "/run/netns/x"},
]
FAMILIES = (("0.1.0", "0.2.0"), ("0.3.0", "0.3.1", "0.4.0"), ("1.0.0", "1.1.0"))


def golden(version):
    """{eth0 10.1.0.5/16 gw 10.1.0.1, route 0/0} in the form of each version."""
    if version < "0.3":
        ip4 = {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": ROUTE}
        return {"cniVersion": version, "ip4": ip4, "dns": {}}
    address = {"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1}
    if version < "1":
        address["version"] = "4"
    return {"cniVersion": version, "interfaces": INTERFACES, "ips": [address], "routes": ROUTE}


def comparable(result):
    """Go prints an empty dns for old versions and leaves it out of new ones; both are parsed."""
    return {key: value for key, value in result.items() if (key, value) != ("dns", {})}


def damaged(**ip):
    """A result whose only address entry is this one."""
    return {**prev_result(), "ips": [ip]}


class PassThrough(PluginCase):
    def test_every_version_is_passed_on(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                document = conf(version, prevResult=golden(version))
                self.assert_passed(run("ADD", document), document)

    def test_a_redirected_pod_gets_the_same_result(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                pod = self.pod()
                document = mesh_conf(pod, version=version, addresses=(V4, V6))
                self.assert_passed(run("ADD", document, pod), document)
                self.assert_redirected(pod)

    def test_unknown_keys_and_zeros_are_kept(self):
        result = prev_result()
        result["x-vendor"] = {"deep": [1, 2.5, None, "é"]}
        result["interfaces"][1] |= {"mtu": 1450, "socketPath": "/s", "pciID": "p", "x-interface": True}
        result["ips"][0] |= {"x-ip": 1, "gateway": ""}
        result["routes"] = [{"dst": "10.0.0.0/8", "table": 0, "scope": 0, "mtu": 0, "x-route": "y"}]
        result["dns"] = {"nameservers": ["10.96.0.10"], "search": ["<&>\u2028"], "x-dns": 1}
        for version in ("1.0.0", "1.1.0"):
            document = conf(version, prevResult={**result, "cniVersion": version})
            self.assert_passed(run("ADD", document), document)

    def test_an_empty_result_gets_its_version(self):
        for version in ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
            outcome = run("ADD", conf(version, prevResult={}))
            self.assert_result(outcome, {"cniVersion": version})

    def test_a_configuration_without_version_counts_as_the_first(self):
        for value in (ABSENT, "", None):
            with self.subTest(value=value):
                document = conf(cniVersion=value, prevResult=golden("0.2.0"))
                self.assert_result(run("ADD", document), golden("0.1.0"))

    def test_two_spellings_of_the_version_become_one(self):
        result = {**prev_result(), "CNIVersion": "1.1.0"}
        output = run("ADD", conf(prevResult=result)).parsed()
        self.assertEqual([key for key in output if key.lower() == "cniversion"], ["cniVersion"])

    def test_a_large_result(self):
        document = conf(prevResult={**prev_result(), "dns": {"search": ["s" * 1000] * 5000}})
        self.assert_passed(run("ADD", document), document)


class Versions(PluginCase):
    def assert_converted(self, theirs, ours):
        outcome = run("ADD", conf(ours, prevResult=golden(theirs)))
        self.assertEqual(outcome.rc, 0, outcome)
        wanted = copy.deepcopy(golden(ours))
        if theirs < "0.3" <= ours:
            # The old form knows no interface, so the new one has none to point to.
            del wanted["interfaces"], wanted["ips"][0]["interface"]
        self.assertEqual(comparable(self.assert_one_document(outcome)), comparable(wanted))

    def test_a_relative_is_relabelled(self):
        for family in FAMILIES:
            for theirs in family:
                for ours in family:
                    with self.subTest(theirs=theirs, ours=ours):
                        self.assert_converted(theirs, ours)

    def test_a_stranger_is_converted(self):
        for theirs in VERSIONS:
            for ours in VERSIONS:
                with self.subTest(theirs=theirs, ours=ours):
                    self.assert_converted(theirs, ours)

    def test_a_missing_version_is_the_configurations(self):
        for version in VERSIONS:
            for value in (ABSENT, None, ""):
                with self.subTest(version=version, value=value):
                    result = {**golden(version), "cniVersion": value}
                    result = {key: value for key, value in result.items() if value is not ABSENT}
                    outcome = run("ADD", conf(version, prevResult=result))
                    self.assert_result(outcome, golden(version))

    def test_both_families_go_to_the_old_form(self):
        ips = [{"address": a, "interface": 1} for a in ("10.1.0.5/16", "fd00::5/64", "10.1.0.6/16")]
        routes = [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "::/0", "mtu": 1400}]
        result = {"cniVersion": "1.0.0", "ips": ips, "routes": routes}
        output = run("ADD", conf("0.2.0", prevResult=result)).parsed()
        self.assertEqual(output["ip4"], {"ip": "10.1.0.5/16", "routes": [routes[0]]})
        self.assertEqual(output["ip6"], {"ip": "fd00::5/64", "routes": [{"dst": "::/0"}]})
        self.assertNotIn("ips", output)

    def test_the_old_form_of_both_families_goes_up(self):
        result = prev_result("0.2.0", addresses=(V4, V6))
        output = run("ADD", conf("1.0.0", prevResult=result)).parsed()
        self.assertEqual(output["ips"], [{"address": V4}, {"address": V6}])
        self.assertEqual(output["routes"], [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])

    def test_no_address_cannot_become_the_old_form(self):
        for ours in ("0.1.0", "0.2.0"):
            result = {"cniVersion": "1.0.0", "interfaces": INTERFACES}
            self.assert_error(run("ADD", conf(ours, prevResult=result)), (6, 7))

    def test_an_unsupported_version(self):
        for value in ("9.9.9", 5, []):
            with self.subTest(value=value):
                outcome = run("ADD", conf(prevResult={**prev_result(), "cniVersion": value}))
                self.assert_error(outcome, 6)


class Missing(PluginCase):
    def test_add_and_check_need_it(self):
        for value in (ABSENT, None):
            error = self.assert_error(run("ADD", conf(prevResult=value)), 7)
            self.assertIn("must be called as a chained plugin", error["msg"])
            self.assert_error(run("CHECK", conf(prevResult=value)), 7)

    def test_another_type(self):
        for value in ([], "x", 5, True):
            with self.subTest(value=value):
                self.assert_error(run("ADD", conf(prevResult=value)), 6, "prevResult")
                self.assert_error(run("CHECK", conf(prevResult=value)), 6, "prevResult")

    def test_del_takes_anything(self):
        for value in (ABSENT, None, {}, [], "x", 5, {"cniVersion": "9.9.9"}, {"ips": 7}, {"ips": [{"address": 1}]}):
            with self.subTest(value=value):
                self.assert_success_silent(run("DEL", conf(prevResult=value)))


class Malformed(PluginCase):
    ADDRESSES = ("10.1.0.5", "10.1.0.5/33", "010.1.0.5/16", "fd00::5/129", "fe80::1%eth0/64", "x", 5)

    def test_addresses_that_are_needed(self):
        pod = self.pod()
        for address in self.ADDRESSES:
            with self.subTest(address=address), self.unchanged(pod):
                document = mesh_conf(pod, prevResult=damaged(address=address, interface=1))
                self.assert_error(run("ADD", document, pod), 6)

    def test_containers_of_another_type(self):
        pod = self.pod()
        for ips in ("x", {}, 5, [5], ["x"]):
            with self.subTest(ips=ips), self.unchanged(pod):
                document = mesh_conf(pod, prevResult={**prev_result(), "ips": ips})
                self.assert_error(run("ADD", document, pod), 6)

    def test_interface_numbers(self):
        pod = self.pod()
        for index in (1.5, "1", 2**63):
            with self.subTest(index=index), self.unchanged(pod):
                document = mesh_conf(pod, prevResult=damaged(address=V4, interface=index))
                self.assert_error(run("ADD", document, pod), 6)
        for index in (1.0, 2, 7, -1):
            with self.subTest(index=index):
                document = mesh_conf(pod, prevResult=damaged(address=V4, interface=index))
                self.assert_passed(run("ADD", document, pod), document)

    def test_what_is_not_needed_is_passed_on(self):
        for ips in (None, [], [None], "x", [{}], [{"address": "010.1.0.5/16", "interface": "y"}]):
            with self.subTest(ips=ips):
                document = conf(prevResult={**prev_result(), "ips": ips})
                outcome = run("ADD", document)
                self.assert_passed(outcome, document)
                self.assertNotIn(b"<nil>", outcome.stdout)

    def test_lists_that_may_be_null_for_a_redirected_pod(self):
        for change in ({"ips": None}, {"ips": []}, {"ips": [None]}, {"interfaces": None}, {"interfaces": [None]}):
            with self.subTest(change=change):
                pod = self.pod()
                document = mesh_conf(pod, prevResult={**prev_result(), **change})
                self.assert_passed(run("ADD", document, pod), document)
                self.assert_redirected(pod)
