# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent from start to end: what it installs, says, leaves behind and takes out."""

import json
import os
import signal
import subprocess
import threading
import time

from tests.agent.agent import AGENT, Agent, wait_until
from tests.agent.mesh_pod import MeshPod
from tests.agent.node_case import NodeCase


class StartTest(NodeCase):
    def test_it_installs_and_becomes_ready(self):
        agent = self.start()
        self.assertEqual(["ptp", "sluice-cni"], [plugin["type"] for plugin in self.node.plugins()])
        entry = self.node.our_entry()
        self.assertEqual(str(self.node.socket), entry["agentSocket"])
        self.assertEqual("sluice-system/sluice-agent", entry["agentDaemonSet"])
        self.assertTrue(os.access(self.node.bin_dir / "sluice-cni", os.X_OK))
        self.assertEqual((200, "ready\n"), agent.get("/readyz"))
        self.assertEqual((200, "ok\n"), agent.get("/healthz"))
        self.assertEqual(1, agent.metric("sluice_agent_ready"))
        self.assertEqual(1, agent.metric("sluice_agent_install_ready"))
        self.assertEqual(1, agent.metric("istio_cni_install_ready"))
        self.assertEqual(404, agent.get("/other")[0])

    def test_it_is_not_ready_without_a_network_configuration_and_says_so(self):
        self.node.conflist.unlink()
        agent = self.launch()
        status, text = wait_until(lambda: (lambda a: a if a[0] == 503 and "install" in a[1] and
                                           "not yet" not in a[1] else None)(agent.get("/readyz")),
                                  "it says what it waits for")
        self.assertEqual(503, status)
        self.assertIn(str(self.node.conf_dir), text)
        self.assertIn(str(self.node.conf_dir), agent.log())
        self.node.conflist.write_text('{"cniVersion":"0.3.1","name":"n","plugins":[{"type":"x"}]}')
        agent.wait_ready()
        self.assertIsNotNone(self.node.our_entry())

    def test_a_bad_entry_is_refused_and_what_is_installed_stays(self):
        self.start().stop()
        before = self.node.conflist.read_bytes()
        self.node.entry.write_text('{"ipv6": "perhaps"}')
        agent = Agent(self.node, self.api)
        self.assertEqual(1, agent.wait())
        self.assertIn('key "ipv6": "perhaps" is not', agent.log())
        self.assertEqual(before, self.node.conflist.read_bytes())

    def test_flags_that_mean_nothing_are_refused_by_name(self):
        for flags in (["--repair", "perhaps"], ["--log-level", "loud"], ["--daemonset", "x"],
                      ["--http-port", "99999"], ["--pod-ip", "everywhere"], ["--socket", "x"],
                      ["--log-format", "xml"], ["--api-server", "http://127.0.0.1:1"]):
            with self.subTest(flags=flags):
                agent = Agent(self.node, self.api, *flags)
                self.assertNotEqual(0, agent.wait())
                last = agent.log().splitlines()[-1]
                self.assertIn(flags[0].lstrip("-").split("-")[0], last.lower())
                self.assertIn(flags[1], last)
                self.assertIsNone(self.node.our_entry())

    def test_a_port_in_use_ends_it(self):
        agent = self.start()
        other = Agent(self.node, self.api, "--http-port", str(agent.port))
        self.assertEqual(1, other.wait())
        self.assertIn(str(agent.port), other.log())

    def test_its_log_is_json_if_asked(self):
        agent = self.start("--log-format", "json")
        wait_until(lambda: '"ready"' in agent.log(), "it says that it is ready")
        self.end(agent)
        lines = [json.loads(line) for line in agent.log().splitlines()]
        self.assertTrue(all({"time", "level", "component", "message"} <= set(line) for line in lines))
        self.assertIn("ready", [line["message"] for line in lines])


class EndTest(NodeCase):
    def test_a_stopped_agent_leaves_everything_in_place(self):
        self.start().stop()
        self.assertIsNotNone(self.node.our_entry())
        self.assertTrue((self.node.bin_dir / "sluice-cni").exists())
        before = self.node.conflist.stat().st_mtime_ns
        self.start()
        self.assertEqual(before, self.node.conflist.stat().st_mtime_ns)

    def test_a_deleted_daemonset_takes_the_entry_out_and_keeps_the_plugin(self):
        agent = self.start()
        entry = self.node.our_entry()
        self.api.delete_daemonset("sluice-agent", "sluice-system")
        self.assertEqual(0, agent.stop())
        self.assertIsNone(self.node.our_entry())
        self.assertEqual(["ptp"], [plugin["type"] for plugin in self.node.plugins()])
        pod = MeshPod()
        self.addCleanup(pod.delete)
        deleted = pod.call("DEL", entry)
        self.assertEqual(0, deleted.rc, deleted)

    def test_a_daemonset_being_deleted_counts_as_deleted(self):
        agent = self.start()
        self.api.put_daemonset("sluice-agent", "sluice-system", deleting=True)
        self.assertEqual(0, agent.stop())
        self.assertIsNone(self.node.our_entry())

    def test_when_in_doubt_the_entry_stays(self):
        agent = self.start()
        self.api.delete_daemonset("sluice-agent", "sluice-system")
        self.api.faults.forbidden.add("get_daemonset")
        self.assertEqual(0, agent.stop())
        self.assertIsNotNone(self.node.our_entry())

    def test_it_ends_soon_though_the_api_server_hangs(self):
        agent = self.start()
        self.api.faults.silent = True
        started = time.monotonic()
        self.assertEqual(0, agent.stop())
        self.assertLess(time.monotonic() - started, 10)
        self.assertIsNotNone(self.node.our_entry())

    def test_sigint_ends_it_too(self):
        agent = self.start()
        agent.process.send_signal(signal.SIGINT)
        self.assertEqual(0, agent.wait())

    def test_a_killed_agent_starts_again(self):
        self.start().kill()
        agent = self.start()
        self.assertEqual(0, agent.stop())


