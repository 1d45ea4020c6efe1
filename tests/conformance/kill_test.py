# SPDX-License-Identifier: GPL-2.0-or-later
"""A runtime that loses patience: SIGKILL at any system call, whichever backend the rules go to or come from.

A kill leaves each table as it was or as it was to be, and a pod that was intercepted never open.
"""

import re
import signal

from tests.conformance.conformance import SPARSER, ConformanceCase, ours
from tests.protocol.netconf import V4, V6
from tests.protocol.runtime import UserPod, without_counters

DUAL = (V6, V4)
# The save tools without -t: naming a table would bring it into being.
LOOK = ("iptables-legacy-save", "ip6tables-legacy-save", "nft -s list ruleset", "cat /proc/net/if_inet6",
        "ip rule; ip -4 route show table all", "ip -6 rule; ip -6 route show table all")  # fmt: skip
END = "end of a look"
FAMILIES = (4, 6)
OURS_ON_LO = f"{6:032} 01 80"
ROUTING = ("fwmark", "dev lo table 133")
PLAIN = {"excludeOutboundPorts": "25"}
OTHER = {"excludeOutboundPorts": "25,8000-8100", "includeInboundPorts": "80", "excludeOutboundCidrs": "10.9.0.0/16"}
# In mangle and raw, too.
FILTERED = {"dropInvalid": True, "dnsCapture": "all"}
TPROXY = {"interceptionMode": "TPROXY"}


def blocks(saved):
    """The tables of a save tool's output in which there is more than the kernel's own chains."""
    found = re.findall(r"^\*(\w+)\n(.*?)^COMMIT$", saved, re.MULTILINE | re.DOTALL)
    return {name: text for name, text in found if re.search(r"^-A|^:\S+ - ", text, re.MULTILINE)}


def parts(pod):
    """All of ours, in the parts that one call to the kernel writes: {(family, or 0 for both, which): text}."""
    script = f"; echo {END}; ".join(LOOK)
    looks = without_counters(pod.inside("sh", "-c", script))
    ipv4, ipv6, nft, addresses, *routing = looks.split(END + "\n")
    found = {}
    for family, saved in zip(FAMILIES, (ipv4, ipv6)):
        found |= {(family, table): text for table, text in blocks(saved + "\n").items()}
    if nft.strip():
        found[0, "nftables"] = nft
    if OURS_ON_LO in addresses:
        found[6, "address"] = OURS_ON_LO
    for family, text in zip(FAMILIES, routing):
        for which in ROUTING:
            lines = [line for line in text.splitlines() if which in line]
            if lines:
                found[family, which] = "\n".join(lines)
    return found


def takes_all(found, family):
    """Both directions are led into our chains, if by tables of which some are old and some new."""
    nat, mangle = (found.get((family, table), "") for table in ("nat", "mangle"))
    inbound = "-j TPROXY" in mangle or re.search("-A PREROUTING .*-j ISTIO_INBOUND", nat)
    return bool(inbound and re.search("-A OUTPUT .*-j ISTIO_OUTPUT", nat))


def of_family(found, family):
    return {part: text for part, text in found.items() if part[0] in (0, family)}


