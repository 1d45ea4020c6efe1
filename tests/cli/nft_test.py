# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice rules --format nft: what nft(8) makes of it."""

import json
import subprocess
from pathlib import Path

from tests.cli.command import CommandCase

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STATUS = '{"containers":["istio-proxy"]}'
# Spelled in full it is the same in any rule, but nft lists it without.
SHORTENED = " reject with icmpx port-unreachable", " reject"


def listed(text: str) -> str:
    """What nft lists in a namespace of its own that it has loaded the text into."""
    script = "nft -f /dev/stdin && nft --stateless list ruleset"
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], input=text, capture_output=True, text=True,
                          timeout=20, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def request(golden: dict) -> str:
    """What a runtime sends for a pod with these settings and annotations."""
    annotations = {"sidecar.istio.io/status": STATUS, **golden.get("annotations", {})}
    settings = dict(golden["settings"])
    if golden.get("ipv6_action") == "block":
        settings.update(ipv6="block", dualStack=False)
    return json.dumps({"cniVersion": "1.0.0", "name": "x", "type": "sluice-cni", **settings,
                       "prevResult": {"cniVersion": "1.0.0"},
                       "runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations}})


class NftTest(CommandCase):
    def test_every_golden_configuration_is_listed_as_it_is_printed(self):
        goldens = sorted(GOLDEN.glob("*.json"))
        self.assertGreater(len(goldens), 100)
        for path in goldens:
            with self.subTest(golden=path.stem):
                if not path.with_suffix(".rules").read_text().startswith("*"):
                    continue
                golden = json.loads(path.read_text())
                text = self.prints("rules", "--cni-stdin", "--format", "nft", text=request(golden))
                head, table = text.split("table inet sluice {", 1)
                self.assertEqual(head, "table inet sluice\ndelete table inet sluice\n")
                # Twice: the second time there is a table to replace.
                self.assertEqual(listed(text + text), "table inet sluice {" + table.replace(*SHORTENED))

    def test_one_family(self):
        for family, other in (("ipv4", "ip6 "), ("ipv6", "ip ")):
            with self.subTest(family=family):
                text = self.prints("rules", "--format", "nft", "--family", family)
                rules = [line for line in text.splitlines() if "counter" in line]
                self.assertGreater(len(rules), 10)
                for rule in rules:
                    self.assertTrue(f"meta nfproto {family}" in rule or "addr" in rule, rule)
                    self.assertNotIn(other, rule)

    def test_the_tables_name(self):
        self.assertIn("\ntable inet mesh.1 {\n", self.prints("rules", "--format", "nft", "--nft-table", "mesh.1"))
        for name in ("", "a b", "1", "x" * 32, 'a"'):
            with self.subTest(name=name):
                self.refuses("rules", "--format", "nft", "--nft-table", name, says="table")