class ReadinessTest(NodeCase):
    GAUGES = ("sluice_agent_ready", "sluice_agent_install_ready", "istio_cni_install_ready")

    def readiness(self, agent, seconds):
        """What /readyz and the gauges say, ten times a second: several passes of the installer."""
        seen = set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.add((agent.get("/readyz")[0], *(agent.metric(gauge) for gauge in self.GAUGES)))
            time.sleep(0.1)
        return seen

    def test_harmless_file_events_do_not_make_it_flap(self):
        agent = self.start()
        stop = threading.Event()

        def disturb():
            while not stop.is_set():
                (self.node.conf_dir / "notes.txt").write_text("x")
                os.utime(self.node.conflist)
                (self.node.bin_dir / "other").write_text("y")
                time.sleep(0.01)

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            seen = self.readiness(agent, 6)
        finally:
            stop.set()
            thread.join()
        self.assertEqual({(200, 1, 1, 1)}, seen)

    def test_a_half_written_configuration_changes_neither_readiness_nor_gauges(self):
        agent = self.start()
        passes = agent.metric('sluice_agent_install_passes_total{outcome="waiting"}') or 0
        self.node.conflist.write_text(self.node.conflist.read_text()[:40])
        wait_until(lambda: agent.metric('sluice_agent_install_passes_total{outcome="waiting"}') == passes + 1,
                   "a pass has seen it")
        self.assertEqual({(200, 1, 1, 1)}, self.readiness(agent, 1))

    def test_an_entry_that_cannot_be_put_back_is_told_by_all(self):
        agent = self.start()
        self.node.conflist.write_text('{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"istio-cni"}]}')
        wait_until(lambda: agent.get("/readyz")[0] == 503, "it is not ready")
        self.assertEqual({(503, 0, 0, 0)}, self.readiness(agent, 1))

    def test_an_entry_that_somebody_takes_out_comes_back(self):
        agent = self.start()
        self.node.conflist.write_text('{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"x"}]}')
        wait_until(self.node.our_entry, "the entry is back")
        wait_until(lambda: agent.metric("sluice_agent_install_undone_total"), "it is counted")

    def test_a_server_that_goes_away_does_not_make_it_unready(self):
        agent = self.start()
        self.api.stop()
        wait_until(lambda: agent.metric("sluice_agent_watch_restarts_total"), "the watch notices")
        self.assertEqual(200, agent.get("/readyz")[0])

    def test_without_the_list_it_is_not_ready_and_says_why(self):
        self.api.faults.forbidden.add("list")
        agent = self.launch()
        status, text = wait_until(
            lambda: (lambda answer: answer if "forbidden" in answer[1].lower() else None)(
                agent.get("/readyz")), "it says what is forbidden")
        self.assertEqual(503, status)
        self.assertIn("watch", text)
        self.api.faults.forbidden.clear()
        agent.wait_ready()


class TaintTest(NodeCase):
    TAINTS = ("--untaint", "sluice.dev/not-ready", "--untaint", "cni.istio.io/not-ready")

    def test_the_node_is_untainted_when_it_is_ready(self):
        self.api.put_node("node-1", ["sluice.dev/not-ready", "cni.istio.io/not-ready", "other"])
        self.node.conflist.unlink()
        agent = self.launch(*self.TAINTS)
        wait_until(lambda: "install" in agent.get("/readyz")[1], "it waits")
        self.assertEqual(3, len(self.api.taints("node-1")))
        self.node.conflist.write_text('{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"x"}]}')
        wait_until(lambda: self.api.taints("node-1") == ["other"], "the taints are gone")

    def test_a_refused_untaint_is_said_and_tried_again(self):
        self.api.put_node("node-1", ["sluice.dev/not-ready"])
        self.api.faults.forbidden.add("patch_node")
        agent = self.start(*self.TAINTS)
        wait_until(lambda: "untaint" in agent.log(), "it says so")
        self.assertEqual(200, agent.get("/readyz")[0])
        self.api.faults.forbidden.clear()
        wait_until(lambda: self.api.taints("node-1") == [], "the taint is gone")


class StatusTest(NodeCase):
    def test_the_table_names_pods_and_their_state(self):
        pod = self.pod()
        agent = self.start("--repair", "report")
        wait_until(lambda: any(p["condition"] == "missing" for p in agent.status()["pods"]), "it is seen")
        table = subprocess.run([AGENT, "status", "--socket", str(self.node.socket)],
                               capture_output=True, text=True, check=False)
        self.assertEqual(0, table.returncode, table.stderr)
        self.assertIn(f"demo/{pod.pod_name}", table.stdout)
        self.assertIn("missing", table.stdout)
        self.assertIn(str(self.node.conflist), table.stdout)

    def test_without_an_agent_it_says_where_it_asked(self):
        done = subprocess.run([AGENT, "status", "--socket", str(self.node.socket)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(str(self.node.socket), done.stderr)
        self.assertEqual("", done.stdout)
