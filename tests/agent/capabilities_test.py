# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent with the capabilities that the chart gives it, and no other."""

import os
import pathlib

from tests.agent.agent import wait_until
from tests.agent.node_case import NodeCase
from tests.deploy.chart import agent_container, objects

OWNER = 1000
# linux/capability.h
NUMBERS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "NET_ADMIN": 12, "NET_RAW": 13, "SYS_PTRACE": 19,
           "SYS_ADMIN": 21}


class CapabilitiesTest(NodeCase):
    def confine(self, without=(), **values):
        """As the container of the chart with these values; the capabilities that are left."""
        security = agent_container(objects(values))["securityContext"]
        left = [name for name in security["capabilities"]["add"] if name not in without]
        bounding = ",".join(["-all", *(f"+{name.lower()}" for name in left)])
        self.wrapper = ("setpriv", "--bounding-set", bounding, "--inh-caps=-all")
        # As a runtime does where allowPrivilegeEscalation is false.
        if security.get("allowPrivilegeEscalation") is False:
            self.wrapper += ("--no-new-privs",)
        return left

    def check_confined(self, agent, left, no_new_privs):
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{agent.process.pid}/status").read_text().splitlines())
        mask = sum(1 << NUMBERS[name] for name in left)
        self.assertEqual((mask, mask), (int(status["CapEff"], 16), int(status["CapBnd"], 16)))
        self.assertEqual(str(int(no_new_privs)), status["NoNewPrivs"])

    def give_away(self):
        """The directories and the list are somebody else's, and nobody but him may write them."""
        for path, mode in ((self.node.conf_dir, 0o700), (self.node.bin_dir, 0o700), (self.node.conflist, 0o600)):
            os.chown(path, OWNER, OWNER)
            path.chmod(mode)

    def check_installed(self):
        self.assertIsNotNone(self.node.our_entry())
        status = self.node.conflist.stat()
        self.assertEqual((OWNER, OWNER, 0o600), (status.st_uid, status.st_gid, status.st_mode & 0o7777))
        self.assertTrue((self.node.bin_dir / "sluice-cni").exists())

    def check_served(self):
        pod = self.pod(security={"runAsUser": 1000650000})
        added = pod.call("ADD", self.node.our_entry())
        self.assertEqual(0, added.rc, added)
        self.assertIn("-m owner --uid-owner 1000650000 -j RETURN", pod.nat()["ISTIO_OUTPUT"])

    def test_the_default_mode_installs_repairs_and_serves(self):
        left = self.confine()
        self.give_away()
        pod = self.pod()
        agent = self.start()
        self.check_confined(agent, left, False)
        wait_until(pod.redirected, f"it is repaired; {agent.log()[-2000:]}")
        self.check_installed()
        self.check_served()

    def test_it_repairs_through_nftables_and_for_tproxy(self):
        left = self.confine()
        self.node.entry.write_text('{"backend": "nftables", "interceptionMode": "TPROXY"}')
        pod = self.pod()
        agent = self.start()
        self.check_confined(agent, left, False)
        wait_until(lambda: "table inet sluice" in pod.inside("nft", "list", "tables"), "it is repaired")
        wait_until(lambda: [one["condition"] for one in agent.status()["pods"]] == ["intact"], "it is intact")

    def test_mode_off_installs_and_serves(self):
        left = self.confine(repair={"mode": "off"})
        self.give_away()
        agent = self.start("--repair", "off")
        self.check_confined(agent, left, True)
        self.check_installed()
        self.check_served()

    def test_without_those_that_reach_into_pods_it_repairs_none(self):
        for name in ("SYS_ADMIN", "NET_ADMIN", "NET_RAW"):
            with self.subTest(without=name):
                self.confine(without=(name,))
                pod = self.pod()
                agent = self.start()
                wait_until(lambda: any(one["name"] == pod.pod_name and one["condition"] != "intact" and one["why"]
                                       for one in agent.status()["pods"]), "it is looked at")
                self.assertFalse(pod.redirected())
                self.assertEqual(0, agent.stop())