class Kills(ConformanceCase):
    def reach(self, pod, keys):
        """Another configuration, or none."""
        document = ours(pod, **{"addresses": DUAL, **(keys or {})})
        self.assertEqual(self.call("ADD" if keys else "DEL", document, pod).rc, 0)

    def assert_whole(self, left, before, after):
        """What a kill has left is each old or new, and nothing that one of them takes gets past it."""
        for part in {**left, **before, **after}:
            self.assertIn(left.get(part), (before.get(part), after.get(part)), part)
        for family in FAMILIES:
            here = of_family(left, family).items()
            whole = any(of_family(all_of_it, family).items() <= here for all_of_it in (before, after))
            self.assertTrue(whole or takes_all(left, family),
                            f"IPv{family} is open: {sorted(left)}")  # fmt: skip
            rules = left.get((family, "mangle"), "") + left.get((0, "nftables"), "")
            if re.search("tproxy to|-j TPROXY", rules):
                self.assertLessEqual({(family, which) for which in ROUTING}, set(left))

    def user_pod(self):
        pod = UserPod()
        self.addCleanup(pod.delete)
        return pod

    def killed(self, old, new, every=1, make=None):
        """From one configuration to another, None being none, killed at each system call in turn, or every so many.

        In a pod that `make` makes. Where the plugin has a child, a place is one of either: which of the two comes to
        its n-th call of a name first is killed, and the child goes with the plugin.
        """
        pod, fresh = (make or self.pod)(), (make or self.pod)()
        self.reach(fresh, new)
        after = parts(fresh)
        self.reach(pod, old)
        before = parts(pod)
        command, document = "ADD" if new else "DEL", ours(pod, **{"addresses": DUAL, **(new or old)})
        places = self.places(command, document, pod)
        self.assertEqual(parts(pod), after)
        self.reach(pod, old)
        self.assertEqual(parts(pod), before)

        def kill(place):
            wrap = self.at(place, "signal=SIGKILL")
            # Of a child's death there is somebody to tell, who fails if it is an ADD.
            rc = (0, -signal.SIGKILL, *((1,) if make else ()))
            outcome = self.call(command, document, pod, rc=rc, wrap=wrap)
            return outcome.rc < 0 or "was killed by signal 9" in outcome.stderr + outcome.stdout.decode()

        def mend(place):
            self.reach(pod, new or old)
            self.assertEqual(parts(pod), after if new else before)
            self.silent("CHECK", document, pod)
            self.reach(pod, old)
            kill(place)
            self.delete(pod)
            self.assertEqual(parts(pod), {})

        self.assertGreater(len(places), 20)
        kills, seen, left = [], [], before
        for place in places[:: every * SPARSER]:
            if left != before:
                self.reach(pod, old)
            with self.subTest(old=old, new=new, place=place):
                kills.append(kill(place))
                left = parts(pod)
                self.assert_whole(left, before, after)
                # Nothing is kept outside of the pod: what the next call does depends on this alone.
                if left not in seen:
                    seen.append(left)
                    mend(place)
                    left = None
        self.assertGreater(sum(kills), 0.9 * len(kills))

    def test_another_configuration(self):
        for backend in ("xtables", "nftables"):
            with self.many():
                self.killed({"backend": backend, **PLAIN}, {"backend": backend, **OTHER})

    def test_another_mode(self):
        for backend in ("xtables", "nftables"):
            with self.many():
                self.killed({"backend": backend, **TPROXY}, {"backend": backend, **PLAIN})

    def test_another_mode_where_both_have_rules_in_mangle(self):
        for old, new in ((TPROXY, FILTERED), (FILTERED, TPROXY)):
            with self.many():
                self.killed({"backend": "xtables", **old}, {"backend": "xtables", **new})

    def test_a_family_that_is_blocked_instead(self):
        keys = {"backend": "xtables", "addresses": (V4, V6)}
        with self.many():
            self.killed({"ipv6": "always", **keys}, {"ipv6": "block", **keys})

    def test_from_xtables_to_nftables(self):
        with self.many():
            self.killed({"backend": "xtables", **TPROXY}, {"backend": "nftables", **TPROXY})

    def test_from_nftables_to_xtables(self):
        with self.many():
            self.killed({"backend": "nftables", **PLAIN}, {"backend": "xtables", **TPROXY})

    def test_a_fresh_pod(self):
        with self.many():
            self.killed(None, {"backend": "nftables", **PLAIN})
            self.killed(None, {"backend": "xtables", **TPROXY})

    def test_a_pod_that_ends(self):
        with self.many():
            self.killed({"backend": "nftables", **TPROXY}, None)
            self.killed({"backend": "xtables", **TPROXY}, None)

    def test_a_fresh_pod_with_users_of_its_own(self):
        with self.many():
            self.killed(None, {"backend": "xtables", **TPROXY}, 2, self.user_pod)

    def test_a_pod_with_users_of_its_own_that_ends(self):
        with self.many():
            self.killed({"backend": "xtables", **TPROXY}, None, 2, self.user_pod)
