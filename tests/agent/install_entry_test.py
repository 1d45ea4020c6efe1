# SPDX-License-Identifier: GPL-2.0-or-later
"""The entry that `install` writes: pods start with it, and an agent's own keys stay in it."""

import json

from tests.agent.installation import CALICO, ENTRY, FAILED, INSTALLED, OURS, WRITTEN, Installation
from tests.protocol.netconf import ABSENT, ANNOTATIONS_KEY, conf
from tests.protocol.runtime import run


class Entries(Installation):
    def entry(self):
        return json.loads(self.node.text("10-calico.conflist"))["plugins"][-1]

    def test_a_plain_pod_starts_with_what_is_installed(self):
        for asked in ({}, ENTRY):
            self.node.write("10-calico.conflist", CALICO)
            self.node.entry.write_text(json.dumps(asked))
            self.check(INSTALLED)
            entry = self.entry()
            # To an entry without the capability a runtime forwards no annotations.
            declared = entry.get("capabilities", {}).get(ANNOTATIONS_KEY)
            added = run("ADD", conf(**{"capabilities": ABSENT, "annotations": {} if declared else ABSENT, **entry}))
            self.assertEqual(0, added.rc, added)

    def test_an_unknown_key_is_named(self):
        self.node.write("10-calico.conflist", CALICO)
        self.node.entry.write_text('{"excludeNamespace": ["a"]}')
        self.check_untouched(FAILED, says='key "excludeNamespace" is unknown')

    def test_what_the_agent_has_put_into_its_entry_stays(self):
        agent = {"agentSocket": "/run/sluice/agent.sock", "agentDaemonSet": "sluice-system/sluice-agent"}
        document = json.loads(CALICO)
        document["plugins"].append({"type": OURS, "logLevel": "debug", **agent})
        self.node.write("10-calico.conflist", json.dumps(document))
        self.check(INSTALLED)
        self.assertEqual({**WRITTEN, **agent}, self.entry())
        self.node.entry.write_text('{"agentSocket": "/run/other.sock"}')
        self.check(INSTALLED)
        self.assertEqual({**agent, "agentSocket": "/run/other.sock"},
                         {key: self.entry()[key] for key in agent})

    def test_capabilities_that_are_asked_for_are_not_replaced(self):
        self.node.write("10-calico.conflist", CALICO)
        self.node.entry.write_text(json.dumps({"capabilities": {ANNOTATIONS_KEY: True}}))
        self.check(INSTALLED)
        self.assertEqual({ANNOTATIONS_KEY: True}, self.entry()["capabilities"])
